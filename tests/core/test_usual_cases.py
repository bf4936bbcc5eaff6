"""The usual cases of the core, seen at a glance, against the general machine behind them: the
same states, answers, log lines and stored bytes.

A short cut is switched off by having it never apply; then the general code runs for everything.
"""

from __future__ import annotations

import random
from typing import Any

import pytest
from dynamesis.cluster.core.protocol.messages import (
    Entry,
    Get,
    GetReply,
    Key,
    Put,
    PutReply,
    State,
    Version,
)
from dynamesis.cluster.core.replication.replica import Replica
from dynamesis.cluster.core.storage.buffer import Buffer
from dynamesis.cluster.core.versions import clock
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from simulator import Simulator

ACTORS = ("A", "B", "C")


class History:
    """States and contexts of one key as replicas come to hold them: by puts with any context
    handed out so far, and by merges."""

    def __init__(self, steps: list[tuple[int, int, int]]) -> None:
        self.states: list[State] = [{}, {}, {}]
        self.contexts: list[State] = [{}]
        self.made: list[State] = [{}]
        for replica, other, what in steps:
            state = self.states[replica]
            if what < 3:
                self._merge(replica, self.made[(7 * other + what) % len(self.made)])
            else:
                context = self.contexts[(what + other) % len(self.contexts)]
                self._put(replica, state, context)

    def _merge(self, replica: int, other: State) -> None:
        self.states[replica] = clock.sync(self.states[replica], other)
        self.made.append(self.states[replica])
        self.contexts.append(clock.context_of(self.states[replica]))

    def _put(self, replica: int, state: State, context: State) -> None:
        actor = ACTORS[replica]
        event = clock.next_event(state, actor)
        value = Version(b"%d" % len(self.made))
        self.states[replica] = clock.update(context, value, state, actor, event)
        self.made.append(self.states[replica])
        self.contexts.append(clock.with_dot(context, actor, event))


steps = st.lists(
    st.tuples(st.integers(0, 2), st.integers(0, 9), st.integers(0, 9)), min_size=1, max_size=30
)


@given(steps, st.integers(0, 99), st.integers(0, 99))
def test_a_usual_merge_is_the_merge(history: list[tuple[int, int, int]], a: int, b: int) -> None:
    made = History(history).made
    ours, theirs = made[a % len(made)], made[b % len(made)]
    for actor in ours.keys() & theirs.keys():
        merged = clock.merge_entries(ours[actor], theirs[actor])
        if clock.follows(ours[actor], theirs[actor]):
            assert merged == theirs[actor]
        if clock.follows(theirs[actor], ours[actor]):
            assert merged == ours[actor]


@given(steps, st.integers(0, 99), st.integers(0, 99), st.sampled_from(ACTORS))
def test_a_usual_put_is_the_put(
    history: list[tuple[int, int, int]], s: int, c: int, actor: str
) -> None:
    done = History(history)
    state, context = done.made[s % len(done.made)], done.contexts[c % len(done.contexts)]
    event = clock.next_event(state, actor)
    new = Version(b"new")
    usual = clock.update(context, new, state, actor, event)
    general = clock.merged_update(context, new, state, actor, event)
    assert usual == general
    assert list(usual) == list(general), "what is stored has its actors in one order"
    assert clock.digest(usual) == clock.digest(dict(reversed(usual.items())))


def test_the_usual_merge_and_put_are_seen() -> None:
    before, after = Entry(4, ((4, Version(b"a")),)), Entry(5, ((5, Version(b"b")),))
    assert clock.follows(before, after)
    assert not clock.follows(after, before)
    assert clock.replaced({"A": Entry(4)}, {"A": before}) == {"A": Entry(4)}
    assert clock.replaced({"A": Entry(3)}, {"A": before}) is None


class Trace:
    """A seeded run of puts and gets under cuts, crashes and failing disks: all that came of it."""

    def __init__(self, seed: int, **params: Any) -> None:
        self.random = random.Random(seed)
        self.sim = Simulator(seed=seed, **params)
        self.contexts: dict[bytes, list[bytes]] = {}
        self.asked: dict[int, bytes] = {}
        for step in range(60):
            self._fault(step)
            self._ask(step)
            self.sim.run(self.random.uniform(0, 0.01))
            self._take()
        self.sim.disk_errors = 0.0
        self.sim.heal()
        self.sim.run(3)
        log = [(at, node, emit.event, emit.fields) for at, node, emit in self.sim.log]
        stored = {name: store.tables for name, store in self.sim.stores.items()}
        self.everything = (log, self.sim.replies, stored)

    def _fault(self, step: int) -> None:
        if step % 20 == 10:
            self.sim.isolate(self.random.choice(self.sim.names))
            self.sim.disk_errors = self.random.choice((0.0, 0.1))
        elif step % 20 == 0:
            self.sim.heal()

    def _ask(self, step: int) -> None:
        name, key = self.random.choice(self.sim.names), self.random.choice((b"a", b"b", b"c"))
        if self.random.random() < 0.4:
            self.asked[self.sim.ask(name, Get(1, Key(key)))] = key
            return
        context = self.random.choice(self.contexts.get(key, [b""])[-4:])
        put = Put(1, f"r{step}", Key(key), b"v%d" % step, context, self.random.random() < 0.1)
        self.asked[self.sim.ask(name, put)] = key

    def _take(self) -> None:
        for channel, key in list(self.asked.items()):
            reply = self.sim.replies.get(channel)
            if reply is not None:
                del self.asked[channel]
            if isinstance(reply, PutReply | GetReply):
                self.contexts.setdefault(key, []).append(reply.context)


@pytest.mark.parametrize("durability", ["batched", "buffered"])
@given(seed=st.integers(0, 1 << 32))
@settings(max_examples=5, deadline=None, phases=[Phase.explicit, Phase.generate])
def test_a_node_without_short_cuts_does_the_same(durability: str, seed: int) -> None:
    usual = Trace(seed, durability=durability).everything
    with pytest.MonkeyPatch.context() as off:
        off.setattr(clock, "follows", lambda a, b: False)
        off.setattr(clock, "replaced", lambda context, state: None)
        off.setattr(Replica, "all_is", lambda self, row, key: False)
        off.setattr(Buffer, "_write_one", lambda self, row, unsaved, done: self._write([row], done))
        general = Trace(seed, durability=durability).everything
    assert usual == general
    assert usual[0], "something was logged"
