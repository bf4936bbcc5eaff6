"""Nodes that dial each other past the proxies of their links are seen in real tests: such a cut
proves nothing."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import dynamesis
from tests.enough import run_enough

LEARNING = Path(__file__).with_name("learning.py")


def run(tmp_path: Path, name: str, nemesis: str = "cut.one") -> dynamesis.TestResult:
    return run_enough(
        tmp_path,
        time_limit=6,
        target=f"{LEARNING}:{name}",
        nemesis=nemesis,
        workload="set",
        rate=60,
        seed=3,
        links="embedded",
    )


def events(result: dynamesis.TestResult, f: str) -> list[Any]:
    lines = (result.folder / "history.jsonl").read_text().splitlines()
    ops = [op for op in map(json.loads, lines) if op["f"] == f and op["type"] == "info"]
    return [op["value"] for op in ops]


def pairs(result: dynamesis.TestResult) -> list[tuple[str, str]]:
    return [(pair["node"], pair["peer"]) for pair in events(result, "dialled-past")]


def reasons(result: dynamesis.TestResult) -> list[str]:
    """Those of the verdict, of this kind; empty where the evidence lacks nothing."""
    evidence = result.results["checkers"].get("evidence", {})
    return [reason for reason in evidence.get("reasons", ()) if "past the proxy" in reason]


@pytest.mark.cluster
def test_nodes_that_come_through_their_proxies_are_not_suspected(tmp_path: Path) -> None:
    result = run(tmp_path, "Keeps")
    assert result.verdict is dynamesis.Verdict.VALID, result.explain()
    assert pairs(result) == []


@pytest.mark.cluster
def test_nodes_that_learn_where_others_listen_make_a_cut_prove_nothing(tmp_path: Path) -> None:
    result = run(tmp_path, "Learns")
    assert result.verdict is dynamesis.Verdict.UNKNOWN, result.explain()
    seen = pairs(result)
    assert seen, result.explain()
    assert len(set(seen)) == len(seen), "once for each pair"
    one_each = [event["grudge"][0] for event in events(result, "start-cut")]
    alone = {node for nodes in one_each for node in nodes}
    assert all({node, peer} & alone for node, peer in seen), (seen, alone)
    for node, peer in seen:
        assert any(reason.startswith(f"{node} dialled {peer} ") for reason in reasons(result))
    again = dynamesis.check(result.folder)
    assert again.verdict is dynamesis.Verdict.UNKNOWN
    assert set(reasons(result)) <= set(again.reasons())


@pytest.mark.cluster
def test_a_target_that_is_given_no_proxies_is_seen_without_a_cut(tmp_path: Path) -> None:
    """All six pairs are in the history; a pause is proved all the same."""
    result = run(tmp_path, "Careless", nemesis="pause.one")
    assert result.verdict is dynamesis.Verdict.VALID, result.explain()
    assert len(set(pairs(result))) == 6
    assert reasons(result) == []
