"""Copies that are lacking, hints that are lost, partitions owned too early: bugs from outside,
planted in real nodes, are caught by what the nodes log, and the same tests without are valid."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.end_to_end.conftest import Call, Command, Inside, Run, Start

BUGS = Path(__file__).parent / "bugs" / "placement.py"
#: replicas compare nothing, nodes are cut off: a node out of reach needs a hint
HINTS = ("--workload", "register", "--nemesis", "cut", "--param", "anti_entropy_interval=0",
         "--time-limit", "6s", "--seed", "5")  # fmt: skip
#: partitions move under load, and reads must be fresh
MOVES = ("--workload", "register", "--nemesis", "membership", "--strict",
         "--time-limit", "6s", "--seed", "5")  # fmt: skip
CASES = {
    "serve_before_transfer_ended": (MOVES, "early-ownership", "ownership"),
    "owners_change_immediately": (MOVES, "early-ownership", "ownership"),
    "no_hint_for_unreachable": (HINTS, "lost-hint", "places"),
    "hint_taken_and_thrown_away": (HINTS, "lost-hint", "places"),
    "hands_off_what_was_first": (HINTS, "lost-hint", "handoffs"),
}


def finished(begin: Start | Call, *args: str) -> tuple[Command, dict[str, Any]]:
    run: Run | Inside = begin("test", *args)
    run.wait()
    return run, json.loads((run.results() / "results.json").read_text())


@pytest.mark.parametrize("bug", CASES)
def test_a_planted_bug_is_caught_by_the_logs(call: Call, bug: str) -> None:
    caught(call, bug, "--world", "simulated")


@pytest.mark.cluster
@pytest.mark.nightly
@pytest.mark.parametrize("bug", CASES)
def test_a_planted_bug_is_caught_by_the_logs_of_processes(start: Start, bug: str) -> None:
    caught(start, bug)


def caught(begin: Start | Call, bug: str, *more: str) -> None:
    args, anomaly, checker = CASES[bug]
    run, results = finished(begin, *args, *more, "--bug", f"{BUGS}:{bug}")
    assert results["valid"] is False, run.printed()
    assert anomaly in results["anomalies"]
    first = results["checkers"][checker]["anomalies"][0]
    assert first["name"] == anomaly
    assert first["why"].count(".") >= 1


@pytest.mark.parametrize("case", ["ownership", "places"])
def test_without_a_bug_the_same_is_valid_in_virtual_time(call: Call, case: str) -> None:
    args = MOVES if case == "ownership" else HINTS
    run, results = finished(call, *args, "--world", "simulated")
    assert results["valid"] is True, run.printed()
    assert "skipped" not in results["checkers"][case]


@pytest.mark.cluster
@pytest.mark.parametrize(("args", "judged"), [
    pytest.param(MOVES, "ownership", marks=pytest.mark.nightly), (HINTS, "places"),
])  # fmt: skip
def test_without_a_bug_the_same_is_valid(start: Start, args: tuple[str, ...], judged: str) -> None:
    run, results = finished(start, *args)
    assert results["valid"] is True, run.printed()
    checker = results["checkers"][judged]
    assert "skipped" not in checker
    assert max(checker["details"].values()) > 50
    phases = [op["value"] for op in run.history() if op["f"] == "phase"]
    assert phases == ["boot", "load", "heal", "quiesce", "final", "stop"]


def test_what_a_test_without_anti_entropy_dumps_comes_before_its_reads(call: Call) -> None:
    run, _ = finished(call, "--workload", "register", "--nemesis", "none", "--param",
                      "anti_entropy_interval=0", "--world", "simulated", "--time-limit", "1s",
                      "--seed", "5")  # fmt: skip
    ops = run.history()
    quiesce = next(i for i, op in enumerate(ops) if op.get("value") == "quiesce")
    reads = [op["f"] for op in ops[quiesce:] if op["f"] in ("dump", "get") and op["type"] == "ok"]
    assert reads[0] == "dump"
    assert reads.index("get") > 0
