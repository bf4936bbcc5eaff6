"""What checking costs, drawn: a page with a chart of time and one of memory.

Both axes are logarithmic, so that a power law is a straight line and its exponent the
slope. The page needs no other file: tables and inline SVG, no script.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from math import ceil, floor, log10
from pathlib import Path
from typing import Any

import jinja2
from dynamesis.harness.report.words import shown
from dynamesis.harness.results.documents import JsonObject

#: pixels
WIDTH, HEIGHT, MARGIN = 640, 320, 56
#: as many as there are cases, distinct to the colour-blind too (Okabe and Ito)
COLOURS = (
    "#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000", "#8a6100",
)  # fmt: skip


@dataclass(frozen=True)
class Axis:
    """A logarithmic axis over whole powers of ten, from pixel `start` to `end`."""

    low: int
    high: int
    start: float
    end: float

    @classmethod
    def over(cls, values: Sequence[float], start: float, end: float) -> Axis:
        """The powers of ten around these values."""
        low, high = floor(log10(min(values))), ceil(log10(max(values)))
        return cls(low, max(high, low + 1), start, end)

    def place(self, value: float) -> float:
        """The pixel of a value."""
        share = (log10(value) - self.low) / (self.high - self.low)
        return round(self.start + share * (self.end - self.start), 1)

    def ticks(self) -> Iterator[tuple[float, str]]:
        """Pixel and label of each power of ten."""
        for power in range(self.low, self.high + 1):
            yield self.place(10**power), f"{10**power:,}" if power >= 0 else f"{10.0**power:g}"


def bench_page(rows: Sequence[Mapping[str, Any]], growth: Mapping[str, float]) -> str:
    """The page of measurements (`bench.Measurement` as plain data) and exponents by case."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        finalize=shown,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    colours = dict(zip(dict.fromkeys(row["case"] for row in rows), COLOURS, strict=False))
    charts = [
        _chart("CPU seconds to load and check", "cpu_s", rows),
        _chart("peak memory, MiB", "peak_mib", rows),
    ]
    template = environment.get_template("bench.html.j2")
    size = {"width": WIDTH, "height": HEIGHT, "margin": MARGIN}
    return template.render(rows=rows, growth=growth, charts=charts, colours=colours, **size)


def _chart(title: str, field: str, rows: Sequence[Mapping[str, Any]]) -> JsonObject:
    """A field against the number of operations: axes, and by case the points of its line."""
    # a clock too coarse for the smallest case shows 0, which has no logarithm
    values = [max(float(row[field]), 0.001) for row in rows]
    x = Axis.over([row["operations"] for row in rows], MARGIN, WIDTH - 12)
    y = Axis.over(values, HEIGHT - MARGIN / 2, 12)
    placed = [
        (row["case"], x.place(row["operations"]), y.place(value))
        for row, value in zip(rows, values, strict=True)
    ]
    lines = {case: [at for _, *at in same] for case, same in groupby(placed, lambda p: p[0])}
    return {"title": title, "x": list(x.ticks()), "y": list(y.ticks()), "lines": lines}
