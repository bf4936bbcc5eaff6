"""Rows that a node of another version wrote so that they cannot be read: by logs made by hand."""

from __future__ import annotations

import pytest
from dynamesis.checkers.graph.run import Run
from dynamesis.checkers.history.history import History, Op
from dynamesis.checkers.logs.logs import Event
from dynamesis.checkers.models.log_checkers import check_logs
from dynamesis.checkers.verdict import CheckerResult, Verdict
from log_lines import SECOND, TEST, line, logs, put

DAMAGED = (
    line(1, "n1", "row-damaged", table="records", key="k1"),
    line(2, "n1", "row-damaged", table="records", key="k2"),
)


def verdict(*lines: Event, members: tuple[str, ...] = ("upgrade.rolling",)) -> CheckerResult:
    ops = put("1.1", 0.2, 0.3)
    for number, member in enumerate(members):
        value = {"fault": number, "member": member, "nodes": ["n1"]}
        for kind in ("invoke", "info"):
            ops.append(Op(time=SECOND // 2, process="nemesis", type=kind,
                          f=f"start-{member.partition('.')[0]}", value=value))  # fmt: skip
    h = History.of([op.__replace__(index=i) if hasattr(op, "__replace__") else op
                    for i, op in enumerate(ops)])  # fmt: skip
    return check_logs(Run(h, TEST), logs(*lines)).verdicts["rows"]


def test_a_row_that_cannot_be_read_after_an_upgrade_is_an_anomaly() -> None:
    found = verdict(*DAMAGED)
    assert found.verdict is Verdict.INVALID
    (anomaly,) = found.anomalies
    assert anomaly.name == "unreadable-record"
    assert (anomaly.data["rows"], anomaly.data["keys"]) == (2, ["k1", "k2"])
    assert anomaly.why.startswith("n1 could not read 2 rows of its table records, the first at")


def test_without_damage_it_is_valid() -> None:
    assert verdict(line(1, "n1", "started")).verdict is Verdict.VALID


@pytest.mark.parametrize(
    ("members", "why"),
    [(("kill.one",), "another version"), (("upgrade.one", "disk.corrupt"), "disks failed")],
)
def test_what_else_may_damage_a_row_is_not_judged(members: tuple[str, ...], why: str) -> None:
    assert why in str(verdict(*DAMAGED, members=members).skipped)
