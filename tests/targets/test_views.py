"""Clock and membership faults on a store of a user's own, by the methods of its target."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from dynamesis.harness.nemesis.libfaketime import find

import dynamesis
from tests.enough import run_enough

CLUB = Path(__file__).with_name("club.py")


def run(tmp_path: Path, nemesis: str, name: str = "Club") -> dynamesis.TestResult:
    return run_enough(
        tmp_path, 8, target=f"{CLUB}:{name}", nemesis=nemesis, seed=3, links="embedded"
    )


def took_effect(result: dynamesis.TestResult) -> dict[str, bool]:
    found: dict[str, bool] = {}
    for fault in result.results["evidence"]["faults"]:
        found[fault["kind"]] = found.get(fault["kind"], False) or fault["took_effect"]
    return found


def events(result: dynamesis.TestResult, f: str) -> list[Any]:
    lines = (result.folder / "history.jsonl").read_text().splitlines()
    return [event["value"] for event in map(json.loads, lines) if event["f"] == f]


@pytest.mark.cluster
@pytest.mark.skipif(find().path is None, reason="libfaketime is not on this machine")
@pytest.mark.parametrize("name", ["Club", "Slow"])
def test_clocks_are_seen_wrong_and_right_again(tmp_path: Path, name: str) -> None:
    result = run(tmp_path, "clock.jump", name)
    assert result.verdict is dynamesis.Verdict.VALID, result.explain()
    assert took_effect(result) == {"clock.jump": True}
    assert "clocks" not in result.results.get("skipped", {})


@pytest.mark.cluster
def test_nodes_join_and_leave(tmp_path: Path) -> None:
    result = run(tmp_path, "membership.join,membership.away-and-back")
    assert result.verdict is dynamesis.Verdict.VALID, result.explain()
    took = took_effect(result)
    assert set(took) == {"membership.join", "membership.away-and-back"}
    assert all(took.values())
    joins = [value["joins"] for value in events(result, "start-membership")]
    assert {"n4"} <= {node for each in joins if isinstance(each, list) for node in each}


def test_what_a_target_lacks_is_refused_with_what_it_takes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(dynamesis.UsageError, match="clocks that can be made wrong"):
        run(tmp_path, "clock", "Skeleton")
    with pytest.raises(dynamesis.UsageError, match="nodes that can join and leave"):
        run(tmp_path, "membership", "Skeleton")
    monkeypatch.setattr(
        "dynamesis.harness.nemesis.libfaketime._places", lambda env: iter([("nowhere", None)])
    )
    with pytest.raises(dynamesis.UsageError, match=r"here \(no libfaketime: nowhere"):
        run(tmp_path, "clock")
