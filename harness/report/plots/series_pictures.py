"""Latency, rate, availability, siblings, hints and repairs as static SVG, on the time axis and
with the bands of the timeline."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from dynamesis.checkers.history.history import History
from dynamesis.checkers.history.pairing import INVOKE, OK, Ints
from dynamesis.harness.report.pictures.svg import Drawing, number
from dynamesis.harness.report.plots.facts import by_index
from dynamesis.harness.report.plots.frame import LEFT, RIGHT, TOP, WIDTH, Frame, ticks
from dynamesis.harness.report.plots.timeline_picture import timeline_picture

#: pixels
HEIGHT = 170
#: classes of lines in their order; dashes part those that colours do not
LINES = (
    "thin ok", "thin fail dash", "thin info dots", "thin good", "thin open dash", "thin ok dots",
    "thin fail", "thin good dash", "thin info",
)  # fmt: skip
Series = Mapping[str, Sequence[float | None]]


def plot_pictures(
    h: History, drawn: Mapping[str, Any], cited: Sequence[int]
) -> Iterator[tuple[str, Drawing]]:
    """(name, picture) of each plot of the page that there is data for. `drawn` as plots.facts
    has it, `cited`: the events that the anomalies cite."""
    h = h if drawn["timed"] else by_index(h)
    timeline = timeline_picture(h, drawn, cited)
    if timeline is None:
        return
    yield "timeline", timeline
    if not drawn["timed"]:
        return
    measured = drawn["measures"]
    yield "latency", _latency(h, drawn)
    copies = {**(measured.get("hints") or {}), **(measured.get("repairs") or {})}
    plots: dict[str, tuple[str, Series]] = {
        "rate": ("operations a second", measured["rate"]),
        "availability": ("share ok", drawn["availability"]),
        "siblings": ("siblings a get", measured["siblings"]),
        "hints-and-repairs": ("copies", copies),
    }
    for name, (label, named) in plots.items():
        if named:
            yield name, _series(name, label, named, drawn)


def _series(name: str, label: str, named: Series, drawn: Mapping[str, Any]) -> Drawing:
    measured = drawn["measures"]
    frame = Frame(f"{name.replace('-', ' ')} over time", HEIGHT, measured["length"] * 1.01, drawn)
    most = max((v for line in named.values() for v in line if v is not None), default=0) or 1.0

    def y(value: float) -> float:
        return frame.bottom - HEIGHT * value / (most * 1.06)

    for tick in ticks(most * 1.0001, 5):
        frame.drawing.line(LEFT, y(tick), WIDTH - RIGHT, y(tick))
        frame.drawing.text(LEFT - 6, y(tick) + 4, f"{tick:g}", "soft", "end")
    frame.drawing.text(4, TOP - 4, label, "soft")
    classes = dict(zip(named, LINES * (len(named) // len(LINES) + 1), strict=False))
    for each, line in named.items():
        _line(frame, measured, [None if v is None else y(v) for v in line], classes[each])
    frame.legend(classes)
    return frame.drawing


def _line(
    frame: Frame, measured: Mapping[str, Any], heights: Sequence[float | None], cls: str
) -> None:
    """A line through the middle of each window, broken where there is no value; one without
    neighbours is as long as its window."""
    size = measured["window"]
    points = list(zip(measured["at"], heights, strict=True))
    run: list[tuple[float, float]] = []
    for at, y in [*points, (0.0, None)]:
        if y is not None:
            run.append((at, y))
        elif run:
            middles = [(frame.x(begun + size / 2), high) for begun, high in run]
            begun, high = run[0]
            alone = [(frame.x(begun), high), (frame.x(begun + size), high)]
            frame.drawing.path(middles if len(run) > 1 else alone, cls)
            run = []


def _latency(h: History, drawn: Mapping[str, Any]) -> Drawing:
    """A point for each operation by its invocation, log scale, and the quantiles of those ok."""
    measured = drawn["measures"]
    frame = Frame("latency over time", HEIGHT * 1.3, measured["length"] * 1.01, drawn)
    rows = np.flatnonzero((h.kind == INVOKE) & (h.process >= 0) & (h.pair >= 0))
    took = np.maximum((h.time[h.pair[rows]] - h.time[rows]) / 1e6, 1e-3)
    low = math.floor(math.log10(float(took.min(initial=1e9)) if len(took) else 0.1))
    high = max(low + 1, math.ceil(math.log10(float(took.max(initial=1e-3)))))

    def y(ms: float) -> float:
        share = (math.log10(max(ms, 1e-3)) - low) / (high - low)
        return frame.bottom - (frame.bottom - TOP) * share

    for decade in range(low, high + 1):
        frame.drawing.line(LEFT, y(10.0**decade), WIDTH - RIGHT, y(10.0**decade))
        frame.drawing.text(LEFT - 6, y(10.0**decade) + 4, f"{10.0**decade:g} ms", "soft", "end")
    _points(frame, h, rows, [y(ms) for ms in took.tolist()])
    named = measured["latency"]
    classes = dict(zip(named, ("thin ink", "thin ink dash", "thin ink dots"), strict=False))
    for each, line in named.items():
        _line(frame, measured, [None if v is None else y(v) for v in line], classes[each])
    frame.legend({"ok": "ok", "failed for certain": "fail", "outcome unknown": "info", **classes})
    return frame.drawing


def _points(frame: Frame, h: History, rows: Ints, heights: Sequence[float]) -> None:
    """Small squares, one at most in each few pixels and of each outcome."""
    kinds = (h.kind[h.pair[rows]] - OK).tolist()
    at = [frame.x(ns / 1e9) for ns in h.time[rows].tolist()]
    places = [(round(x / 2), round(y / 2), k) for x, y, k in zip(at, heights, kinds, strict=True)]
    for kind, cls in enumerate(("ok", "fail", "info")):
        shown = sorted({(x, y) for x, y, k in places if k == kind})
        steps = "".join(f"M{number(x * 2 - 1.2)},{number(y * 2)}h2.4" for x, y in _spread(shown))
        if steps:
            frame.drawing.add("path", d=steps, cls=f"thin {cls}", style="stroke-width:2.4px")


def _spread(cells: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """All cells; of a crowd every second one, so that a picture keeps below a megabyte."""
    crowd = len(cells) > 20_000
    return [b for a, b in pairwise([(0, 0), *cells]) if not crowd or sum(b) % 2 or a == b]
