"""`dynamesis bench node`: which cases it runs, and that it measures two real systems."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from dynamesis.harness.bench import run as bench_run
from dynamesis.harness.bench.cases import all_cases, chosen, default_cases
from dynamesis.harness.bench.load import LoadConnection
from dynamesis.harness.cli.app import run

KEYS = {
    *("op", "storage", "in_flight", "size", "nodes", "links", "cpu_ratio", "p50_ratio", "rate"),
    *("node", "mesh"),
}


def test_the_default_set_has_the_case_that_all_is_judged_by() -> None:
    names = {case.name for case in default_cases()}
    assert {
        f"{op}-{s}-64-100-5-direct" for op in ("put", "get") for s in ("memory", "lmdb")
    } < names
    turns = 2 * (bench_run.TURNS + 1) * bench_run.TURN
    assert len(names) * turns < 240, "the default set takes under five minutes with its boots"


def test_all_has_every_number_of_nodes_and_links() -> None:
    cases = all_cases()
    assert {case.setup.nodes for case in cases} == {3, 5, 9}
    assert {case.setup.links for case in cases} == {"direct", "toxiproxy"}
    assert {case.in_flight for case in cases} == {1, 16, 64, 256}
    assert len({case.name for case in cases}) == len(cases)


@pytest.mark.parametrize(
    ("only", "count"), [("put-memory-64-100-5-direct", 1), ("lmdb-64-100-5-direct", 2), ("16", 72)]
)
def test_only_chooses_by_words_of_the_name(only: str, count: int) -> None:
    assert len(chosen(all_cases(), [only])) == count


def test_only_that_names_nothing_is_refused_with_the_words_there_are(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run(["bench", "node", "--only", "put-65"]) == 2
    shown = capsys.readouterr().err
    assert "'put-65' names no case" in shown
    assert "toxiproxy" in shown


@pytest.mark.cluster
def test_both_systems_are_measured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(bench_run, "TURNS", 2)
    monkeypatch.setattr(bench_run, "TURN", 0.2)
    file = tmp_path / "figures.json"
    only = "put-memory-16-100-3-direct,get-lmdb-1-100-3-direct"
    assert run(["bench", "node", "--only", only, "--json", str(file)]) == 0
    cases = json.loads(file.read_text())["cases"]
    assert [(case["op"], case["storage"], case["in_flight"]) for case in cases] == [
        ("get", "lmdb", 1),
        ("put", "memory", 16),
    ]
    for case in cases:
        assert set(case) == KEYS
        assert case["rate"] > 0
        # the node does all that the mesh does; one at a time both are little but waking up
        assert case["cpu_ratio"] > 0.5
        assert case["cpu_ratio"] < 10, "without short ways a put takes 14.5 times the mesh's"
        assert case["node"]["p50_ms"] <= case["node"]["p99_ms"] <= case["node"]["p999_ms"]
    assert "put-memory-16-100-3-direct" in capsys.readouterr().out


def test_no_request_id_of_an_earlier_case_comes_again() -> None:
    # seen: a case over a running system was refused, as the node remembers the names of requests
    async def names() -> set[str]:
        return {LoadConnection("bench")._name for _ in range(50)}

    assert len(asyncio.run(names())) == 50


@pytest.mark.cluster
def test_a_case_over_what_another_has_left_adds_no_siblings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    # seen: each case added a sibling of 1 MiB, until the node refused with too-many-siblings
    monkeypatch.setattr(bench_run, "TURNS", 1)
    monkeypatch.setattr(bench_run, "TURN", 0.1)
    monkeypatch.setattr(bench_run, "_case", six_times(bench_run._case))
    only = "get-memory-1-1048576-3-direct"
    file = tmp_path / "figures.json"
    assert run(["bench", "node", "--only", only, "--json", str(file)]) == 0
    assert len(json.loads(file.read_text())["cases"]) == 1


def six_times(
    case: Callable[..., Awaitable[bench_run.Row]],
) -> Callable[..., Awaitable[bench_run.Row]]:
    async def repeated(*arguments: Any) -> bench_run.Row:
        for _ in range(5):
            await case(*arguments)
        return await case(*arguments)

    return repeated
