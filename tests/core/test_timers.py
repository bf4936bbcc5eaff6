"""Timers of expected delays wait in rows; they go off in the order in which all others do."""

from __future__ import annotations

from dynamesis.cluster.core.protocol.events import SetTimer
from dynamesis.cluster.core.protocol.messages import Ping, Pong
from dynamesis.cluster.core.runtime.runtime import Runtime, Timer
from hypothesis import given
from hypothesis import strategies as st
from simulator import idle_runtime

DELAYS = (0.5, 1.0, 2.0)

#: seconds that pass, what is done (a timer, a call, a cancel, an answer), and which one of them
steps = st.lists(
    st.tuples(
        st.sampled_from((0.0, 0.25, 0.5, 1.5)), st.integers(0, 4), st.integers(0, len(DELAYS) - 1)
    ),
    max_size=40,
)


class Run:
    """What goes off when, and what the shell is asked for, as the same is done to a runtime."""

    def __init__(self, runtime: Runtime, steps: list[tuple[float, int, int]]) -> None:
        self.runtime = runtime
        self.seen: list[object] = []
        self.due = float("inf")
        self.timers: list[Timer] = []
        self.calls: list[int] = []
        for number, (passed, what, which) in enumerate(steps):
            self.until(runtime.now + passed)
            self.do(number, what, which)
            self.drain()
        self.until(runtime.now + 10)

    def do(self, number: int, what: int, which: int) -> None:
        runtime, delay = self.runtime, DELAYS[which]
        if what < 2:
            self.timers.append(runtime.after(delay, lambda: self.note(number)))
        elif what == 2:
            call = runtime.call("n2", Ping, delay, lambda outcome: self.note((number, outcome)))
            self.calls.append(call)
        elif what == 3 and self.timers:
            runtime.cancel(self.timers[which % len(self.timers)])
        elif what == 4 and self.calls:
            runtime.finish("n2", self.calls[which % len(self.calls)], Pong(0))

    def note(self, what: object) -> None:
        self.seen.append((self.runtime.now, what))

    def drain(self) -> None:
        for effect in self.runtime.drain():
            if isinstance(effect, SetTimer):
                self.due = self.runtime.now + effect.after
                self.note(effect)

    def until(self, end: float) -> None:
        while self.due <= end:
            self.runtime.now, self.due = self.due, float("inf")
            self.runtime.fire()
            self.drain()
        self.runtime.now = end


@given(steps)
def test_expected_delays_go_off_as_others(steps: list[tuple[float, int, int]]) -> None:
    expecting = idle_runtime()
    expecting.expect(*DELAYS[:2])
    assert Run(expecting, steps).seen == Run(idle_runtime(), steps).seen


def test_calls_that_have_ended_are_let_go_of_before_their_time() -> None:
    runtime = idle_runtime()
    runtime.expect(20.0)
    for _ in range(1000):
        runtime.finish("n2", runtime.call("n2", Ping, 20.0, lambda outcome: None), Pong(0))
        runtime.drain()
    assert len(runtime._lanes[20.0]) <= 1
    assert not runtime._heap
