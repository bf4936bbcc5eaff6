"""A request that is sent again must not be stamped again (trap of sections 4.5 and 6.4).

A client that got no answer, or a refusal that leaves the outcome open, may retry under
the same request id. What was answered is answered again; what is in progress is joined;
what was stamped and then refused continues from its first stamp. A retry may come before the
first try, which was slower: it looks in vain for a node that stamped that, and once the first
try is here, both are answered by what comes of that. A put under the id of another one,
with another key or value, is neither: it is refused.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from functools import partial

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


class _Known(msgspec.Struct, gc=False):
    """What is known of one put: its id and a hash of what it writes; whether it was answered, and
    with what if that is remembered. (`gc=False`: nothing of it refers back to it.)"""

    request: str
    content: int
    answered: bool = False
    answer: PutReply | None = None
    size: int = 0


class _InProgress(msgspec.Struct):
    """Those that wait for the answer to a put, and the first of them where only retries have come.
    It is apart from what is known of the put, which the garbage collector does not see: a node of
    a simulation that dies with puts in progress could never be freed."""

    waiting: list[tuple[int, Respond]]
    seeker: Respond | None = None


class RequestDedup:
    """Memory of the puts of late, bounded; it does not outlive the process."""

    def __init__(self) -> None:
        #: those in progress, stamped or answered, by request id
        self._known: dict[str, _Known] = {}
        self._in_progress: dict[str, _InProgress] = {}
        #: what was answered, oldest first; of so many at its beginning the answers were dropped
        self._answered: deque[_Known] = deque()
        self._bare = 0
        #: bytes of the other ones' answers
        self._whole_bytes = 0
        #: oldest first
        self._stamped: dict[str, Stamp] = {}
        self._stamped_bytes = 0

    def begin(self, put: Put, respond: Respond) -> Respond | None:
        """The responder for a put that is new; None when a retry was dealt with here. A put
        without a request id is always new."""
        request = put.request
        if not request:
            return respond
        content = hash((put.key, put.value, put.deleted))
        known = self._known.get(request)
        if known is None:
            known = self._known[request] = _Known(request, content)
        elif known.content != content:
            respond(_other(put))
            return None
        elif known.answered:
            before = known.answer
            respond(_dropped(put.rid) if before is None else _numbered(before, put.rid))
            return None
        elif (first := self._in_progress.get(request)) is not None:
            first.waiting.append((put.rid, respond))
            if put.again or first.seeker is None:
                return None
            first.seeker = None
            return partial(self._end, known)
        begun = self._in_progress[request] = _InProgress([(put.rid, respond)])
        if put.again and request not in self._stamped:
            begun.seeker = respond
            return partial(self._sought, known, respond)
        return partial(self._end, known)

    def joined(self, request: str) -> bool:
        """Whether a retry waits for the same answer as the try that is in progress."""
        begun = self._in_progress.get(request)
        return begun is not None and len(begun.waiting) > 1

    def waits(self, request: str) -> bool:
        """Whether a put of this id is in progress here."""
        return request in self._in_progress

    def _sought(
        self, known: _Known, seeker: Respond, answer: GetReply | PutReply | Refusal
    ) -> None:
        """A retry has ended. That it found nothing counts only where the first try has not come
        meanwhile."""
        begun = self._in_progress.get(known.request)
        if isinstance(answer, PutReply) or (begun is not None and begun.seeker is seeker):
            if begun is not None:
                begun.seeker = None
            self._end(known, answer)

    def _end(self, known: _Known, answer: GetReply | PutReply | Refusal) -> None:
        request = known.request
        if type(answer) is PutReply:
            stamp = self._stamped.pop(request, None)
            if stamp is not None:
                self._stamped_bytes -= stamp.size
            if not known.answered:
                self._remember(known, answer)
        if self._known.get(request) is known:  # and no later put of that id
            begun = self._in_progress.pop(request, None)
            if begun is not None:
                for rid, respond in begun.waiting:
                    respond(answer if answer.rid == rid else _numbered(answer, rid))
        if not known.answered:
            self._perhaps_unknown(known)

    def _perhaps_unknown(self, known: _Known) -> None:
        """What a put writes is remembered as long as anything else of it."""
        request = known.request
        if known.answered or request in self._in_progress or request in self._stamped:
            return
        if self._known.get(request) is known:
            del self._known[request]

    def _remember(self, known: _Known, answer: PutReply) -> None:
        """Remember an answer. Of too many bytes the oldest are dropped, and of their puts no more
        is known than that they took effect; of too many answers the oldest are forgotten."""
        known.answered, known.answer = True, answer
        size = known.size = _size(answer) if answer.siblings else len(answer.context)
        answered = self._answered
        answered.append(known)
        self._whole_bytes += size
        while self._whole_bytes > _ANSWERED_BYTES:
            self._drop(answered[self._bare])
            self._bare += 1
        if len(answered) > _ANSWERED:
            oldest = answered.popleft()
            if self._bare:
                self._bare -= 1
            else:
                self._drop(oldest)
            oldest.answered = False
            self._perhaps_unknown(oldest)

    def _drop(self, known: _Known) -> None:
        """Remember of a whole answer only that there was one."""
        self._whole_bytes -= known.size
        known.answer = None

    @property
    def remembered(self) -> tuple[int, int]:
        """How many answers, and how many bytes of them."""
        return len(self._answered), self._whole_bytes

    def stamped(self, put: Put, state: State, covers: State) -> None:
        """`put` has its stamp now; forgotten once it is answered. Of the others, the
        oldest are forgotten first; a put without a request id is never asked for again."""
        request = put.request
        if not request:
            return
        stamps = self._stamped
        if request in stamps:
            self._forget(request)
        if request not in self._known:
            self._known[request] = _Known(request, hash((put.key, put.value, put.deleted)))
        size = len(put.value)
        stamps[request] = Stamp(put.key, state, covers, size)
        self._stamped_bytes += size
        while len(stamps) > _STAMPED or self._stamped_bytes > _STAMPED_BYTES:
            self._forget(next(iter(stamps)))

    def _forget(self, request: str) -> None:
        stamp = self._stamped.pop(request, None)
        if stamp is not None:
            self._stamped_bytes -= stamp.size
            known = self._known.get(request)
            if known is not None:
                self._perhaps_unknown(known)

    def remembers(self, key: Key) -> bool:
        """Whether a retry could send an earlier state of `key` again."""
        return any(stamp.key == key for stamp in self._stamped.values())

    def stamp_of(self, request: str) -> Stamp | None:
        return self._stamped.get(request)


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
