"""How often a test that failed still fails: a number, and how well it is known.

Only repeated runs count: the first was chosen because it failed, and would make the rate too high.
A run without a verdict changes no rate; it uses up a rerun all the same."""

from __future__ import annotations

from collections.abc import Iterable

from dynamesis.harness.campaign.budget import Budget
from dynamesis.harness.campaign.journal import CellRun
from dynamesis.harness.results.documents import JsonObject
from dynamesis.harness.results.interval import interval


def rate(runs: Iterable[CellRun], wanted: float | None = None) -> JsonObject | None:
    """Of the runs of one cell: `failed` of the `tried` reruns that have a verdict, their `rate`,
    its 95% interval from `low` to `high` which is `width` wide, all from 0 to 1, the width that was
    `wanted`, if any, and whether the rate is `known` to it. None if there was no rerun."""
    again = [run.verdict for run in runs if run.rerun]
    if not again:
        return None
    failed = again.count("invalid")
    tried = failed + again.count("valid")
    low, high = interval(failed, tried)
    return {
        "failed": failed,
        "tried": tried,
        "rate": round(failed / tried, 4) if tried else None,
        "low": round(low, 4),
        "high": round(high, 4),
        "width": round(high - low, 4),
        "wanted": wanted,
        "known": None if wanted is None else high - low <= wanted,
    }


def due(runs: Iterable[CellRun], budget: Budget) -> int:
    """How many reruns of a cell may still be made: none once its rate is known."""
    listed = tuple(runs)
    found = rate(listed, budget.width)
    if found is not None and found["known"]:
        return 0
    return max(0, budget.reruns - sum(run.rerun for run in listed))
