"""All that the page's script draws, as one JSON object."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from dynamesis.checkers.graph.run import Run
from dynamesis.checkers.history.columns import History
from dynamesis.checkers.logs.logs import Logs
from dynamesis.checkers.measure.availability import availability
from dynamesis.harness.report.plots.columns import operations
from dynamesis.harness.report.plots.course import course
from dynamesis.harness.report.plots.measures import measures
from dynamesis.harness.results.documents import JsonObject

#: cuts whose sides have a line
CUTS = 8


def facts(run: Run, logs: Logs | None, results: Mapping[str, Any]) -> JsonObject:
    """{operations, course, measures, availability, ...}; times in s since the test began. A
    history without times has its indices instead, and `timed` is false."""
    timed = bool(run.history.time.any())
    run = run if timed else Run(by_index(run.history), run.test)
    measured = measures(run.history, logs)
    shares = _availability(run, results, measured)
    return {
        "operations": operations(run.history),
        "course": course(run),
        "measures": measured,
        "availability": shares,
        "sides": len(shares) > 1,
        "timed": timed,
        "axis": "s since the test began" if timed else "index (the history has no times)",
    }


def by_index(h: History) -> History:
    """The history with an event each second, so that the axis shows indices."""
    return replace(h, time=np.arange(len(h), dtype=np.int64) * 1_000_000_000)


def _availability(
    run: Run, results: Mapping[str, Any], measured: Mapping[str, Any]
) -> dict[str, list[float | None]]:
    """By window the share of ok of all that ended; and by side of each cut, while it lasted."""
    rate, at = measured["rate"], measured["at"]
    sums = [ok + fail + info for ok, fail, info in zip(*rate.values(), strict=True)]
    shares: dict[str, list[float | None]] = {
        "all": [
            round(ok / all, 3) if all else None for ok, all in zip(rate["ok"], sums, strict=True)
        ]
    }
    details = (results["checkers"].get("staleness") or {}).get("details") or {}
    measured_before: Mapping[str, Any] = details.get("availability") or availability(run)
    cuts: list[Any] = measured_before.get("by_side") or []
    faults = {fault.started: fault for fault in run.timeline.faults}
    h, size = run.history, measured["window"]
    for cut in cuts[:CUTS]:
        fault = faults.get(cut.get("index", -1))
        if fault is None:
            continue
        stop = fault.stopping if fault.stopping is not None else len(h) - 1
        first, last = h.seconds(fault.started), h.seconds(stop)
        for side, share in cut.get("sides", {}).items():
            line = shares.setdefault(f"side {side}", [None] * len(at))
            for i, t in enumerate(at):
                if first < t + size and t < last:
                    line[i] = share["by_second"].get(str(int(t)))
    return shares
