"""A request that is sent again must not be stamped again (trap of sections 4.5 and 6.4).

A client that got no answer, or a refusal that leaves the outcome open, may retry under
the same request id. What was answered is answered again; what is in progress is joined;
what was stamped and then refused continues from its first stamp. A put under the id of another one,
with another key or value, is neither: it is refused.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable

import msgspec
from dynamesis.cluster.core.protocol.messages import GetReply, Key, Put, PutReply, Refusal, State

#: Where the answer to a client's request goes.
Respond = Callable[[GetReply | PutReply | Refusal], None]

#: answers that are remembered, and bytes of them that are remembered whole
_ANSWERED = 10_000
_ANSWERED_BYTES = 8 << 20
#: characters of a request id
MAX_REQUEST = 256
_STAMPED = 1_000
_STAMPED_BYTES = 8 << 20


class Stamp(msgspec.Struct, frozen=True, gc=False):
    """What the first try wrote, and what its answer would have covered; bytes of its value."""

    key: Key
    state: State
    covers: State
    size: int


class RequestDedup:
    """Memory of the puts of late, bounded; it does not outlive the process."""

    def __init__(self) -> None:
        #: what was answered; None where only that is remembered
        self._answered: OrderedDict[str, PutReply | None] = OrderedDict()
        #: the sizes of those that are remembered whole, oldest first
        self._whole: OrderedDict[str, int] = OrderedDict()
        self._whole_bytes = 0
        self._stamped: OrderedDict[str, Stamp] = OrderedDict()
        self._stamped_bytes = 0
        self._waiting: dict[str, list[tuple[int, Respond]]] = {}
        #: of each put that is in one of these: a hash of what it writes, and where
        self._content: dict[str, int] = {}

    def begin(self, put: Put, respond: Respond) -> Respond | None:
        """The responder for a put that is new; None when a retry was dealt with here. A put
        without a request id is always new."""
        if not put.request:
            return respond
        content = _content(put)
        if self._content.setdefault(put.request, content) != content:
            respond(_other(put))
            return None
        if put.request in self._answered:
            before = self._answered[put.request]
            respond(_dropped(put.rid) if before is None else _numbered(before, put.rid))
            return None
        waiting = self._waiting.get(put.request)
        if waiting is not None:
            waiting.append((put.rid, respond))
            return None
        self._waiting[put.request] = [(put.rid, respond)]
        return lambda answer: self._end(put.request, answer)

    def joined(self, request: str) -> bool:
        """Whether a retry waits for the same answer as the try that is in progress."""
        return len(self._waiting.get(request, ())) > 1

    def waits(self, request: str) -> bool:
        """Whether a put of this id is in progress here."""
        return request in self._waiting

    def _end(self, request: str, answer: GetReply | PutReply | Refusal) -> None:
        if isinstance(answer, PutReply):
            self._forget(request)
            self._remember(request, answer)
        for rid, respond in self._waiting.pop(request):
            respond(_numbered(answer, rid))
        self._perhaps_unknown(request)

    def _perhaps_unknown(self, request: str) -> None:
        """What a put writes is remembered as long as anything else of it."""
        held = (self._answered, self._stamped, self._waiting)
        if not any(request in memory for memory in held):
            self._content.pop(request, None)

    def _remember(self, request: str, answer: PutReply) -> None:
        """Remember an answer. Of too many bytes the oldest are dropped, and of their puts no more
        is known than that they took effect; of too many answers the oldest are forgotten."""
        self._answered[request] = answer
        size = self._whole[request] = _size(answer)
        self._whole_bytes += size
        while self._whole_bytes > _ANSWERED_BYTES:
            oldest, size = self._whole.popitem(last=False)
            self._whole_bytes -= size
            self._answered[oldest] = None
        if len(self._answered) > _ANSWERED:
            oldest, _ = self._answered.popitem(last=False)
            self._whole_bytes -= self._whole.pop(oldest, 0)
            self._perhaps_unknown(oldest)

    @property
    def remembered(self) -> tuple[int, int]:
        """How many answers, and how many bytes of them."""
        return len(self._answered), self._whole_bytes

    def stamped(self, put: Put, state: State, covers: State) -> None:
        """`put` has its stamp now; forgotten once it is answered. Of the others, the
        oldest are forgotten first; a put without a request id is never asked for again."""
        if not put.request:
            return
        self._forget(put.request)
        self._content[put.request] = _content(put)
        stamp = self._stamped[put.request] = Stamp(put.key, state, covers, len(put.value))
        self._stamped_bytes += stamp.size
        while len(self._stamped) > _STAMPED or self._stamped_bytes > _STAMPED_BYTES:
            self._forget(next(iter(self._stamped)))

    def _forget(self, request: str) -> None:
        stamp = self._stamped.pop(request, None)
        if stamp is not None:
            self._stamped_bytes -= stamp.size
            self._perhaps_unknown(request)

    def remembers(self, key: Key) -> bool:
        """Whether a retry could send an earlier state of `key` again."""
        return any(stamp.key == key for stamp in self._stamped.values())

    def stamp_of(self, request: str) -> Stamp | None:
        return self._stamped.get(request)


def _content(put: Put) -> int:
    return hash((put.key, put.value, put.deleted))


def _size(answer: PutReply) -> int:
    return len(answer.context) + sum([len(version.value) for version in answer.siblings])


def _dropped(rid: int) -> Refusal:
    text = "this put took effect; its answer was too large to be remembered for long"
    return Refusal(rid, "forgotten", text)


def _other(put: Put) -> Refusal:
    text = (
        f"the request id {put.request[:80]!r} is that of another put, with another key or value; "
        "each put has an id of its own"
    )
    return Refusal(put.rid, "bad-request", text)


def _numbered(answer: GetReply | PutReply | Refusal, rid: int) -> GetReply | PutReply | Refusal:
    return answer if answer.rid == rid else msgspec.structs.replace(answer, rid=rid)
