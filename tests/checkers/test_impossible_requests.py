"""A request for more nodes than there are has to be refused: no promise is broken by that."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from dynamesis.checkers.dynamo.quorum import check_ledger
from dynamesis.checkers.graph.run import Run
from dynamesis.checkers.history.history import History, Op, OpError

BAD = Path(__file__).parents[1] / "histories" / "bad" / "unavailable-four-time-outs.test.json"
MS = 1_000_000


def _refused(options: dict[str, object], code: str) -> History:
    """Three gets with these options, each refused with this code while nothing is wrong."""
    phase = {"type": "info", "process": "harness", "f": "phase"}
    ops = [Op(time=0, value="boot", **phase), Op(time=MS, value="load", **phase)]
    error = OpError(code=code, definite=True, message=f"refused by {options}")
    for number in range(3):
        get = {"process": number, "f": "get", "key": "k"}
        ops.append(Op(time=(10 + number) * 1000 * MS, options=options, **get))
        ops.append(
            Op(time=(10 + number) * 1000 * MS + MS, type="fail", node="n1", error=error, **get)
        )
    return History.of(ops)


@pytest.mark.parametrize(
    ("options", "code", "found"),
    [
        ({"r": 9}, "bad-request", 0),
        ({"n": 7}, "bad-request", 0),
        ({"pr": "all"}, "bad-request", 0),
        ({"local": -1}, "bad-request", 0),
        ({"r": 9}, "read-quorum", 3),
        ({"r": 2}, "bad-request", 3),
        ({"timeout": 1.0}, "bad-request", 3),
    ],
)
def test_what_no_cluster_can_do_does_not_count_against_this_one(
    options: dict[str, object], code: str, found: int
) -> None:
    test = json.loads(BAD.read_text("utf-8"))
    result = check_ledger(Run(_refused(options, code), test))
    assert result.counts().get("unavailable", 0) == found
