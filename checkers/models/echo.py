"""Model `echo`: what comes back is what was sent. After Maelstrom's workload of that name."""

from __future__ import annotations

from typing import Any

import numpy as np
from dynamesis.checkers.history.columns import History
from dynamesis.checkers.history.pairing import INVOKE, OK
from dynamesis.checkers.history.spelling import freeze
from dynamesis.checkers.models.sets import capped
from dynamesis.checkers.verdict import Anomaly, CheckerResult


def check_echo(h: History) -> CheckerResult:
    """Every `echo` that succeeded has the payload that it was asked for."""
    rows = np.flatnonzero((h.kind == INVOKE) & (h.process >= 0) & h.rows("echo") & (h.pair >= 0))
    rows = rows[h.kind[h.pair[rows]] == OK]
    found = [
        _wrong(h, row)
        for row in rows.tolist()
        if not _comes_back(h.value_of(row), h.value_of(int(h.pair[row])))
    ]
    reasons = [] if len(rows) else ["no echo succeeded"]
    return capped(found, reasons, {"echoed": len(rows)})


def _comes_back(sent: Any, answer: Any) -> bool:
    """Maelstrom records the whole body of an answer, which has the payload as `echo`."""
    if isinstance(answer, dict) and answer.get("type") == "echo_ok" and not isinstance(sent, dict):
        answer = answer.get("echo")
    return bool(freeze(sent) == freeze(answer))


def _wrong(h: History, row: int) -> Anomaly:
    end = int(h.pair[row])
    asked, answered = (h.spelled(h.value_of(at)) for at in (row, end))
    why = f"index {row} sent {asked}, and got {answered} back at index {end}."
    return Anomaly("wrong-echo", why, None, (row, end))
