"""Rates of a test's windows: the last is as wide as what is left of the test."""

from __future__ import annotations

import pytest
from dynamesis.checkers.history.history import History, Op
from dynamesis.harness.report.plots.measures import measures

SECOND = 1_000_000_000


@pytest.mark.parametrize(
    ("length", "window", "last"),
    [(6.02, 0.1, 0.02), (60.5, 1, 0.5), (61.25, 1, 0.25), (179.5, 2, 1.5), (500.5, 5, 1.25)],
)
def test_the_last_window_is_as_wide_as_what_is_left(
    length: float, window: float, last: float
) -> None:
    """One operation, at the end; a window counts as a quarter at least."""
    at = round(length * SECOND)
    asked = Op(time=at, process=0, f="write", key="k", value=1)
    history = History.of([asked, Op(time=at, type="ok", process=0, f="write", key="k", value=1)])
    found = measures(history, None)
    assert found["window"] == window
    rates = found["rate"]["ok"]
    assert rates[:-1] == [0] * (len(rates) - 1)
    assert rates[-1] == pytest.approx(1 / max(last, window / 4), abs=0.01)
