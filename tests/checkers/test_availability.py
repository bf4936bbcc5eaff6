"""Availability by second, by node, and by side of a cut."""

from __future__ import annotations

import pytest
from dynamesis.checkers.dynamo.outages import sides
from dynamesis.checkers.graph.run import Run
from dynamesis.checkers.history.history import History, Op
from dynamesis.checkers.measure.availability import availability

SECOND = 1_000_000_000


@pytest.mark.parametrize(
    ("grudge", "expected"),
    [
        ([["n1"], ["n2", "n3"]], [("n1",), ("n2", "n3")]),
        ({"n1": ["n2", "n3"], "n4": ["n3", "n2"]}, [("n1", "n4"), ("n2", "n3")]),
        ({"n1": ["n2"], "n2": ["n1"]}, [("n1",), ("n2",)]),
        (None, []),
    ],
)
def test_sides_are_nodes_that_cannot_reach_the_same_others(grudge, expected) -> None:
    assert sides(grudge) == expected


def test_each_side_of_a_cut_is_measured_second_by_second() -> None:
    """Before the cut n1 fails once; in it n1 fails one of two, n2 and n3 none."""
    nemesis = {"type": "info", "process": "nemesis"}
    ops = [
        *_asked(0, "n1", "fail"),
        Op(time=1, f="start-cut", value={"fault": 1, "grudge": [["n1"], ["n2", "n3"]]}, **nemesis),
        *_asked(SECOND, "n1", "fail"),
        *_asked(SECOND + 5, "n2", "ok"),
        *_asked(2 * SECOND, "n1", "ok"),
        *_asked(2 * SECOND, "n3", "ok"),
        Op(time=3 * SECOND, f="stop-cut", value={"fault": 1}, **nemesis),
    ]
    history = History.of(ops)
    assert availability(Run(history)) == {
        "by_second": {"0": 0.0, "1": 0.5, "2": 1.0},
        "by_node": {"n1": 0.3333, "n2": 1.0, "n3": 1.0},
        "by_side": [
            {
                "index": 2,
                "kind": "cut",
                "sides": {
                    "n1": {"all": 0.5, "by_second": {"1": 0.0, "2": 1.0}},
                    "n2, n3": {"all": 1.0, "by_second": {"1": 1.0, "2": 1.0}},
                },
            }
        ],
    }


def _asked(time: int, node: str, how: str) -> list[Op]:
    end = {"siblings": []} if how == "ok" else {}
    return [
        Op(time=time, process=1, f="get", key="k"),
        Op(time=time, type=how, process=1, f="get", key="k", node=node, **end),  # type: ignore[arg-type]
    ]
