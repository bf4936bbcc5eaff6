"""Instants and durations in words: those that differ read differently."""

from __future__ import annotations

import pytest
from dynamesis.checkers.history.history import History, Op
from dynamesis.harness.report.pictures.instants import clock, clock_of, duration


@pytest.mark.parametrize(
    ("instants", "words"),
    [
        ([0, 5_000_000_000], ["0.000 s", "5.000 s"]),
        ([18_000_000_000, 18_000_400_000], ["18.000000 s", "18.000400 s"]),
        ([18_000_000_000, 18_000_000_007], ["18.000000000 s", "18.000000007 s"]),
        ([1_000_000, 1_250_000], ["1.000 ms", "1.250 ms"]),
        ([2_000, 9_000], ["2.000 \u00b5s", "9.000 \u00b5s"]),
        ([3, 40], ["3 ns", "40 ns"]),
        ([0], ["0.000 s"]),
        ([], []),
    ],
)
def test_the_digits_follow_from_what_is_shown_together(
    instants: list[int], words: list[str]
) -> None:
    spell = clock(instants)
    assert [spell(each) for each in instants] == words


def test_a_history_without_times_has_indices() -> None:
    h = History.of([Op(process=1, f="read"), Op(type="ok", process=1, f="read", value=1)])
    h.time[:] = 0
    assert clock_of(h, [0, 1])(1) == "index 1"


@pytest.mark.parametrize(
    ("ns", "words"),
    [(0, "0.0 ms"), (41_200_000, "41.2 ms"), (12_300, "12.3 \u00b5s"), (20, "20 ns")],
)
def test_a_duration_is_never_nothing_where_it_is_not(ns: int, words: str) -> None:
    assert duration(ns) == words
