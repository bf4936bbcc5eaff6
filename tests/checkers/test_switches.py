"""Under one layout a partition moves once: by logs made by hand."""

from __future__ import annotations

from typing import Any

import pytest
from dynamesis.checkers.graph.run import Run
from dynamesis.checkers.logs.logs import Event
from dynamesis.checkers.models.log_checkers import check_logs
from dynamesis.checkers.verdict import CheckerResult, Verdict
from log_lines import TEST, history, line, logs, put


def serves(at: float, gained: Any = (), lost: Any = (), node: str = "n1", layout: int = 2) -> Event:
    return line(at, node, "serves", layout=layout, gained=list(gained), lost=list(lost))


def layout(at: float, version: int = 2, node: str = "n1") -> Event:
    return line(at, node, "layout", version=version, members=[], owners=["n1"], gone=[])


def verdict(*lines: Event) -> CheckerResult:
    h = history(put("1.1", 0.2, 0.3))
    found = [layout(0.5), serves(0.5, gained=[9]), *lines]
    return check_logs(Run(h, TEST), logs(*found)).verdicts["switches"]


def test_each_partition_that_moves_once_is_right() -> None:
    found = verdict(serves(1, gained=[0, 1]), serves(2, lost=[2]), serves(3, gained=[3]))
    assert (found.verdict, found.details) == (Verdict.VALID, {"lines": 4})


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [("lost", "gained", "n1 served it again at 2.000 s what it had ceased to serve at 1.000 s"),
     ("gained", "lost", "n1 ceased to at 2.000 s what it had begun to serve at 1.000 s")],
)  # fmt: skip
def test_one_that_goes_back_is_an_anomaly(one: str, other: str, expected: str) -> None:
    (anomaly,) = verdict(serves(1, **{one: [0]}), serves(2, **{other: [0]})).anomalies
    assert anomaly.name == "early-ownership"
    assert expected in anomaly.why
    assert (anomaly.data["node"], anomaly.data["partition"]) == ("n1", 0)


@pytest.mark.parametrize("between", [layout(1.5, 3), layout(1.5), line(1.5, "n1", "start")])
def test_another_layout_or_life_begins_anew(between: Event) -> None:
    assert verdict(serves(1, lost=[0]), between, serves(2, gained=[0])).verdict is Verdict.VALID


def test_what_a_layout_itself_changes_is_not_a_switch() -> None:
    """A node that missed a layout loses with the next one what that had moved, and may take it
    over again under this."""
    late = [layout(1, 4), serves(1, lost=[0], layout=4), serves(2, gained=[0], layout=4)]
    assert verdict(*late).verdict is Verdict.VALID
    assert verdict(*late, serves(3, lost=[0], layout=4)).counts() == {"early-ownership": 1}


def test_another_node_or_partition_means_nothing_of_this() -> None:
    others = [serves(1.5, lost=[5], node="n2"), serves(2, gained=[0], node="n2")]
    found = verdict(serves(1, lost=[0]), *others, serves(3, gained=[1]))
    assert found.verdict is Verdict.VALID


def test_each_partition_counts_once() -> None:
    back = [serves(1, lost=[0, 1]), serves(2, gained=[0, 1]), serves(3, lost=[0])]
    assert verdict(*back).counts() == {"early-ownership": 2}
