"""Delays count by the stalls of the machine that explain them, in virtual time one by one."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from dynamesis.checkers.dynamo.quorum import check_ledger
from dynamesis.checkers.graph.run import Run
from dynamesis.checkers.history.history import History, Op, OpError

BAD = Path(__file__).parents[1] / "histories" / "bad" / "unavailable-four-time-outs.test.json"
MS = 1_000_000


def delayed(*spans: tuple[int, int]) -> History:
    """Gets that no connection came about for, each from and to so many ms after the load began,
    as seen on a machine with 15 processes a core: all clients dial as the load begins."""
    harness = {"type": "info", "process": "harness", "f": "phase"}
    ops = [Op(time=0, value="boot", **harness), Op(time=MS, value="load", **harness)]
    for i, (begun, ended) in enumerate(spans):
        get = {"process": i, "f": "get", "key": "k"}
        error = OpError(code="unreachable", definite=True, message="no HELLO within 1 s")
        ops.append(Op(time=(begun + 2) * MS, **get))
        ops.append(Op(time=(ended + 2) * MS, type="fail", node="n1", error=error, **get))
    ops.sort(key=lambda op: op.time)
    return History.of(ops)


@pytest.mark.parametrize(
    ("spans", "world", "found"),
    [
        ([(0, 1200)] * 5, "processes", 0),
        ([(0, 1200)] * 5, "simulated", 5),
        ([(0, 1200), (100, 1300), (1250, 2400)], "processes", 0),
        ([(0, 1000), (1100, 2100), (2200, 3200)], "processes", 3),
        ([(0, 1000)] * 4 + [(1100, 2100), (2200, 3200)], "processes", 6),
    ],
)
def test_delays_that_few_stalls_explain_do_not_count(
    spans: list[tuple[int, int]], world: str, found: int
) -> None:
    test = json.loads(BAD.read_text("utf-8")) | {"world": world}
    result = check_ledger(Run(delayed(*spans), test))
    assert result.counts().get("unavailable", 0) == found
