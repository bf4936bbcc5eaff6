"""What was asked of the membership comes about, by logs and answers made by hand."""

from __future__ import annotations

from typing import Any

import pytest
from dynamesis.checkers.graph.run import Run
from dynamesis.checkers.history.history import Op
from dynamesis.checkers.logs.logs import Event
from dynamesis.checkers.models.log_checkers import check_logs
from dynamesis.checkers.verdict import CheckerResult, Verdict
from log_lines import NODES, TEST, fault, history, line, logs, op, put

FOUR, FIVE = list(NODES), [*NODES, "n5"]


def asked(at: float = 5, node: str = "n1", kind: str = "join", of: str = "n5") -> Event:
    return line(at, node, "change-proposed", change=f"{kind}-{of}", kind=kind, of=of)


def layout(at: float, members: list[str] = FOUR, **fields: Any) -> Event:
    version = fields.pop("version", 2)
    fields = {"version": version, "members": members, "owners": ["n1"], **fields}
    return line(at, "n1", "layout", **fields)


def answers(members: list[str], *others: list[str]) -> list[Op]:
    """What each node answers of the members, the last ones otherwise."""
    views = [members] * (len(NODES) - len(others)) + [*others]
    return [
        op(70, type="info", process="harness", f="membership",
           value={"node": node, "members": view, "owners": ["n1"]})
        for node, view in zip(NODES, views, strict=True)
    ]  # fmt: skip


def verdict(members: list[Op], *lines: Event, quieted: bool = True) -> CheckerResult:
    joining = fault(0, "membership", 5, 20, joins=["n5"], leaves=[], removes=[])
    h = history(put("1.1", 0.2, 0.3), joining, members)
    if not quieted:
        h = history(put("1.1", 0.2, 0.3), op(55, type="info", process="harness", f="quiesce",
                    value={"quiet": False}), members)  # fmt: skip
    return check_logs(Run(h, TEST), logs(layout(0.1, version=1), *lines)).verdicts["changes"]


def test_a_change_that_came_about_is_right() -> None:
    found = verdict(answers(FIVE), asked(), layout(8, FIVE))
    assert (found.verdict, found.details) == (Verdict.VALID, {"asked": 1})


@pytest.mark.parametrize("kind", ["join", "leave", "remove"])
def test_one_that_was_accepted_and_is_in_no_view_is_stuck(kind: str) -> None:
    of = "n5" if kind == "join" else "n4"
    (anomaly,) = verdict(answers(FOUR), asked(kind=kind, of=of)).anomalies
    assert anomaly.name == "stuck"
    assert f"n1 accepted at 5.000 s that {of} is to" in anomaly.why
    assert (anomaly.data["node"], anomaly.data["of"]) == ("n1", of)


@pytest.mark.parametrize(
    "why_not",
    [
        [line(9, "n2", "change-passed-over", change="join-n5", reason="too few")],
        [line(9, "n1", "start")],
        [asked(9, kind="leave")],
        [layout(65, version=3)],
        [layout(8, version=3, target=["n5"])],
    ],
    ids=["passed over", "its node has started since", "asked otherwise", "moved late", "moves"],
)
def test_one_with_another_explanation_is_not_judged(why_not: list[Event]) -> None:
    assert verdict(answers(FOUR), asked(), *why_not).verdict is Verdict.VALID


def test_one_that_had_no_time_or_no_quiet_or_is_in_doubt_is_not_judged() -> None:
    assert verdict(answers(FOUR), asked(65)).verdict is Verdict.VALID
    assert verdict(answers(FOUR, FIVE), asked()).verdict is Verdict.VALID
    assert verdict(answers(FOUR), asked(node="n9")).verdict is Verdict.VALID
    assert "quiet" in str(verdict(answers(FOUR), asked(), quieted=False).skipped)
    assert "asked for a change" in str(verdict(answers(FOUR)).skipped)
