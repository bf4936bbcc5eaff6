"""What is asked for again and again is computed once, kept until it changes, and true always."""

from __future__ import annotations

from array import array
from collections import Counter
from typing import Any

import pytest
from dynamesis.cluster.core.protocol.messages import Key, Layout
from dynamesis.cluster.core.ring.placement import Placement, Rules
from dynamesis.cluster.core.storage.merkle import LEAVES, WIDTH, Tree
from dynamesis.cluster.core.storage.row_keys import object_row
from dynamesis.cluster.core.storage.trees import Forest
from hypothesis import given
from hypothesis import strategies as st
from simulator import Simulator

#: (partition, key, hash of the record afterwards, 0: none), and whether the forest is asked then
changes = st.lists(
    st.tuples(st.integers(0, 3), st.integers(0, 5), st.integers(0, 3), st.booleans()),
    max_size=40,
)


def _asked(forest: Forest) -> Any:
    trees = {p: (tree.root(), tree.branches()) for p, tree in forest.trees.items()}
    return dict(forest.roots()), list(forest.held()), trees


@given(changes)
def test_a_forest_that_is_asked_between_changes_is_one_that_is_asked_at_the_end(
    made: list[tuple[int, int, int, bool]],
) -> None:
    asked, unasked = Forest(), Forest()
    records: dict[tuple[int, Key], int] = {}
    for partition, number, after, ask in made:
        key = Key(b"k%d" % number)
        for forest in (asked, unasked):
            forest.change(object_row(partition, key), records.get((partition, key)), after or None)
        records[partition, key] = after
        if not after:
            del records[partition, key]
        if ask:
            _asked(asked)
    assert _asked(asked) == _asked(unasked)
    held = Counter(partition for partition, _ in records)
    assert asked.held() == sorted(held)
    assert {p: c for p, c in asked.counts.items() if c} == held
    for partition, tree in asked.trees.items():
        fresh = Tree(array("Q", tree.dump()))
        assert (tree.root(), tree.branches()) == (fresh.root(), fresh.branches())
        assert asked.roots().get(partition, 0) == fresh.root()


def test_a_leaf_that_is_recounted_changes_its_root() -> None:
    key = Key(b"k")
    forest = Forest()
    forest.change(object_row(1, key), None, 7)
    before = forest.roots()[1]
    for leaf in range(0, LEAVES, WIDTH):
        forest.recount(1, leaf, [(key, 9)])
        assert forest.roots()[1] not in (0, before)


nodes = st.sampled_from(("a", "b", "c", "d", "e"))
owners = st.lists(nodes, min_size=8, max_size=8).map(tuple)


@given(owners, owners, st.dictionaries(st.integers(0, 7), nodes), st.sets(nodes, max_size=2))
def test_a_placement_keeps_what_its_definitions_give(
    now: tuple[str, ...], then: tuple[str, ...], ready: dict[int, str], closed: set[str]
) -> None:
    layout = Layout(1, "", tuple(sorted({*then})), now, then, {p: (n,) for p, n in ready.items()})
    view = Placement(layout, Rules(3), closed, closed)
    for a in "abcde":
        held = [p for p in view.partitions if view.holds(a, p)]
        assert sorted(view.held(a)) == held
        assert view.incoming(a) == [
            p for p in held if a in view.pending(p) and a not in layout.ready.get(p, ())
        ]
        for b in "abcde":
            assert view.shared(a, b) == [p for p in held if view.holds(b, p)]


def test_exchanges_that_find_nothing_hash_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    sim = Simulator()
    for i in range(20):
        sim.put(sim.names[i % 5], b"k%d" % i, b"v")
    sim.until(sim.quiet)
    folds: list[int] = []
    fold = Tree._fold
    monkeypatch.setattr(
        Tree, "_fold", lambda tree, branch: (folds.append(branch), fold(tree, branch))[1]
    )
    rounds = [s.rounds for node in sim.nodes.values() for s in node.anti_entropy.standing.values()]
    sim.run(5)
    after = [s.rounds for node in sim.nodes.values() for s in node.anti_entropy.standing.values()]
    assert min(b - a for a, b in zip(rounds, after, strict=True)) >= 5
    assert not folds
    sim.put("n1", b"k1", b"w")
    sim.run(2)
    assert len(folds) == 3, "one branch at each replica of the key"


def test_an_exchange_that_rests_continues_once_though_nothing_is_shed_any_more() -> None:
    """Found by `dynamesis simulate`, seed 1072: it continued twice, ended twice, and the node with
    it."""
    sim = Simulator(3, seed=4, n=3, anti_entropy_interval=0.5)
    sim.isolate("n3")
    for number in range(40):
        sim.put("n1", b"k%d" % number, b"v", sloppy=False, w=1)
    pauses = iter([0.3, *[0.0] * 10_000])
    for node in sim.nodes.values():
        node.anti_entropy.pause = lambda: next(pauses)
    sim.heal()
    sim.until(sim.quiet)
    assert all(sim.holders(b"k%d" % number)["n3"] == {b"v"} for number in range(40))
