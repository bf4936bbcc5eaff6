"""The usual cases of the core, seen at a glance, against the general machine behind them: the
same states, answers, log lines and stored bytes.

A short cut is switched off by having it never apply; then the general code runs for everything.
The short ways of whole requests (cluster.core.node.usual_put and its like) are taken by stock
nodes alone, so a subclass that changes nothing is a node without them.
"""

from __future__ import annotations

import json
import random
from collections import Counter
from itertools import product
from typing import Any

import pytest
from dynamesis.cluster import zoo
from dynamesis.cluster.core.node.node import Node
from dynamesis.cluster.core.node.usual_forward import UsualForward
from dynamesis.cluster.core.node.usual_get import UsualGet
from dynamesis.cluster.core.node.usual_put import UsualPut
from dynamesis.cluster.core.node.usual_replica import UsualReplica, followed, follower, holds
from dynamesis.cluster.core.protocol.events import Received
from dynamesis.cluster.core.protocol.messages import (
    Entry,
    Get,
    GetReply,
    Key,
    Put,
    PutReply,
    ReplicaPut,
    RequestOptions,
    State,
    Version,
)
from dynamesis.cluster.core.protocol.params import Params
from dynamesis.cluster.core.replication.replica import Replica
from dynamesis.cluster.core.ring.sloppy_quorum import SloppyQuorum
from dynamesis.cluster.core.storage.buffer import Buffer
from dynamesis.cluster.core.storage.record_table import Record
from dynamesis.cluster.core.versions import clock
from dynamesis.cluster.process.eventlog import printable
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from simulator import DictStore, Simulator

from tests.examples import examples

ACTORS = ("A", "B", "C")
KEYS = (b"a", b"b", b"c", b"a/d")


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


@given(steps, st.integers(0, 99), st.integers(0, 99))
def test_a_copy_that_follows_is_the_merge(
    history: list[tuple[int, int, int]], a: int, b: int
) -> None:
    made = History(history).made
    ours, theirs = made[a % len(made)], made[b % len(made)]
    merged = followed(ours, theirs)
    assert merged is None or merged == clock.sync(ours, theirs)
    for here, coming in product(ours.items(), theirs.items()):
        one, other = dict((here,)), dict((coming,))
        held = follower(one, other)
        if held is not None:
            assert clock.sync(one, other) == other
            assert held == holds(other)
            assert held[0] == clock.dots(other)


def test_a_copy_that_follows_is_seen() -> None:
    before, after = Entry(4, ((4, Version(b"a")),)), Entry(5, ((5, Version(b"b", True)),))
    assert follower({"A": before}, {"A": after}) == (["A:5"], True, 1)
    assert follower({"A": after}, {"A": before}) is None
    assert follower({"A": after}, {"A": after}) is None
    assert follower({"B": before}, {"A": after}) is None
    assert follower({"A": Entry(3, (), (5,))}, {"A": after}) is None
    two = Entry(5, ((5, Version(b"b")), (4, Version(b"a"))))
    assert follower({"A": Entry(3)}, {"A": two}) is None


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


class General(Node):
    """A node without short ways."""


class Trace:
    """A seeded run of puts and gets under cuts, crashes, slow links and failing disks: all that
    came of it."""

    def __init__(self, seed: int, node_class: type[Node] = Node, **params: Any) -> None:
        self.random = random.Random(seed)
        self.sim = Simulator(seed=seed, node_class=node_class, **params)
        self.contexts: dict[bytes, list[bytes]] = {}
        self.asked: dict[int, bytes] = {}
        for step in range(60):
            self._fault(step)
            self._ask(step)
            self.sim.run(self.random.uniform(0, 0.01))
            self._take()
        self.sim.disk_errors = 0.0
        self.sim.latency = (0.0002, 0.002)
        self.sim.heal()
        for name in set(self.sim.names) - set(self.sim.nodes):
            self.sim.boot(name)
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
        if step % 15 == 7:  # as long as a replica is waited for, or longer
            self.sim.latency = (0.0002, self.random.choice((0.002, 0.02, 1.2)))
        if step % 30 == 25:
            self.sim.crash(self.random.choice(self.sim.names))
        elif step % 30 == 28:
            for name in sorted(set(self.sim.names) - set(self.sim.nodes)):
                self.sim.boot(name)

    def _ask(self, step: int) -> None:
        name, key = self.random.choice(sorted(self.sim.nodes)), self.random.choice(KEYS)
        if self.random.random() < 0.4:
            self.asked[self.sim.ask(name, Get(1, Key(key), self._options()))] = key
            return
        context = self.random.choice(self.contexts.get(key, [b""])[-4:])
        deleted, again = self.random.random() < 0.1, step > 9 and self.random.random() < 0.1
        request = f"r{self.random.randrange(step)}" if again else f"r{step}"
        again = again and self.random.random() < 0.5
        value = b"v%d" % step * self.random.choice((1, 1, 2000))
        put = Put(1, request, Key(key), value, context, deleted, self._options(), again)
        self.asked[self.sim.ask(name, put)] = key

    def _options(self) -> RequestOptions:
        if self.random.random() < 0.8:
            return RequestOptions()
        return RequestOptions(w=self.random.choice((None, 1, 3)), timeout=0.2, return_body=True)

    def _take(self) -> None:
        for channel, key in list(self.asked.items()):
            reply = self.sim.replies.get(channel)
            if reply is not None:
                del self.asked[channel]
            if isinstance(reply, PutReply | GetReply):
                self.contexts.setdefault(key, []).append(reply.context)


@pytest.mark.parametrize("durability", ["batched", "buffered"])
@given(seed=st.integers(0, 1 << 32))
@settings(max_examples=examples(3), deadline=None, phases=[Phase.explicit, Phase.generate])
def test_a_node_without_short_cuts_does_the_same(durability: str, seed: int) -> None:
    usual = Trace(seed, General, durability=durability).everything
    with pytest.MonkeyPatch.context() as off:
        off.setattr(clock, "follows", lambda a, b: False)
        off.setattr(clock, "replaced", lambda context, state: None)
        off.setattr(Replica, "all_is", lambda self, row, key: False)
        off.setattr(Buffer, "_write_one", lambda self, row, unsaved, done: self._write([row], done))
        general = Trace(seed, General, durability=durability).everything
    assert usual == general
    assert usual[0], "something was logged"


PARAMS: list[dict[str, Any]] = [
    {},
    {"r": 1, "w": 1},
    {"r": 3, "w": 3},
    {"sloppy": False},
    {"durability": "buffered"},
    {"clock": "vector"},
    {"lww_buckets": ("a",)},
    {"replica_timeout": 0.02, "request_timeout": 0.03},
]


@pytest.mark.parametrize("params", PARAMS, ids=str)
@given(seed=st.integers(0, 1 << 32))
@settings(max_examples=examples(3), deadline=None, phases=[Phase.explicit, Phase.generate])
def test_a_node_without_short_ways_does_the_same(params: dict[str, Any], seed: int) -> None:
    usual = Trace(seed, **params).everything
    general = Trace(seed, General, **params).everything
    assert usual == general


def test_most_requests_take_the_short_way_and_what_gets_unusual_leaves_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What the comparison above compares: requests that are usual to their end, and such that
    continued in the general machine after their stamp or their first answers."""
    taken: Counter[str] = Counter()

    def counted(kind: type, name: str) -> None:
        method = getattr(kind, name)

        def counting(*args: Any) -> Any:
            done = method(*args)
            taken[f"{kind.__name__}.{name}"] += done is not False
            return done

        monkeypatch.setattr(kind, name, counting)

    for kind, names in (
        (UsualPut, ("start", "_answer", "_turn_general")),
        (UsualGet, ("start", "_answer", "_turn_general")),
        (UsualForward, ("start", "_came", "_turn_general")),
        (UsualReplica, ("put", "get")),
    ):
        for name in names:
            counted(kind, name)
    for seed in range(12):
        Trace(seed)
    assert len(taken) == 11
    assert min(taken.values()) >= 1, taken


def test_lines_that_are_only_a_key_hold_no_other_bytes() -> None:
    """What a node promises of its lines (Emit.only_key), the event log relies on."""
    lines = [emit for seed in range(4) for _, _, emit in Trace(seed).sim.log if emit.only_key]
    assert {emit.event for emit in lines} == {"stored", "read"}
    for emit in lines:
        assert type(emit.fields["key"]) is bytes
        rest = {name: value for name, value in emit.fields.items() if name != "key"}
        assert rest == printable(rest) == json.loads(json.dumps(rest))


def test_a_copy_is_stored_under_the_digest_that_came_with_it_only_if_it_is_all_there_is() -> None:
    """A replica hashes what its coordinator has not: merges, and copies without a digest."""
    sim = Simulator()
    sim.put("n1", b"k", b"v")
    sim.run(1)
    name = next(n for n, node in sim.nodes.items() if node.replica.holds(Key(b"k")))
    coordinator = next(n for n in sim.names if n != name)
    replica, entry = sim.nodes[name].replica, Entry(1, ((1, Version(b"v")),))

    def stored(state: State, digest: int) -> Record:
        copy = ReplicaPut(1, Key(b"k"), state, None, "put", True, "", digest)
        sim.feed(name, Received(99, coordinator, copy))
        sim.run(1)
        record = replica.own(Key(b"k"))
        assert record is not None
        return record

    before = replica.own(Key(b"k"))
    assert before is not None
    merged = stored({"x": entry}, 7)
    assert merged.state == {**before.state, "x": entry}
    assert merged.hash == clock.digest(merged.state), "not what came alone"
    alone = {**merged.state, "y": entry}
    assert stored(alone, 7).hash == 7
    later = {**alone, "z": entry}
    assert stored(later, 0).hash == clock.digest(later)


def test_a_planted_bug_has_no_short_ways() -> None:
    params = Params(node="n1", members=("n1",))
    for name in zoo.BUGS:
        assert zoo.plant([name])(params, DictStore(), 7).dispatch.usual is None, name
    assert all(node.dispatch.usual is not None for node in Simulator().nodes.values())


def test_a_put_continues_where_its_primaries_are_others_by_now() -> None:
    """Found by `dynamesis simulate`, seed 170 with refused batches: a put that was usual until a
    layout changed ended its node."""
    plan = SloppyQuorum(("n1", "n2", "n3", "n4"), 3, lambda _: True, True, lambda _: None, None)
    plan.begun_with(("n1", "n4", "n2"))
    assert [place.holder for place in plan.places] == ["n1", "n4", "n2"]
    assert plan.replace(plan.places[1])
    assert plan.places[1].holder == "n3", "a primary of now may take a place, once"
    assert not plan.replace(plan.places[2])
