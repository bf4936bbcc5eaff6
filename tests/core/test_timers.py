"""Timers of expected delays wait in rows; they go off in the order in which all others do."""

from __future__ import annotations

from typing import Any

from dynamesis.cluster.core.protocol.events import Send, SetTimer
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


class Rounds:
    """Questions to two peers, each put as one round or as a call to each, and what comes of them
    in which order."""

    PEERS = ("n2", "n3")

    def __init__(self, together: bool, steps: list[tuple[float, int, int]]) -> None:
        self.runtime = idle_runtime()
        self.runtime.expect(*DELAYS[:2])
        self.seen: list[object] = []
        self.rids: list[dict[str, int]] = []
        for number, (passed, what, which) in enumerate(steps):
            self.runtime.now += passed
            self.runtime.fire()
            peer, asked = self.PEERS[which % 2], self.rids[-1 - which % max(1, len(self.rids)) :]
            if what < 2:
                self.ask(number, together, DELAYS[which])
            elif what == 2 and asked:
                self.end(asked[0], peer, Pong(0))
            elif what == 3 and asked:
                self.end(asked[0], peer, "unsent")
            elif what == 4:
                self.runtime.lose(peer)
            sent = [e for e in self.runtime.drain() if isinstance(e, Send)]
            self.seen.append([effect.peer for effect in sent])
        self.runtime.now += 10
        self.runtime.fire()
        assert not self.runtime._rounds
        assert not self.runtime._calls

    def ask(self, number: int, together: bool, delay: float) -> None:
        runtime, rids = self.runtime, dict[str, int]()
        for peers in [self.PEERS] if together else [[peer] for peer in self.PEERS]:
            rid = runtime.number()
            rids.update(dict.fromkeys(peers, rid))
            runtime.ask_all(
                list(peers),
                rid,
                Ping(rid),
                delay,
                lambda peer, outcome: self.seen.append((number, peer, outcome, runtime.now)),
            )
        self.rids.append(rids)

    def end(self, rids: dict[str, int], peer: str, outcome: Any) -> None:
        self.seen.append(self.runtime.finish(peer, rids[peer], outcome))


@given(steps)
def test_a_question_to_several_peers_ends_as_one_to_each(
    steps: list[tuple[float, int, int]],
) -> None:
    assert Rounds(True, steps).seen == Rounds(False, steps).seen


def test_a_peer_that_answers_twice_is_late() -> None:
    runtime = idle_runtime()
    seen: list[object] = []
    runtime.ask_all(["n2", "n3"], 7, Ping(7), 1.0, lambda peer, outcome: seen.append(peer))
    assert runtime.finish("n2", 7, Pong(7))
    assert not runtime.finish("n2", 7, Pong(7)), "it had its turn"
    assert not runtime.finish("n4", 7, Pong(7)), "it was not asked"
    assert runtime.finish("n3", 7, Pong(7))
    assert seen == ["n2", "n3"]
