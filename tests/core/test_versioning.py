"""Last-write-wins by bucket, and the paper's plain vectors with their flaws."""

from __future__ import annotations

from typing import Any

import pytest
from dynamesis.cluster.core.protocol.messages import Entry, PutReply, State, Version
from dynamesis.cluster.core.versions import clock, vector
from dynamesis.cluster.core.versions.versioning import LastWriteWins
from hypothesis import given
from hypothesis import strategies as st
from simulator import Simulator

LWW = LastWriteWins()
NODES = ("A", "B", "C")


def standing(state: State) -> list[bytes]:
    return [v.value for v in clock.versions(state)]


class TestLastWriteWins:
    def put(self, state: State, context: State, value: bytes, actor: str, wall: int) -> State:
        version = LWW.date(Version(value), context, state, wall)
        event = clock.next_event(state, actor)
        return LWW.settle(clock.update(context, version, state, actor, event))

    def sync(self, a: State, b: State) -> State:
        return LWW.settle(clock.sync(a, b))

    step = st.tuples(
        st.sampled_from(["blind", "put", "sync"]),
        st.integers(0, 2),
        st.integers(0, 2),
        st.integers(0, 8),
    )

    @given(st.lists(step, max_size=30), st.permutations([0, 1, 2]))
    def test_replicas_agree_on_one_winner_in_whatever_order(
        self, steps: list[tuple[str, int, int, int]], order: list[int]
    ) -> None:
        states: list[State] = [{}, {}, {}]
        contexts: list[State] = [{}]
        for i, (what, a, b, wall) in enumerate(steps):
            if what == "sync":
                states[a] = self.sync(states[a], states[b])
            else:
                context = contexts[b % len(contexts)] if what == "put" else {}
                states[a] = self.put(states[a], context, b"%d" % i, NODES[a], wall)
            contexts.append(clock.context_of(states[a]))
            assert len(standing(states[a])) == (1 if states[a] else 0)
        one = self.sync(self.sync(states[0], states[1]), states[2])
        other: State = {}
        for which in order:
            other = self.sync(states[which], other)
        assert one == other
        assert len(standing(one)) == (1 if any(states) else 0)

    def test_the_winner_covers_what_it_beat(self) -> None:
        low = self.put({}, {}, b"low", "A", 10)
        high = self.put({}, {}, b"high", "B", 20)
        won = self.sync(low, high)
        assert standing(won) == [b"high"]
        after = self.put(won, clock.context_of(won), b"next", "B", 1)
        assert standing(self.sync(low, after)) == [b"next"]
        # a winner with its own clock only would not know of the loser, which comes back
        forgetful = {actor: e for actor, e in won.items() if actor != "A"}
        assert standing(clock.sync(low, forgetful)) == [b"low", b"high"]

    def test_a_clock_set_back_cannot_make_two_replicas_drop_each_others_version(self) -> None:
        w1 = self.put({}, {}, b"w1", "A", 10)
        w2 = self.put({}, {}, b"w2", "B", 20)
        w3 = self.put(w2, clock.context_of(w2), b"w3", "C", 5)
        left, right = self.sync(self.sync(w1, w2), w3), self.sync(w1, w3)
        assert standing(left) == standing(right) == standing(self.sync(left, right)) == [b"w3"]

    def test_only_the_named_buckets_are_lossy(self) -> None:
        sim = Simulator(lww_buckets=("session",))
        for key in (b"session/1", b"cart/1", b"session"):
            for value in (b"one", b"two"):
                sim.put("n1", key, value)
                sim.run(0.01)
        assert [v.value for v in sim.get("n2", b"session/1").siblings] == [b"two"]
        assert len(sim.get("n2", b"cart/1").siblings) == 2
        assert len(sim.get("n2", b"session").siblings) == 2

    @pytest.mark.parametrize("seed", range(5))
    def test_after_a_cut_all_replicas_hold_the_last_write_by_the_clock(self, seed: int) -> None:
        sim = Simulator(seed=seed, lww_buckets=("b",))
        sim.skew = {"n4": 5000, "n5": -5000}
        key = b"b/%d" % seed
        sim.isolate("n1", "n2")
        sim.run(0.1)
        acked: list[tuple[int, bytes]] = []
        for i, name in enumerate(("n1", "n3", "n4", "n2", "n5")):
            reply: Any = sim.put(name, key, b"%d" % i, w=1)
            assert isinstance(reply, PutReply)
            coordinator = reply.worth.coordinator
            acked.append((sim.wall(coordinator), b"%d" % i))
        sim.heal()
        sim.until(sim.quiet)
        held = sim.holders(key)
        assert len(held) == 3
        (winner,) = {frozenset(values) for values in held.values()}
        assert len(winner) == 1

    def test_a_put_with_a_context_wins_over_what_it_saw_whatever_the_clocks_say(self) -> None:
        sim = Simulator(lww_buckets=("b",))
        sim.skew = dict(zip(sim.names, (60_000, -60_000, 0, 30_000, -30_000), strict=True))
        context = b""
        for i in range(10):
            reply = sim.put(sim.names[i % 5], b"b/k", b"%d" % i, context)
            context = reply.context
        sim.until(sim.quiet)
        assert all(values == {b"9"} for values in sim.holders(b"b/k").values())


class TestPlainVectors:
    def put(self, state: State, context: State, value: bytes, node: str, at: int) -> State:
        actor = f"{node}:1:1"
        event = vector.next_event(state, actor)
        return vector.update(context, Version(value, at=at), state, actor, event)

    def test_versions_in_line_replace_each_other_and_concurrent_ones_stay(self) -> None:
        one = self.put({}, {}, b"1", "A", 1)
        two = self.put(one, vector.context_of(one), b"2", "A", 2)
        assert standing(vector.sync(one, two)) == [b"2"]
        other = self.put({}, vector.context_of(one), b"3", "B", 3)
        assert sorted(standing(vector.sync(two, other))) == [b"2", b"3"]

    def test_a_write_behind_at_the_same_node_eats_what_it_never_saw(self) -> None:
        mary = self.put({}, {}, b"v1", "A", 1)
        seen = vector.context_of(mary)
        mary = self.put(mary, {}, b"v2", "A", 2)
        assert standing(self.put(mary, seen, b"v3", "A", 3)) == [b"v3"]  # the truth: v2, v3

    def chain(self, coordinators: int) -> tuple[State, State]:
        """A version, and what descends from it after so many coordinators."""
        first = now = self.put({}, {}, b"0", "n0", 0)
        for i in range(1, coordinators):
            now = self.put(now, vector.context_of(now), b"%d" % i, f"n{i}", i)
        return first, now

    def test_ten_coordinators_are_remembered(self) -> None:
        first, last = self.chain(10)
        assert standing(vector.sync(first, last)) == [b"9"]

    def test_the_eleventh_brings_the_first_version_back(self) -> None:
        first, last = self.chain(11)
        # n0's pair was the oldest: the eleventh no longer descends from the tenth
        assert sorted(standing(last)) == [b"10", b"9"]
        eleventh = next(text for text in last if "n10:1" in vector.parse(text))
        assert len(vector.parse(eleventh)) == vector.LIMIT
        alone = {eleventh: last[eleventh]}
        assert sorted(standing(vector.sync(first, alone))) == [b"0", b"10"]

    def test_dotted_vectors_do_not_forget(self) -> None:
        first = now = clock.update({}, Version(b"0"), {}, "n0", 1)
        for i in range(1, 30):
            now = clock.update(clock.context_of(now), Version(b"%d" % i), now, f"n{i}", 1)
        assert standing(clock.sync(first, now)) == [b"29"]

    def test_a_cluster_runs_on_them(self) -> None:
        sim = Simulator(clock="vector")
        context = b""
        for i in range(5):
            context = sim.put(sim.names[i % 5], b"k", b"%d" % i, context).context
        sim.until(sim.quiet)
        assert all(values == {b"4"} for values in sim.holders(b"k").values())
        assert [v.value for v in sim.get("n1", b"k").siblings] == [b"4"]

    @given(
        st.lists(st.tuples(st.integers(0, 2), st.integers(0, 2), st.integers(0, 5)), max_size=15)
    )
    def test_sync_commutes(self, steps: list[tuple[int, int, int]]) -> None:
        states: list[State] = [{}, {}, {}]
        for i, (a, b, at) in enumerate(steps):
            context = vector.context_of(states[b])
            states[a] = self.put(states[a], context, b"%d" % i, NODES[a], at)
            assert vector.sync(states[a], states[b]) == vector.sync(states[b], states[a])
            assert vector.sync(states[a], states[a]) == states[a]


def test_a_digest_distinguishes_dates() -> None:
    states = [{"A": Entry(1, ((1, Version(b"v", at=at)),))} for at in (1, 2)]
    assert clock.digest(states[0]) != clock.digest(states[1])
