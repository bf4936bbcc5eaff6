"""Requests that want answers of their coordinator's zone (`local`)."""

from __future__ import annotations

from typing import Any

import pytest
from dynamesis.checkers.dynamo.quorum import check_ledger
from dynamesis.checkers.graph.run import Run
from dynamesis.checkers.history.op import Op, OpError
from log_lines import fault, history, op

ZONES = {"n1": "a", "n2": "a", "n3": "b", "n4": "b"}
RING = {"partitions": 4, "owners": ["n1", "n3", "n2", "n4"], "n": 4, "zones": ZONES}
TEST: dict[str, Any] = {
    "nodes": list(ZONES), "n": 4, "r": 2, "w": 2, "ring": RING, "sloppy": True, "grace": 1.0
}  # fmt: skip
DOWN = fault(1, "kill", 2, 20, nodes=["n2"])


def write(local: int, coordinator: str, **end: Any) -> list[Op]:
    worth = {"replicas": 3, "primaries": 3, "durable": 3, "coordinator": coordinator}
    done = end or {"type": "ok", "worth": worth}
    return [
        op(10, process=1, f="put", key="k", id="1.1", value=1, options={"local": local}),
        op(11, process=1, f="put", key="k", id="1.1", node="n1", **done),
    ]


def anomalies(*ops: list[Op]) -> dict[str, int]:
    return dict(check_ledger(Run(history(*ops), TEST)).counts())


@pytest.mark.parametrize(
    ("local", "coordinator", "found"),
    [(2, "n1", {"impossible-ack": 1}), (1, "n1", {}), (2, "n3", {})],
)
def test_an_answer_needs_the_zone_of_its_coordinator(
    local: int, coordinator: str, found: dict[str, int]
) -> None:
    assert anomalies(DOWN, write(local, coordinator)) == found


def test_a_zone_that_is_whole_can_answer() -> None:
    assert anomalies(write(2, "n1")) == {}


def test_a_refusal_is_excused_where_a_zone_lacks_nodes() -> None:
    """The coordinator may have been of either zone."""
    refused = {"type": "fail", "error": OpError("write-quorum", True)}
    assert anomalies(DOWN, write(2, "n1", **refused)) == {}
    assert anomalies(write(2, "n1", **refused)) == {"unavailable": 1}
