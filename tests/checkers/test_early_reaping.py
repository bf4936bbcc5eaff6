"""What is forgotten is left nowhere: by logs made by hand."""

from __future__ import annotations

from typing import Any

import pytest
from dynamesis.checkers.graph.run import Run
from dynamesis.checkers.history.history import Op
from dynamesis.checkers.logs.logs import Event
from dynamesis.checkers.models.log_checkers import check_logs
from dynamesis.checkers.verdict import CheckerResult, Verdict
from log_lines import TEST, fault, history, line, logs, put

#: n1 and n2 hold v, then its tombstone t, and forget that
DEAD = ("n1", "n2")


def stored(at: float, node: str, *holds: str, why: str = "put", **fields: Any) -> Event:
    return line(at, node, "stored", key="k", why=why, hash="0", holds=list(holds), **fields)


def reaped(at: float, node: str) -> list[Event]:
    return [line(at, node, "reaped", key="k"), line(at, node, "deleted", key="k")]


def life(begun: float = 1.0, reap: float = 5.0) -> list[Event]:
    held = [stored(begun, node, "v") for node in DEAD]
    held += [stored(begun + 1, node, "t") for node in DEAD]
    return held + [event for node in DEAD for event in reaped(reap, node)]


def verdict(*lines: Event, ops: tuple[list[Op], ...] = (), **test: Any) -> CheckerResult:
    h = history(put("1.1", 0.2, 0.3), *ops)
    return check_logs(Run(h, {**TEST, **test}), logs(*life(), *lines)).verdicts["reaping"]


def test_what_is_forgotten_everywhere_and_written_anew_is_right() -> None:
    found = verdict(stored(7, "n1", "w", why="stamp"), stored(7.1, "n2", "w"), stored(8, "n3", "t"))
    assert (found.verdict, found.details) == (Verdict.VALID, {"reaped": 1})


@pytest.mark.parametrize("more", [{}, {"hint_for": "n1"}])
def test_a_superseded_version_that_comes_back_is_an_anomaly(more: dict[str, str]) -> None:
    found = verdict(stored(6, "n3", "v", why="read-repair", **more), stored(6.5, "n1", "v"))
    (anomaly,) = found.anomalies
    assert anomaly.name == "early-reap"
    assert "n1, n2 forgot a tombstone of it at 5.000 s" in anomaly.why
    assert "by read-repair at 6.000 s v, which had been superseded there before" in anomaly.why


def test_a_hint_from_before_the_tombstone_that_is_still_there_is_an_anomaly() -> None:
    (anomaly,) = verdict(stored(1.5, "n4", "v", hint_for="n2")).anomalies
    assert anomaly.name == "early-reap"
    assert "n4 had kept a hint for n2 since before that tombstone" in anomaly.why


@pytest.mark.parametrize(
    "lines",
    [
        [stored(1.5, "n4", "v", hint_for="n2"), line(4, "n4", "deleted", key="k", hint_for="n2")],
        [stored(1.5, "n4", "v", hint_for="n2"), line(4, "n4", "start")],
        [stored(1.5, "n4", "v", hint_for="n2"), line(1.6, "n4", "undone", key="k", hint_for="n2")],
        [stored(4.5, "n4", "w", hint_for="n2", why="stamp")],
        [stored(4.5, "n4", "t", hint_for="n2")],
    ],
    ids=["handed off", "another life", "taken back", "a new write", "after it had come"],
)
def test_a_hint_that_may_be_gone_or_new_is_none(lines: list[Event]) -> None:
    assert verdict(*lines).verdict is Verdict.VALID


@pytest.mark.parametrize("how", ["start", "row-damaged", "deleted", "undone"])
def test_what_a_node_forgot_before_supersedes_nothing(how: str) -> None:
    forgot = [line(1.5, node, how, key="k") for node in DEAD]
    assert verdict(*forgot, stored(6, "n3", "v")).verdict is Verdict.VALID


def test_an_older_disk_may_bring_back_anything() -> None:
    old = fault(1, "kill", 2, 3, nodes=["n3"], disk="copied")
    found = verdict(stored(6, "n3", "v"), ops=(old,))
    assert found.verdict is Verdict.VALID
    assert "an older disk" in (found.skipped or "")
