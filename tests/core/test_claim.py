"""The claim: balanced, without a tail violation, and moving the fewest partitions."""

from __future__ import annotations

from collections import Counter
from itertools import product

import pytest
from dynamesis.cluster.core.ring.claim import claim
from dynamesis.cluster.core.ring.strategies import figure_8
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.examples import examples


def clashes(owners: tuple[str, ...], width: int) -> int:
    """How many windows of `width` partitions, the wrap-around included, meet a node twice."""
    turned = owners + owners
    return sum(len(set(turned[i : i + width])) < width for i in range(len(owners)))


def moved(before: tuple[str, ...], after: tuple[str, ...]) -> int:
    return sum(a != b for a, b in zip(before, after, strict=True))


def feasible(owners: tuple[str, ...], members: list[str], width: int) -> int:
    """The widest window, up to `width`, that owners of these shares can all keep apart."""
    most = max(Counter(owners).values())
    return min(width, len(members), len(owners) // most)


@pytest.mark.parametrize("partitions", [8, 16, 32, 64, 100, 256])
@pytest.mark.parametrize("size", [4, 5, 6, 7, 8])
def test_a_first_claim_is_balanced_and_has_no_tail_violation(partitions: int, size: int) -> None:
    members = [f"n{i}" for i in range(size)]
    owners = claim(members, partitions, 4)
    shares = Counter(owners)
    assert clashes(owners, 4) == 0
    assert max(shares.values()) - min(shares.values()) <= 1
    assert claim(members[::-1], partitions, 4) == owners


def test_sixteen_partitions_on_five_nodes_do_not_clash_where_the_ring_closes() -> None:
    owners = claim("abcde", 16, 4)
    assert clashes(owners, 4) == 0
    assert clashes(tuple("abcdeabcdeabcdea"), 4) > 0  # what dealing out in turn would give


step = st.tuples(st.integers(0, 2), st.integers(0, 2), st.integers(0, 10**6))


@settings(max_examples=examples(10), deadline=None)
@given(st.sampled_from([16, 24, 32, 64]), st.integers(3, 7), st.lists(step, max_size=4))
def test_joins_and_leaves_keep_it_balanced_and_apart_and_move_few(
    partitions: int, size: int, steps: list[tuple[int, int, int]]
) -> None:
    members = [f"n{i}" for i in range(size)]
    owners = claim(members, partitions, 4)
    for number, (joins, leaves, draw) in enumerate(steps):
        stay = [m for i, m in enumerate(members) if (i + draw) % len(members) >= leaves]
        if len(stay) + joins < 3:
            continue
        members = stay + [f"x{number}.{i}" for i in range(joins)]
        after = claim(members, partitions, 4, owners)
        shares = Counter(after)
        assert set(shares) == set(members)
        assert max(shares.values()) - min(shares.values()) <= 1
        assert clashes(after, feasible(after, members, 3)) == 0
        if joins == leaves == 0 and clashes(owners, 3) == 0:
            assert after == owners
        owners = after


@pytest.mark.parametrize("size", [5, 6, 7, 8, 12])
def test_a_node_that_joins_takes_its_share_and_nothing_else_moves(size: int) -> None:
    members = [f"n{i}" for i in range(size)]
    before = claim(members, 64, 4)
    after = claim([*members, "new"], 64, 4, before)
    changed = [i for i in range(64) if before[i] != after[i]]
    assert len(changed) <= 64 // (size + 1) + 1
    assert {after[i] for i in changed} == {"new"}
    assert clashes(after, 3) == 0


def fewest(before: tuple[str, ...], members: list[str], width: int) -> int:
    """By brute force: the fewest moves to a balanced ring without a clash."""
    size = len(before)
    low, high = size // len(members), -(-size // len(members))

    def fits(owners: tuple[str, ...]) -> bool:
        counts = Counter(owners)
        if any(not low <= counts[m] <= high for m in members):
            return False
        return not clashes(owners, width)

    return min(moved(before, owners) for owners in product(members, repeat=size) if fits(owners))


@pytest.mark.parametrize(
    ("partitions", "before", "after"),
    [
        (8, "abcd", "abcde"),
        (8, "abcde", "abcd"),
        (8, "abcde", "abc"),
        (6, "abc", "abcde"),
        (7, "abcd", "bcdx"),
        (8, "abc", "abcd"),
        (8, "abcd", "cdxy"),
    ],
)
def test_no_ring_as_good_moves_fewer(partitions: int, before: str, after: str) -> None:
    owners = claim(before, partitions, 4)
    then = claim(after, partitions, 4, owners)
    width = feasible(then, list(after), 3)
    assert moved(owners, then) == fewest(owners, list(after), width)


class TestWeights:
    def test_shares_follow_the_weights_within_one_partition(self) -> None:
        weights = {"a": 2.0, "b": 1.5}
        owners = claim("abcdef", 64, 4, weights=weights)
        total = 2 + 1.5 + 4
        for node, count in Counter(owners).items():
            assert abs(count - 64 * weights.get(node, 1.0) / total) < 1
        assert clashes(owners, 3) == 0

    def test_a_changed_weight_moves_only_the_difference(self) -> None:
        before = claim("abcdef", 60, 4)
        after = claim("abcdef", 60, 4, before, {"a": 1.5})
        assert Counter(after)["a"] in (13, 14)
        assert moved(before, after) <= 5

    def test_a_share_above_q_over_n_is_refused(self) -> None:
        with pytest.raises(ValueError, match=r"weight of a: 3 .* 21\.3 \(Q/N\)"):
            claim("abcde", 64, 4, weights={"a": 3.0})
        with pytest.raises(ValueError, match="more than 0"):
            claim("abcde", 64, 4, weights={"a": 0.0})


def test_a_claim_is_worked_out_once_for_all_nodes_of_a_process() -> None:
    first = claim("abcd", 16, 4, zones={"a": "x", "b": "y"})
    assert claim(["d", "c", "b", "a"], 16, 4, zones={"a": "x", "b": "y"}) is first
    assert claim("abcde", 16, 4, list(first)) is claim("abcde", 16, 4, first)
    assert claim("abcd", 16, 4, zones={"a": "x"}) is not first


def test_figure_8_strategy_3_is_best_and_strategy_2_worst() -> None:
    rows = figure_8(tokens=(4, 16, 32))
    for row in rows:
        assert row["3"] > row["1"] > row["2"]
    at_16 = rows[1]
    assert at_16["metadata"] == 480
    assert at_16["3"] > 0.99
    assert 0.65 < at_16["1"] < 0.85  # the paper's figure shows about 0.74
