"""The frame that every static plot over time has: the time axis, the faults as bands with their
names, the phases as dashed lines. Times are in s since the test began, lengths in pixels."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

from dynamesis.harness.report.pictures.svg import CHARACTER, Drawing, short

WIDTH, LEFT, RIGHT, TOP = 1000, 76, 14, 44
#: pixels below a plot for its axis and one line of a legend
BELOW = 58


class Frame:
    """A plot under way, `height` pixels high without its axis."""

    def __init__(self, title: str, height: float, length: float, drawn: Mapping[str, Any]) -> None:
        """`drawn` as plots.facts has it."""
        course = drawn["course"]
        self.drawing = Drawing(title, WIDTH, TOP + height + BELOW)
        self.length = max(length, 1e-3)
        self.bottom = TOP + height
        self._bands(course["faults"])
        self._phases(course["phases"])
        self._axis(drawn["axis"])

    def x(self, seconds: float) -> float:
        """The place of an instant."""
        share = min(max(seconds / self.length, 0.0), 1.0)
        return LEFT + (WIDTH - LEFT - RIGHT) * share

    def legend(self, entries: Mapping[str, str]) -> None:
        """The last line: by name the class of a sample."""
        at = float(LEFT)
        for name, cls in entries.items():
            name = short(name, 28)
            y = self.bottom + 48
            if "thin" in cls:
                self.drawing.path([(at, y - 4), (at + 22, y - 4)], cls)
            else:
                self.drawing.rect(at, y - 10, 14, 11, cls, radius=2)
            self.drawing.text(at + 28, y, name, "soft")
            at += 52 + len(name) * CHARACTER

    def _bands(self, faults: list[Mapping[str, Any]]) -> None:
        free = float(LEFT)
        for fault in faults:
            x, end = self.x(fault["from"]), self.x(fault["to"])
            hint = f"{fault['words']}: {fault['effect']}"
            self.drawing.rect(x, TOP, end - x, self.bottom - TOP, "band", radius=0, hint=hint)
            name = short(fault["family"], 14)
            if x >= free and x + len(name) * CHARACTER < WIDTH:
                self.drawing.text(x, TOP - 4, name, "soft")
                free = x + (len(name) + 1) * CHARACTER

    def _phases(self, phases: list[Mapping[str, Any]]) -> None:
        free = 0.0
        for phase in phases:
            x, name = self.x(phase["at"]), short(phase["name"], 12)
            self.drawing.path([(x, TOP - 14), (x, self.bottom)], "line dash")
            left = min(max(x - 2, free), WIDTH - len(name) * CHARACTER)
            if left >= free:
                self.drawing.text(left, 14, name, "bold")
                free = left + (len(name) + 1.5) * CHARACTER

    def _axis(self, label: str) -> None:
        self.drawing.line(LEFT, self.bottom, WIDTH - RIGHT, self.bottom)
        for tick in ticks(self.length, 10):
            x = self.x(tick)
            self.drawing.line(x, self.bottom, x, self.bottom + 5)
            self.drawing.text(x, self.bottom + 18, f"{tick:g}", "soft", "middle")
        self.drawing.text(WIDTH - RIGHT, self.bottom + 33, label, "soft", "end")


def ticks(most: float, count: int) -> Iterator[float]:
    """Round numbers from 0 to `most`, at most `count` of them and 0."""
    step = 10.0 ** math.floor(math.log10(most / count))
    step *= next(factor for factor in (1, 2, 5, 10, 20) if most / (step * factor) <= count)
    for i in range(int(most / step * 1.000001) + 1):
        yield round(i * step, 9)
