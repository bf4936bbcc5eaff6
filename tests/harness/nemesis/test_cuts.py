from __future__ import annotations

from collections.abc import Callable

import pytest
from dynamesis.harness.generators.rng import Rng
from dynamesis.harness.links.faults import BlackHole, RefusedLink
from dynamesis.harness.nemesis import cuts
from dynamesis.harness.nemesis.cuts import Grudge, Nodes, route_faults, unreached

FIVE = ("n1", "n2", "n3", "n4", "n5")


def nodes(size: int) -> Nodes:
    return tuple(f"n{i}" for i in range(1, size + 1))


def reachable(grudge: Grudge, node: str, all_nodes: Nodes) -> set[str]:
    return set(all_nodes) - {a for a, b in unreached(grudge) if b == node}


def test_the_shapes_of_five_nodes() -> None:
    rng = Rng(1)
    drawn = {
        shape.__name__: shape(FIVE, rng)[0]
        for shape in (
            cuts.halves,
            cuts.random_halves,
            cuts.one,
            cuts.minority_third,
            cuts.bridge,
            cuts.majorities_ring,
            cuts.one_way,
        )
    }
    assert drawn == {
        "halves": [["n1", "n2"], ["n3", "n4", "n5"]],
        "random_halves": [["n3", "n4"], ["n1", "n2", "n5"]],
        "one": [["n3"], ["n1", "n2", "n4", "n5"]],
        "minority_third": [["n3"], ["n1", "n2", "n4", "n5"]],
        "bridge": {"n1": ["n3", "n4"], "n2": ["n3", "n4"], "n3": ["n1", "n2"], "n4": ["n1", "n2"]},
        "majorities_ring": {
            "n1": ["n4", "n5"],
            "n2": ["n3", "n4"],
            "n3": ["n2", "n5"],
            "n4": ["n1", "n2"],
            "n5": ["n1", "n3"],
        },
        "one_way": {"n3": ["n1", "n2", "n5"], "n4": ["n1", "n2", "n5"]},
    }


def test_one_node_alone_is_cut_both_ways() -> None:
    assert unreached([["n1"], ["n2", "n3"]]) == {
        ("n1", "n2"),
        ("n2", "n1"),
        ("n1", "n3"),
        ("n3", "n1"),
    }


def test_both_ways_takes_both_routes_and_one_way_half_of_each() -> None:
    assert route_faults("refused", [["n1"], ["n2"]]) == {
        "n1-n2": RefusedLink(),
        "n2-n1": RefusedLink(),
    }
    assert route_faults("black-hole", {"n2": ["n1"]}) == {
        "n1-n2": BlackHole("upstream"),
        "n2-n1": BlackHole("downstream"),
    }


@pytest.mark.parametrize("size", range(4, 10))
@pytest.mark.parametrize("seed", range(5))
def test_in_a_ring_each_reaches_a_majority_and_no_two_the_same(size: int, seed: int) -> None:
    grudge, _ = cuts.majorities_ring(nodes(size), Rng(seed))
    majorities = [frozenset(reachable(grudge, node, nodes(size))) for node in nodes(size)]
    assert all(len(majority) > size / 2 for majority in majorities)
    assert len(set(majorities)) == size
    assert all(len(majority) < size for majority in majorities)


@pytest.mark.parametrize("size", range(3, 10))
def test_a_bridge_reaches_all_and_the_sides_do_not_reach_each_other(size: int) -> None:
    grudge, _ = cuts.bridge(nodes(size), Rng(size))
    every_node = set(nodes(size))
    majorities = {node: reachable(grudge, node, nodes(size)) for node in nodes(size)}
    bridges = [node for node in nodes(size) if majorities[node] == every_node]
    assert len(bridges) == 1
    assert unreached(grudge) == {(b, a) for a, b in unreached(grudge)}


@pytest.mark.parametrize("shape", [cuts.halves, cuts.random_halves, cuts.one, cuts.minority_third])
@pytest.mark.parametrize("size", range(2, 10))
def test_groups_hold_every_node_once_and_the_smaller_is_a_minority(
    shape: Callable[[Nodes, Rng], tuple[Grudge, Rng]], size: int
) -> None:
    grudge, _ = shape(nodes(size), Rng(size))
    assert isinstance(grudge, list)
    assert sorted(grudge[0] + grudge[1]) == sorted(nodes(size))
    assert 1 <= len(grudge[0]) <= size / 2 or size == 2


def test_a_one_way_cut_silences_in_one_direction_only() -> None:
    grudge, _ = cuts.one_way(FIVE, Rng(3))
    silent = unreached(grudge)
    assert silent
    assert not any((b, a) in silent for a, b in silent)
