"""Nodes that cannot read each other's frames: by logs made by hand."""

from __future__ import annotations

from typing import Any

import pytest
from dynamesis.checkers.graph.run import Run
from dynamesis.checkers.history.history import History, Op
from dynamesis.checkers.logs.logs import Event, Logs
from dynamesis.checkers.models.log_checkers import check_logs
from dynamesis.checkers.verdict import CheckerResult, Verdict
from log_lines import BEGAN, SECOND, TEST, line, logs, put

WHOLE = "a frame of 182 bytes is not a message: Invalid value 'ReplicaPut' - at `$[0]`"


def bad_frame(at: float, reason: str = WHOLE, **fields: Any) -> Event:
    return line(at, "n1", "bad-frame", **{"peer": "n3", "reason": reason, **fields})


def verdict(*lines: Event, upgrade: bool = False) -> CheckerResult:
    ops = put("1.1", 0.2, 0.3)
    if upgrade:
        value = {"fault": 0, "member": "upgrade.one", "nodes": ["n3"]}
        for kind in ("invoke", "info"):
            ops.append(Op(time=SECOND // 2, process="nemesis", type=kind, f="start-upgrade",
                          value=value))  # fmt: skip
    h = History.of([op.__replace__(index=i) if hasattr(op, "__replace__") else op
                    for i, op in enumerate(ops)])  # fmt: skip
    return check_logs(Run(h, TEST), logs(*lines)).verdicts["wire"]


def test_a_frame_of_a_peer_that_is_not_a_message_is_an_anomaly() -> None:
    found = verdict(bad_frame(1), bad_frame(2), bad_frame(3, peer="n2"))
    assert found.verdict is Verdict.INVALID
    assert [each.data["frames"] for each in found.anomalies] == [2, 1]
    assert found.anomalies[0].name == "not-understood"
    assert found.anomalies[0].why.startswith(
        f"n1 could not read what n3 had sent it at 1.000 s, twice in all: {WHOLE}."
    )
    assert "upgrade" not in found.anomalies[0].why


@pytest.mark.parametrize("event", [
    bad_frame(1, "the connection ended within a frame"),
    bad_frame(1, peer=""),
    bad_frame(1, peer=None),
    line(1, "n1", "frame-too-large", peer="n3", reason=WHOLE),
])  # fmt: skip
def test_what_links_or_clients_may_do_is_none(event: Event) -> None:
    found = verdict(event)
    assert (found.verdict, found.details) == (Verdict.VALID, {"frames": 0})


def test_an_upgrade_before_it_is_named() -> None:
    (anomaly,) = verdict(bad_frame(1), upgrade=True).anomalies
    assert "An upgrade of nodes to another version had begun." in anomaly.why


def test_without_logs_it_is_skipped() -> None:
    h = History.of(put("1.1", 0.2, 0.3))
    found = check_logs(Run(h, TEST), Logs.of([], BEGAN)).verdicts["wire"]
    assert "logged nothing" in str(found.skipped)
