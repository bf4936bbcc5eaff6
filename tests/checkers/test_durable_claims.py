"""An answer claims no more durable copies than the nodes' logs have: by logs made by hand."""

from __future__ import annotations

from typing import Any

import pytest
from dynamesis.checkers.graph.run import Run
from dynamesis.checkers.models.log_checkers import check_logs
from dynamesis.checkers.verdict import CheckerResult, Verdict
from log_lines import TEST, fault, history, line, logs, put

MEMORY = {"durable": False}


def stored(node: str, what: str = "stored", id: str = "1.1", **more: Any) -> dict[str, Any]:
    return dict(line(1.1, node, what, key="k", request=id, why="put", hash="aa", **more))


def verdict(claimed: Any, *lines: Any, ops: Any = ()) -> CheckerResult:
    worth = {"worth": {"replicas": 3, "durable": claimed}}
    h = history(put("1.1", 1, 1.2, **worth), ops)
    return check_logs(Run(h, TEST), logs(*lines)).verdicts["durability"]


ONE = (stored("n1", **MEMORY), stored("n2"), stored("n3", **MEMORY))


def test_as_many_as_the_logs_have_are_right() -> None:
    found = verdict(1, *ONE)
    assert (found.verdict, found.details) == (Verdict.VALID, {"writes": 1})
    assert verdict(0, *ONE).verdict is Verdict.VALID


def test_more_than_that_is_an_impossible_answer() -> None:
    (anomaly,) = verdict(2, *ONE).anomalies
    assert (anomaly.name, anomaly.key, len(anomaly.ops)) == ("impossible-ack", "k", 2)
    assert anomaly.data == {"durable": ["n2"], "memory": ["n1", "n3"], "claimed": 2}
    assert "n2 acknowledged it once it was durable, n1, n3 from memory" in anomaly.why


@pytest.mark.parametrize(
    "more",
    [
        stored("n1"),  # another try had it written
        stored("n3", what="held"),
        stored("n4", hint_for="n3"),
    ],
)
def test_whatever_has_it_on_a_disk_counts(more: dict[str, Any]) -> None:
    assert verdict(2, *ONE, more).verdict is Verdict.VALID


def test_a_hint_in_memory_does_not_count_nor_does_another_write() -> None:
    assert verdict(2, *ONE, stored("n4", hint_for="n3", **MEMORY)).verdict is Verdict.INVALID
    assert verdict(2, *ONE, stored("n1", id="2.1")).verdict is Verdict.INVALID


@pytest.mark.parametrize(("start", "valid"), [(1.5, True), (20.0, False), (0.2, False)])
def test_a_node_that_ended_meanwhile_may_have_lost_its_line(start: float, valid: bool) -> None:
    kill = fault(1, "kill", start, start + 5, nodes=["n3"])
    assert verdict(2, *ONE, ops=kill).verdict.json is valid


def test_without_a_line_from_memory_nothing_is_judged() -> None:
    found = verdict(3, stored("n1"))
    assert found.verdict is Verdict.VALID
    assert "from memory" in (found.skipped or "")
