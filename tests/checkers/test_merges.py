"""A replica drops nothing that nothing it keeps replaces: by logs and histories made by hand."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest
from dynamesis.checkers.graph.run import Run
from dynamesis.checkers.history.history import Op
from dynamesis.checkers.logs.copy_lines import KINDS, NONE, copy_lines
from dynamesis.checkers.logs.logs import Event
from dynamesis.checkers.logs.merges import states_before
from dynamesis.checkers.models.log_checkers import check_logs
from dynamesis.checkers.verdict import CheckerResult, Verdict
from log_lines import TEST, get, history, line, logs, put

#: writes 1.1 and 2.1 are concurrent; 3.1 was written on a context that shows 1.1
OPS = (put("1.1", 1, 1.1), put("2.1", 1, 1.2), get(2, 2.1, "1.1"))
DOTS = {"1.1": "n1:a:1", "2.1": "n1:a:2", "3.1": "n2:b:1"}


def stored(at: float, node: str, *holds: str, why: str = "put", **fields: Any) -> Event:
    dots = [DOTS.get(each, each) for each in holds]
    hash = fields.pop("hash", " ".join(dots))
    return line(at, node, "stored", key="k", why=why, hash=hash, holds=dots, **fields)


def stamp(at: float, node: str, id: str, *holds: str) -> Event:
    return stored(at, node, *holds, why="stamp", dot=DOTS[id], request=id)


#: every write is named by some line
STAMPS = (
    stamp(1.01, "n1", "1.1", "1.1"),
    stamp(1.02, "n1", "2.1", "1.1", "2.1"),
    stamp(3.01, "n4", "3.1", "3.1"),
)


def upon() -> list[Op]:
    """3.1, upon what the get that is completed in row 7 of the history showed."""
    ops = history(*OPS).ops()
    (row,) = [op.index for op in ops if op.f == "get" and op.type == "ok"]
    return put("3.1", 3, 3.1, basis=row)


def verdict(*lines: Event, **test: Any) -> CheckerResult:
    h = history(*OPS, upon())
    return check_logs(Run(h, {**TEST, **test}), logs(*STAMPS, *lines)).verdicts["merges"]


def test_what_replaces_and_what_adds_is_right() -> None:
    lines = [stored(2, "n2", "1.1"), stored(3.5, "n2", "3.1"), stored(4, "n2", "3.1", "2.1")]
    held = line(5, "n2", "held", key="k", why="put", request="1.1", hash="n2:b:1 n1:a:2")
    assert verdict(*lines, held).verdict is Verdict.VALID


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        (
            [stored(2, "n2", "1.1", "2.1"), stored(3.5, "n2", "3.1")],
            "n2 dropped it from its copy by put at 3.500 s, and kept n2:b:1",
        ),
        (
            [stored(2, "n2", "1.1", hint_for="n3"), stored(3, "n2", "2.1", hint_for="n3")],
            "n2 dropped it from its hint for n3",
        ),
        (
            [stored(2, "n2", "3.1", request="2.1")],
            "n2 left it out of its copy as it came by put at 2.000 s",
        ),
        (
            [stored(2, "n2", "3.1"), line(3, "n2", "held", key="k", why="put", request="2.1",
                                         hash="n2:b:1")],
            "n2 took it for known at 3.000 s, by put, and it is not in its copy",
        ),
        (
            [stored(2, "n4", "2.1", hint_for="n2", hash="h"),
             stored(3, "n2", "3.1", why="handoff", incoming="h")],
            "n2 left it out of its copy as it came by handoff at 3.000 s",
        ),
    ],
)  # fmt: skip
def test_what_goes_without_being_replaced_is_an_anomaly(lines: list[Event], words: str) -> None:
    (anomaly,) = verdict(*lines).anomalies
    assert anomaly.name == "bad-merge"
    assert words in anomaly.why


@pytest.mark.parametrize("how", ["start", "row-damaged", "deleted", "undone"])
def test_what_a_node_forgot_before_was_not_dropped(how: str) -> None:
    lines = [stored(2, "n2", "2.1"), line(3, "n2", how, key="k"), stored(4, "n2", "3.1")]
    assert verdict(*lines).verdict is Verdict.VALID


def test_a_line_that_does_not_have_what_is_there_proves_nothing() -> None:
    """As of a node of an older version."""
    bare = line(3, "n2", "stored", key="k", why="put", request="3.1", hash="h")
    assert verdict(stored(2, "n2", "2.1"), bare, stored(4, "n2", "3.1")).verdict is Verdict.VALID


def test_a_dot_that_an_answer_gives_to_another_write_names_none() -> None:
    """Found in simulation: a disk lost its last rows with the power, so that the next write was
    stamped as the lost one had been, and the log was cut off before that."""
    lines = [stored(2, "n2", "1.1", "2.1"), stored(3.5, "n2", "3.1")]
    for dot, expected in ((DOTS["2.1"], Verdict.VALID), ("n1:a:3", Verdict.INVALID)):
        other = put("4.1", 4, 4.1, worth={"dot": dot})
        h = history(*OPS, upon(), other)
        assert (
            check_logs(Run(h, TEST), logs(*STAMPS, *lines)).verdicts["merges"].verdict is expected
        )


def test_a_version_that_no_line_names_may_replace_anything() -> None:
    found = verdict(stored(2, "n2", "2.1"), stored(3, "n2", "n3:c:1"))
    assert found.verdict is Verdict.VALID


@pytest.mark.parametrize("test", [{"params": {"clock": "vector"}}, {"reconcile": "lww"}])
def test_where_versions_may_be_dropped_nothing_is_judged(test: dict[str, Any]) -> None:
    assert verdict(stored(2, "n2", "2.1"), stored(3, "n2", "3.1"), **test).skipped


@pytest.mark.parametrize("seed", range(5))
def test_what_was_there_before_a_line_is_what_the_line_before_it_left(seed: int) -> None:
    """As found line by line: it is not known after a start, nor where a copy was deleted."""
    rng, there = Random(seed), dict[tuple[str, str, str], int]()
    lines = copy_lines(logs(*(any_line(rng, n) for n in range(400))))
    for row, (event, before) in enumerate(zip(lines.lines, states_before(lines), strict=True)):
        copy = (event["node"], str(event.get("key")), str(event.get("hint_for")))
        if event["event"] == "start":
            there = {other: state for other, state in there.items() if other[0] != copy[0]}
            continue
        assert before == there.get(copy, NONE), row
        if event["event"] != "held":
            there[copy] = int(lines.states[row])


def any_line(rng: Random, n: int) -> Event:
    """A line about one of few copies."""
    fields: dict[str, Any] = {"key": rng.choice("kl"), "hash": rng.choice("abc")}
    if rng.random() < 0.3:
        fields["hint_for"] = "n4"
    if rng.random() < 0.9:
        fields["holds"] = [fields["hash"]]
    return line(n / 10, rng.choice(("n1", "n2")), rng.choice(KINDS), **fields)
