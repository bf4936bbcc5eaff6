"""A request that is sent again must not be stamped again (trap of sections 4.5 and 6.4).

A client that heard nothing, or a refusal that leaves the outcome open, may retry under
the same request id. What was answered is answered again; what is in progress is joined;
what was stamped and then refused goes on from its first stamp.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

import msgspec
from dynamesis.cluster.core.protocol.messages import GetReply, Key, Put, PutReply, Refusal, State

#: Where the answer to a client's request goes.
Respond = Callable[[GetReply | PutReply | Refusal], None]

_ANSWERED = 10_000
_STAMPED = 1_000
_STAMPED_BYTES = 8 << 20


@dataclass(frozen=True)
class Stamp:
    """What the first try wrote, and what its answer would have covered; bytes of its value."""

    key: Key
    state: State
    covers: State
    size: int


class RequestDedup:
    """Memory of the puts of late, bounded; it does not outlive the process."""

    def __init__(self) -> None:
        self._answered: OrderedDict[str, PutReply] = OrderedDict()
        self._stamped: OrderedDict[str, Stamp] = OrderedDict()
        self._stamped_bytes = 0
        self._waiting: dict[str, list[tuple[int, Respond]]] = {}

    def begin(self, put: Put, respond: Respond) -> Respond | None:
        """The responder for a put that is new; None when a retry was dealt with here. A put
        without a request id is always new."""
        if not put.request:
            return respond
        before = self._answered.get(put.request)
        if before is not None:
            respond(_numbered(before, put.rid))
            return None
        waiting = self._waiting.get(put.request)
        if waiting is not None:
            waiting.append((put.rid, respond))
            return None
        self._waiting[put.request] = [(put.rid, respond)]
        return lambda answer: self._end(put.request, answer)

    def _end(self, request: str, answer: GetReply | PutReply | Refusal) -> None:
        if isinstance(answer, PutReply):
            self._forget(request)
            self._answered[request] = answer
            if len(self._answered) > _ANSWERED:
                self._answered.popitem(last=False)
        for rid, respond in self._waiting.pop(request):
            respond(_numbered(answer, rid))

    def stamped(self, put: Put, state: State, covers: State) -> None:
        """`put` has its stamp now; forgotten once it is answered. Of the others, the
        oldest are forgotten first; a put without a request id is never asked for again."""
        if not put.request:
            return
        self._forget(put.request)
        stamp = self._stamped[put.request] = Stamp(put.key, state, covers, len(put.value))
        self._stamped_bytes += stamp.size
        while len(self._stamped) > _STAMPED or self._stamped_bytes > _STAMPED_BYTES:
            self._forget(next(iter(self._stamped)))

    def _forget(self, request: str) -> None:
        stamp = self._stamped.pop(request, None)
        if stamp is not None:
            self._stamped_bytes -= stamp.size

    def remembers(self, key: Key) -> bool:
        """Whether a retry could send an earlier state of `key` again."""
        return any(stamp.key == key for stamp in self._stamped.values())

    def stamp_of(self, request: str) -> Stamp | None:
        return self._stamped.get(request)


def _numbered(answer: GetReply | PutReply | Refusal, rid: int) -> GetReply | PutReply | Refusal:
    return answer if answer.rid == rid else msgspec.structs.replace(answer, rid=rid)
