"""Hash trees that do not follow the records: by logs made by hand."""

from __future__ import annotations

from typing import Any

import pytest
from dynamesis.checkers.graph.run import Run
from dynamesis.checkers.history.history import Op
from dynamesis.checkers.logs.logs import Event
from dynamesis.checkers.models.log_checkers import check_logs
from dynamesis.checkers.verdict import CheckerResult, Verdict
from log_lines import TEST, fault, history, line, logs, put

BOOT = line(0.1, "n1", "trees-rebuilt", objects=0, boot=True)
AGAIN = line(4, "n1", "trees-rebuilt", objects=9, boot=False)
DRIFT = line(4, "n1", "tree-drift", partitions=[0, 3])


def verdict(*lines: Event, ops: tuple[list[Op], ...] = (), **test: Any) -> CheckerResult:
    h = history(put("1.1", 0.2, 0.3), *ops)
    return check_logs(Run(h, {**TEST, **test}), logs(BOOT, *lines)).verdicts["trees"]


def test_trees_that_are_made_anew_and_are_the_same_are_right() -> None:
    found = verdict(AGAIN)
    assert (found.verdict, found.details) == (Verdict.VALID, {"rebuilt": 1})


def test_trees_that_differ_from_those_that_served_are_an_anomaly() -> None:
    (anomaly,) = verdict(AGAIN, DRIFT).anomalies
    assert anomaly.name == "tree-drift"
    assert "n1 made its hash trees anew, and at 4.000 s they differed" in anomaly.why
    assert "in partitions 0, 3" in anomaly.why


def test_without_trees_made_anew_nothing_is_judged() -> None:
    assert "made its hash trees anew" in (verdict().skipped or "")


@pytest.mark.parametrize("rot", ["row-damaged", "undone", "storage-error"])
def test_a_disk_that_failed_explains_it(rot: str) -> None:
    assert verdict(line(3, "n1", rot, key="k"), AGAIN, DRIFT).verdict is Verdict.VALID
    elsewhere = verdict(line(3, "n2", rot, key="k"), AGAIN, DRIFT)
    assert elsewhere.counts() == {"tree-drift": 1}


def test_a_fault_of_its_disk_explains_it() -> None:
    disk = fault(1, "disk", 2, 3, nodes=["n1"], kind="bit-flip")
    assert verdict(AGAIN, DRIFT, ops=(disk,)).verdict is Verdict.VALID
    assert verdict(AGAIN, DRIFT, unsteady=["storage"]).verdict is Verdict.VALID
    assert verdict(AGAIN, DRIFT, unsteady=["late"]).counts() == {"tree-drift": 1}
