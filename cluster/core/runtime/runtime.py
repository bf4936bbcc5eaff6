"""The runtime of a node's parts: time, timers, writes to storage, calls to peers.

The parts are small state machines that wait for things. The runtime turns "do this, then continue
there" into effects for the shell, and the shell's events back into the continuations. It holds no
policy. All order in it is insertion order, so that the same events always give the same effects.
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Literal

import msgspec
from dynamesis.cluster.core.protocol.events import Answer as AdminAnswer
from dynamesis.cluster.core.protocol.events import (
    Effect,
    Emit,
    Persist,
    Reply,
    Send,
    SetTimer,
    Write,
)
from dynamesis.cluster.core.protocol.messages import Answer, Question

#: seconds between two lines of one event that is only noted
_NOTED = 1.0

#: Why a call has no answer. "unsent": certainly never reached the peer.
Failure = Literal["unsent", "lost", "timeout"]


class Timer(msgspec.Struct):
    """An action that waits until `due`; of those due together the first `number` is first."""

    action: Callable[[], None] | None
    due: float
    number: int
    live: bool = True

    def run(self) -> None:
        if self.action is not None:
            self.action()


class _Call(msgspec.Struct):
    """A call under way, and its own timer."""

    runtime: Runtime
    rid: int
    peer: str
    done: Callable[[Answer | Failure], None]
    due: float
    number: int
    live: bool = True

    def run(self) -> None:
        self.runtime.finish(self.peer, self.rid, "timeout")


class _Round(msgspec.Struct):
    """One question that was put to several peers under one number, and the timer of all."""

    runtime: Runtime
    rid: int
    #: those that have not answered
    peers: list[str]
    done: Callable[[str, Answer | Failure], None]
    due: float
    number: int
    live: bool = True

    def run(self) -> None:
        for peer in tuple(self.peers):
            self.runtime.finish(peer, self.rid, "timeout")


#: What waits until it is due.
_Waiting = Timer | _Call | _Round


def _ended(outcome: Answer | Failure) -> None:
    """Do nothing: the call has ended."""


def _none_asked(peer: str, outcome: Answer | Failure) -> None:
    """Do nothing: all calls have ended."""


class Runtime:
    """Effects out, continuations back. `now` is the shell's clock, in seconds."""

    def __init__(
        self, *, on_answer: Callable[[str], None], on_failure: Callable[[str, Failure], None]
    ) -> None:
        """`on_failure(peer, why)` is called when a call ends without an answer, `on_answer(peer)`
        when it ends with the first one of that peer, or the first one after a failure."""
        self.now = 0.0
        #: wall time in ms, as wrong as the machine's clock
        self.wall = 0
        #: of the client's request that is being worked on, its id
        self.request = ""
        #: since the last drain
        self.effects: list[Effect] = []
        #: the last number that was given to a timer, a call or a write
        self.sequence = 0
        self._heap: list[tuple[float, int, _Waiting]] = []
        #: delay -> what waits just that long, in the order in which it is due (see expect)
        self._lanes: dict[float, deque[_Waiting]] = {}
        #: when the shell's timer goes off, and the earliest that was asked for since it was set
        self._armed = float("inf")
        self._earliest = float("inf")
        #: whether there is more to drain than effects
        self.unsettled = False
        self._calls: dict[int, _Call] = {}
        #: the same of questions to several peers
        self._rounds: dict[int, _Round] = {}
        #: token -> what to do once that is stored
        self.persists: dict[int, Callable[[str | None], None]] = {}
        #: what is stored with every batch after this token, until one of them is durable
        self.before_all: tuple[Write, ...] = ()
        self._since = 0
        self._soon: deque[Callable[[], None]] = deque()
        #: event, code -> when it was last logged, and how often it has happened since
        self._noted: dict[tuple[str, Any], tuple[float, int]] = {}
        self.on_answer = on_answer
        self.on_failure = on_failure
        #: peers that answered what they were asked last
        self._answering: set[str] = set()

    # ---- towards the shell

    def drain(self) -> list[Effect]:
        """The effects since the last drain, in order."""
        if self.unsettled:
            while self._soon:
                self._soon.popleft()()
            self.unsettled = False
            if self._earliest < self._armed:
                self._arm()
        effects, self.effects = self.effects, []
        return effects

    def reply(self, channel: int, message: Answer) -> None:
        self.effects.append(Reply(channel, message))

    def answer(self, token: int, result: Any = None, error: str | None = None) -> None:
        self.effects.append(AdminAnswer(token, result, error))

    def emit(self, event: str, **fields: Any) -> None:
        """One line for the node's event log."""
        self.log(event, fields)

    def log(self, event: str, fields: dict[str, Any], only_key: bool = False) -> None:
        """The same; `fields` is the line's from now on. `only_key` as for an Emit."""
        if self.request:
            fields["request"] = self.request
        self.effects.append(Emit(event, fields, only_key))

    def note(self, event: str, **fields: Any) -> None:
        """As `emit`, for what may happen at every request: at most one line a second of an event
        (and a `code` in its fields). `times`: how often it happened since the last line."""
        about = event, fields.get("code")
        last, times = self._noted.get(about, (-_NOTED, 0))
        if self.now - last < _NOTED:
            self._noted[about] = last, times + 1
            return
        self._noted[about] = self.now, 0
        if times:
            fields["times"] = times + 1
        self.emit(event, **fields)

    @contextmanager
    def working_on(self, request: str) -> Iterator[None]:
        """What is logged within comes of this client's request."""
        before, self.request = self.request, request
        try:
            yield
        finally:
            self.request = before

    # ---- time

    def after(self, delay: float, action: Callable[[], None]) -> Timer:
        """Run `action` once, `delay` seconds from now, unless cancelled."""
        number = self.sequence = self.sequence + 1
        due = self.now + delay
        timer = Timer(action, due, number)
        lane = self._lanes.get(delay)
        if lane and due >= self._earliest:  # as _wait, for the usual case
            while lane and not lane[0].live:
                lane.popleft()
            lane.append(timer)
        else:
            self._wait(delay, timer)
        return timer

    def expect(self, *delays: float) -> None:
        """Many timers will have just these delays: no order need be found among those of one."""
        for delay in delays:
            self._lanes.setdefault(delay, deque())

    def _wait(self, delay: float, timer: _Waiting) -> None:
        lane = self._lanes.get(delay)
        if lane is None:
            heapq.heappush(self._heap, (timer.due, timer.number, timer))
        else:
            while lane and not lane[0].live:
                lane.popleft()
            lane.append(timer)
        if timer.due < self._earliest:
            self._earliest = timer.due
            self.unsettled = True

    def soon(self, action: Callable[[], None]) -> None:
        """Run `action` at the end of this event, when its caller is done."""
        self.unsettled = True
        self._soon.append(action)

    def cancel(self, timer: Timer) -> None:
        timer.action, timer.live = None, False

    def every(self, interval: float, action: Callable[[], None]) -> None:
        """Run `action` now and then again and again, `interval` seconds apart."""

        def tick() -> None:
            self.after(interval, tick)
            action()

        tick()

    def fire(self) -> None:
        """Run what is due. The shell has one timer for all of them."""
        self._armed = float("inf")
        while (timer := self._first()) is not None and timer.due <= self.now:
            self._take(timer)
            timer.run()
        self._earliest = float("-inf")  # look anew
        self.unsettled = True

    def _first(self) -> _Waiting | None:
        """What is due first; what was cancelled is let go of."""
        heap = self._heap
        while heap and not heap[0][2].live:
            heapq.heappop(heap)
        first = heap[0][2] if heap else None
        for lane in self._lanes.values():
            while lane and not lane[0].live:
                lane.popleft()
            if lane and (first is None or lane[0].due <= first.due):
                head = lane[0]
                if first is None or head.due < first.due or head.number < first.number:
                    first = head
        return first

    def _take(self, timer: _Waiting) -> None:
        """Wait no more for what is due first."""
        if self._heap and self._heap[0][2] is timer:
            heapq.heappop(self._heap)
            return
        for lane in self._lanes.values():
            if lane and lane[0] is timer:
                lane.popleft()
                return

    def _arm(self) -> None:
        first = self._first()
        self._earliest = float("inf")
        if first is not None and first.due < self._armed:
            self._armed = first.due
            self.effects.append(SetTimer("next", max(0.0, self._armed - self.now)))

    # ---- storing

    def persist(self, writes: tuple[Write, ...], done: Callable[[str | None], None]) -> int:
        """Store `writes` atomically, then call done(None), or done(reason) if that failed."""
        self.sequence += 1
        self.persists[self.sequence] = done
        self.effects.append(Persist(self.sequence, writes + self.before_all))
        return self.sequence

    def persist_first(self, writes: tuple[Write, ...]) -> None:
        """Store `writes` before anything else; where that fails, together with what follows."""
        self.before_all, self._since = writes, self.sequence
        self.persist((), lambda reason: None)

    def persisted(self, token: int, reason: str | None = None) -> None:
        if self.before_all and reason is None and token > self._since:
            self.before_all = ()
        self.persists.pop(token)(reason)

    # ---- asking peers

    def call(
        self,
        peer: str,
        question: Callable[[int], Question],
        timeout: float,
        done: Callable[[Answer | Failure], None],
    ) -> int:
        """Send question(rid) to `peer`; done(answer), or done(failure), exactly once, unless the
        call is forgotten. Returns rid."""
        rid = self.number()
        self.sent(peer, rid, question(rid), timeout, done)
        return rid

    def number(self) -> int:
        """The rid of the next question."""
        self.sequence += 1
        return self.sequence

    def sent(
        self,
        peer: str,
        rid: int,
        question: Question,
        timeout: float,
        done: Callable[[Answer | Failure], None],
    ) -> None:
        """As `call`, with a question that has its number already."""
        number = self.sequence = self.sequence + 1
        due = self.now + timeout
        call = self._calls[rid] = _Call(self, rid, peer, done, due, number)
        self._wait(timeout, call)
        self.effects.append(Send(peer, question))

    def ask_all(
        self,
        peers: list[str],
        rid: int,
        question: Question,
        timeout: float,
        done: Callable[[str, Answer | Failure], None],
    ) -> None:
        """Put one question to several peers: done(peer, answer), or done(peer, failure), exactly
        once for each. `peers` is the runtime's from now on."""
        number = self.sequence = self.sequence + 1
        effects = self.effects
        for peer in peers:
            effects.append(Send(peer, question))
        due = self.now + timeout
        asked = self._rounds[rid] = _Round(self, rid, peers, done, due, number)
        lane = self._lanes.get(timeout)
        if lane and due >= self._earliest:  # as _wait, for the usual case
            while lane and not lane[0].live:
                lane.popleft()
            lane.append(asked)
        else:
            self._wait(timeout, asked)

    def finish(self, peer: str, rid: int, outcome: Answer | Failure) -> bool:
        """End call `rid` of `peer`; False when it had ended before (a late answer)."""
        asked = self._rounds.get(rid)
        if asked is not None:
            peers = asked.peers
            if peer not in peers:
                return False
            # its timer is kept until it is due: what waited for the answer need not be
            peers.remove(peer)
            done = asked.done
            if not peers:
                del self._rounds[rid]
                asked.done, asked.live = _none_asked, False
            if type(outcome) is str or peer not in self._answering:
                self._report(peer, outcome)
            done(peer, outcome)
            return True
        call = self._calls.pop(rid, None)
        if call is None:
            return False
        action, call.done, call.live = call.done, _ended, False
        if type(outcome) is str or call.peer not in self._answering:
            self._report(call.peer, outcome)
        action(outcome)
        return True

    def _report(self, peer: str, outcome: Answer | Failure) -> None:
        """Report what became of a call: it failed, or is the first of late that did not."""
        if isinstance(outcome, str):
            self._answering.discard(peer)
            self.on_failure(peer, outcome)
        else:
            self._answering.add(peer)
            self.on_answer(peer)

    def forget(self, rid: int) -> None:
        """End call `rid` without an outcome; what comes of it is a late answer."""
        call = self._calls.pop(rid, None)
        if call is not None:
            call.done, call.live = _ended, False

    def lose(self, peer: str) -> None:
        """The link to `peer` broke: every call on it is in doubt."""
        lost = [rid for rid, call in self._calls.items() if call.peer == peer]
        lost += [rid for rid, asked in self._rounds.items() if peer in asked.peers]
        for rid in sorted(lost):
            self.finish(peer, rid, "lost")
