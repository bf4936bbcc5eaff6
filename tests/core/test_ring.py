from __future__ import annotations

from collections import Counter

from dynamesis.cluster.core.requests.coordinator import QuorumTracker
from dynamesis.cluster.core.ring.claim import claim
from dynamesis.cluster.core.ring.ring import Ring
from dynamesis.cluster.core.ring.sloppy_quorum import ReplicaSlot, SloppyQuorum


def test_three_nodes_cannot_be_spread_over_16_partitions_but_still_hold_three_copies() -> None:
    ring = Ring(claim(["a", "b", "c"], 16, 4), 3)
    assert all(len(set(ring.primaries(p))) == 3 for p in range(16))


def test_a_walk_skips_nodes_that_it_has_met() -> None:
    ring = Ring(["a", "a", "b", "a", "c"], 2)
    assert ring.preference(0) == ("a", "b", "c")
    assert ring.preference(4) == ("c", "a", "b")
    assert ring.primaries(3) == ("a", "c")


def test_keys_spread_evenly() -> None:
    ring = Ring(claim(["a", "b", "c", "d", "e"], 64, 4), 3)
    counts = Counter(ring.partition(b"key-%d" % i) for i in range(64_000))
    assert set(counts) == set(range(64))
    assert max(counts.values()) < 1300
    assert min(counts.values()) > 700


def test_shared_partitions_are_those_with_both_among_the_primaries() -> None:
    ring = Ring(claim(["a", "b", "c", "d", "e"], 64, 4), 3)
    for p in range(64):
        assert (p in ring.shared("a", "b")) == ({"a", "b"} <= set(ring.primaries(p)))


NODES = tuple("abcdef")
ZONES = dict(zip(NODES, ("east", "west", "north") * 2, strict=True))


class TestZones:
    def test_primaries_are_in_distinct_zones_and_so_do_their_successors(self) -> None:
        ring = Ring(claim(NODES, 64, 4, zones=ZONES), 3, ZONES)
        for p in range(64):
            assert {ZONES[node] for node in ring.primaries(p)} == {"east", "west", "north"}
            assert sorted(ring.preference(p)) == list(NODES)

    def test_each_zone_holds_the_replicas_that_it_was_given(self) -> None:
        zones = dict.fromkeys("abc", "home") | dict.fromkeys("def", "away")
        ring = Ring(claim("abcdef", 32, 4), 3, zones, {"home": 2, "away": 1})
        for p in range(32):
            counts = Counter(zones[node] for node in ring.primaries(p))
            assert counts == {"home": 2, "away": 1}

    def test_a_zone_with_too_few_nodes_leaves_its_share_to_the_others(self) -> None:
        zones = {"a": "east", "b": "west", "c": "west", "d": "west"}
        ring = Ring(claim("abcd", 16, 4), 3, zones, {"east": 2, "west": 1})
        assert all(len(set(ring.primaries(p))) == 3 for p in range(16))

    def test_the_claim_sets_neighbours_into_distinct_zones(self) -> None:
        owners = claim(NODES, 60, 4, zones=ZONES)
        zones = [ZONES[owner] for owner in owners]
        same = sum(zones[i] == zones[i - 1] for i in range(60))
        assert same <= 2

    def test_a_fallback_of_the_same_zone_comes_first(self) -> None:
        zones = {"a": "east", "b": "west", "c": "west", "d": "west", "e": "east"}
        plan = SloppyQuorum("abcde", 3, lambda node: node != "a", True, zones.get, None)
        assert plan.places[0].holder == "e"
        plan = SloppyQuorum("abcde", 3, lambda node: node not in "ae", True, zones.get, None)
        assert plan.places[0].holder == "d"

    def test_a_local_quorum_counts_no_remote_replica(self) -> None:
        near = {"a": True, "b": False, "c": False}
        tally = QuorumTracker(2, 0, 0, 2, near.__getitem__)
        for node in "abc":
            tally.count(ReplicaSlot(node, node), durable=True)
        assert not tally.enough
        assert "1 of 2 in this zone" in tally.shortfall()
