"""Target pouchdb: siblings as leaves of a document, alone and on real servers."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from dynamesis.harness.targets.pouchdb.documents import (
    Leaf,
    LeafContext,
    context_of,
    replacing,
    versions,
)
from dynamesis.harness.targets.registry import load_target
from dynamesis.harness.targets.system import EnvironmentFailed
from msgspec import convert

import dynamesis
from tests.enough import run_enough


class Documents:
    """The leaves of one document, as a node keeps them."""

    def __init__(self) -> None:
        self.leaves: dict[str, Leaf] = {}

    def add(self, docs: Iterable[dict[str, Any]]) -> None:
        for doc in docs:
            revisions = doc["_revisions"]
            if len(revisions["ids"]) == 2:
                self.leaves.pop(f"{revisions['start'] - 1}-{revisions['ids'][1]}", None)
            self.leaves[doc["_rev"]] = convert(doc, Leaf, strict=False)

    def shown(self) -> list[str]:
        return [leaf.stored for leaf in versions(self.leaves.values())]

    def context(self) -> LeafContext:
        return context_of("k", versions(self.leaves.values()))


def test_writes_without_context_are_siblings_and_one_with_their_context_replaces_them() -> None:
    node = Documents()
    for id in ("a", "b", "c"):
        node.add(replacing(LeafContext("k"), id, id, deleted=False, listed=False)[0])
    assert sorted(node.shown()) == ["a", "b", "c"]
    docs, after = replacing(node.context(), "d", "d", deleted=False, listed=False)
    node.add(docs)
    assert node.shown() == ["d"]
    assert after == node.context()
    assert len(node.leaves) == 3  # the two that were merged are deleted leaves


def test_a_write_on_an_old_context_forks() -> None:
    node = Documents()
    docs, first = replacing(LeafContext("k"), "a", "a", deleted=False, listed=False)
    node.add(docs)
    for id in ("b", "c"):
        node.add(replacing(first, id, id, deleted=False, listed=False)[0])
    assert sorted(node.shown()) == ["b", "c"]


def test_a_delete_is_a_version_and_the_deletions_of_a_merge_are_not() -> None:
    node = Documents()
    for id in ("a", "b"):
        node.add(replacing(LeafContext("k"), id, id, deleted=False, listed=False)[0])
    node.add(replacing(node.context(), "gone", "gone", deleted=True, listed=False)[0])
    assert [(leaf.stored, leaf.deleted) for leaf in versions(node.leaves.values())] == [
        ("gone", True)
    ]


@pytest.mark.parametrize("listed", [False, True])
def test_a_node_that_has_no_deletions_yet_shows_what_was_merged_unless_it_is_listed(
    listed: bool,
) -> None:
    """As a node is that replicates the leaves while they are written."""
    node, late = Documents(), Documents()
    for id in ("a", "b"):
        docs, _ = replacing(LeafContext("k"), id, id, deleted=False, listed=listed)
        node.add(docs)
        late.add(docs)
    docs, after = replacing(node.context(), "c", "c", deleted=False, listed=listed)
    late.add(docs[:1])
    again, _ = replacing(after, "d", "d", deleted=False, listed=listed)
    late.add(again)
    assert len(late.shown()) == (1 if listed else 2)


def here() -> None:
    try:
        load_target("pouchdb").require()
    except EnvironmentFailed as missing:
        pytest.skip(str(missing))


def run(tmp_path: Path, **options: Any) -> dynamesis.TestResult:
    here()
    return run_enough(tmp_path, target="pouchdb", links="embedded", **options)


@pytest.mark.cluster
def test_listed_merges_hold_under_cuts_and_kills(tmp_path: Path) -> None:
    result = run(
        tmp_path,
        workload="register",
        nemesis="cut,kill",
        time_limit=6,
        seed=1,
        target_option=["merges=listed"],
    )
    assert result.verdict is dynamesis.Verdict.VALID, result.explain()
    assert any(fault["took_effect"] for fault in result.results["evidence"]["faults"])


@pytest.mark.cluster
def test_a_client_of_the_winner_alone_loses_acknowledged_writes(tmp_path: Path) -> None:
    result = run(
        tmp_path,
        workload="set",
        nemesis="none",
        time_limit=4,
        seed=1,
        target_option=["read=winner"],
    )
    assert result.verdict is dynamesis.Verdict.INVALID
    assert "lost-write" in result.explain()


LATE = """
from dynamesis.harness.targets.pouchdb.target import PouchDBTarget, ask

class Late(PouchDBTarget):
    async def prepare(self, site):
        pairs = [(a, b) for a in site.nodes for b in site.nodes if a != b]
        async def begun():
            return [(await ask(site.node[a], "GET", f"/_replicator/from-{b}"))[0] for a, b in pairs]
        before = await begun()
        await super().prepare(site)
        print(before, await begun(), flush=True)
"""


@pytest.mark.cluster
def test_replication_begins_once_all_nodes_serve(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A node that began before would wait longer and longer for one that starts late."""
    here()
    (tmp_path / "late.py").write_text(LATE)
    result = run_enough(
        tmp_path / "store", 3, target=f"{tmp_path / 'late.py'}:Late", workload="set",
        nemesis="none", links="embedded", target_option=["merges=listed"], seed=1,
    )  # fmt: skip
    assert result.verdict is dynamesis.Verdict.VALID, result.explain()
    assert f"{[404] * 6} {[200] * 6}" in capsys.readouterr().out


def test_what_a_merged_branch_had_replaced_is_listed_too() -> None:
    """A node may have an old revision of a branch that was merged, and neither its later ones nor
    the deletion."""

    def put(context: LeafContext, id: str) -> tuple[Leaf, LeafContext]:
        docs, after = replacing(context, id, id, False, True)
        leaf = {"_rev": docs[0]["_rev"], "stored": id, "merged": docs[0].get("merged", ())}
        return convert(leaf, Leaf), after

    old, seen = put(LeafContext("k"), "old")
    new, _ = put(seen, "new")
    other, _ = put(LeafContext("k"), "other")
    both, _ = put(context_of("k", [other, new]), "both")
    assert versions([both, old]) == [both]
