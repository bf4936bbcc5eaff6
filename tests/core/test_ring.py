from __future__ import annotations

from collections import Counter

import pytest

from cluster.core.ring import Ring, claim


def distinct(owners: tuple[str, ...], width: int) -> bool:
    """Whether every window of `width` partitions, the wrap-around included, is of distinct
    nodes."""
    turned = owners + owners
    return all(len(set(turned[i : i + width])) == width for i in range(len(owners)))


@pytest.mark.parametrize("partitions", [8, 16, 32, 64, 100, 256])
@pytest.mark.parametrize("size", [4, 5, 6, 7, 8])
def test_a_claim_is_balanced_and_has_no_tail_violation(partitions: int, size: int) -> None:
    members = [f"n{i}" for i in range(size)]
    owners = claim(members, partitions, 4)
    shares = Counter(owners)
    assert distinct(owners, 4)
    assert max(shares.values()) - min(shares.values()) <= 1
    assert claim(members[::-1], partitions, 4) == owners


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
