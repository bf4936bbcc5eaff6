"""Findings as text for a terminal, and as a plot."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any

from dynamesis.harness.experiments.base import Experiment, Findings, Plot
from dynamesis.harness.report.pictures.svg import Drawing

#: pixels of the plot: the whole, and its margins
WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 720, 320, 72, 200, 28, 268
_COLOURS = ("ok", "fail", "info", "good")


def as_text(experiment: Experiment, found: Findings) -> str:
    """The table, what the paper reports, and the notes."""
    lines = [f"{experiment.name}: {experiment.about} (section {experiment.section})", ""]
    for columns, rows in groupby(found.rows, key=tuple):
        lines += [*_table(columns, list(rows)), ""]
    lines += [f"paper: {found.paper}"]
    if found.error is not None:
        lines.append(f"model: the largest distance from it is {found.error:.1%}")
    return "\n".join([*lines, *(f"note: {note}" for note in found.notes)])


def _table(columns: Sequence[str], rows: list[Mapping[str, Any]]) -> Iterator[str]:
    cells = [list(columns), *([_cell(row[column]) for column in columns] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    texts = [isinstance(rows[0][column], str) for column in columns]
    for line in cells:
        aligned = (
            cell.ljust(width) if text else cell.rjust(width)
            for cell, width, text in zip(line, widths, texts, strict=True)
        )
        yield "  ".join(aligned).rstrip()


def _cell(value: Any) -> str:
    if value is None:
        return "-"
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def as_plot(experiment: Experiment, plot: Plot) -> Drawing:
    """A line for each, what is a model dashed; both axes begin at the smallest value."""
    drawing = Drawing(f"{experiment.name}: {plot.y} by {plot.x}", WIDTH, HEIGHT)
    points = [point for line in plot.lines for point in line.points]
    across = _axis([x for x, _ in points], LEFT, WIDTH - RIGHT, plot.log)
    up = _axis([0.0, *(y for _, y in points)], BOTTOM, TOP, log=False)
    low, high = min(y for _, y in points), max(y for _, y in points)
    for value in sorted({min(0.0, low), high / 2, high}):
        drawing.line(LEFT, up(value), WIDTH - RIGHT, up(value))
        drawing.text(LEFT - 6, up(value) + 4, f"{value:.3g}", "soft", "end")
    first, last = min(x for x, _ in points), max(x for x, _ in points)
    drawing.text(LEFT, BOTTOM + 18, f"{first:.4g}", "soft")
    drawing.text(WIDTH - RIGHT, BOTTOM + 18, f"{last:.4g}", "soft", "end")
    drawing.text((LEFT + WIDTH - RIGHT) / 2, BOTTOM + 36, plot.x, "soft", "middle")
    drawing.text(LEFT, TOP - 8, plot.y, "soft")
    for i, line in enumerate(plot.lines):
        colour = _COLOURS[i % len(_COLOURS)]
        placed = [(across(x), up(y)) for x, y in line.points]
        drawing.path(placed, f"thin {colour}" + (" dash" if line.model else ""))
        for (x, y), (at, value) in zip(placed, line.points, strict=True):
            if not line.model:
                drawing.circle(x, y, 3, colour, f"{line.name}: {value:.4g} at {at:.4g}")
        row = TOP + 18 * i
        drawing.rect(WIDTH - RIGHT + 16, row - 4, 12, 4, colour, 0)
        drawing.text(WIDTH - RIGHT + 34, row + 3, line.name + (" (model)" if line.model else ""))
    return drawing


def _axis(values: list[float], start: float, end: float, log: bool) -> Callable[[float], float]:
    """Where a value is on an axis from `start` to `end`, in pixels."""

    def scaled(value: float) -> float:
        return math.log(value) if log else value

    low, high = scaled(min(values)), scaled(max(values))
    span = (high - low) or 1.0
    return lambda value: start + (end - start) * (scaled(value) - low) / span
