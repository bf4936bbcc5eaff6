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


def agreed(at: float, node: str, since: float = 0.5) -> Event:
    """A primary forgets the tombstone, `since` seconds after it agreed to that."""
    return line(at, node, "reaped", key="k", agreed=since)


def by(at: float, node: str, request: str, why: str = "put", **fields: Any) -> Event:
    return stored(at, node, "t", why=why, request=request, **fields)


#: n1 agreed at 9 s, and had named the delete at 8.5 s
UNDER_WAY = (by(8.5, "n1", "2.1", "stamp"), by(8.6, "n2", "2.1"), agreed(9.5, "n1"))


@pytest.mark.parametrize(
    ("later", "words"),
    [
        (by(9.2, "n4", "2.1", hint_for="n3"), "n4 stored a copy of it at 9.200 s"),
        (by(9.7, "n3", "2.1"), "n3 stored a copy of it at 9.700 s"),
        (line(9.2, "n1", "unplaced", key="k", request="2.1"), "n1 found no node for a place"),
    ],
)
def test_a_write_that_was_under_way_when_its_coordinator_agreed_is_an_anomaly(
    later: Event, words: str
) -> None:
    (anomaly,) = verdict(*UNDER_WAY, later).anomalies
    assert anomaly.name == "early-reap"
    assert "although the write 2.1 was still under way" in anomaly.why
    assert words in anomaly.why


@pytest.mark.parametrize(
    "lines",
    [
        [by(8.9, "n4", "2.1", hint_for="n3")],
        [by(9.2, "n4", "2.1", "handoff")],
        [by(9.1, "n1", "2.1", "retry"), by(9.2, "n4", "2.1", hint_for="n3")],
        [by(9.1, "n1", "3.1", "stamp"), by(9.2, "n4", "3.1", hint_for="n3")],
        [line(8.8, "n1", "start"), by(9.2, "n4", "2.1", hint_for="n3")],
        [by(8.7, "n3", "4.1", "stamp"), by(9.2, "n4", "4.1", hint_for="n3")],
    ],
    ids=["before", "handed off", "tried again", "begun since", "another life", "of another node"],
)
def test_what_need_not_have_been_under_way_is_none(lines: list[Event]) -> None:
    assert verdict(*UNDER_WAY, *lines).verdict is Verdict.VALID


def test_where_frames_overtake_each_other_lateness_proves_nothing() -> None:
    given = {"member": "link.reorder"}
    found = verdict(*UNDER_WAY, by(9.7, "n3", "2.1"), ops=(fault(1, "link", 2, 3, **given),))
    assert found.verdict is Verdict.VALID


def test_an_older_disk_may_bring_back_anything() -> None:
    old = fault(1, "kill", 2, 3, nodes=["n3"], disk="copied")
    found = verdict(stored(6, "n3", "v"), ops=(old,))
    assert found.verdict is Verdict.VALID
    assert "an older disk" in (found.skipped or "")
