"""An operation that no order explains, as Porcupine shows it: operations as intervals, a lane a
process; on them, numbered, the longest order that explains what ended before.

Each operation takes effect at one instant of its interval. The line joins those instants in an
order that respects time; the operation in red is the one at which every such order ends. What the
object holds after this order, and after others (the checker keeps a few), is listed below.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from dynamesis.checkers.history.history import History
from dynamesis.checkers.history.pairing import FAIL, OK
from dynamesis.harness.report.pictures.instants import clock_of
from dynamesis.harness.report.pictures.intervals import FEW, NARROW
from dynamesis.harness.report.pictures.svg import CHARACTER, Drawing, short, wrapped

#: operations that are drawn, the last ones; and pixels
MOST, GUTTER, WIDTH, LANE, BAR, TOP, LINE = 24, 92, 780, 46, 26, 30, 17
_CLASS = {OK: "ok", FAIL: "fail"}


def linearization_picture(h: History, anomaly: Mapping[str, Any]) -> Drawing | None:
    """The picture of an anomaly whose data has `operations` and `orders` (models.objects); None
    of any other."""
    data = anomaly.get("data") or {}
    operations, orders = data.get("operations"), data.get("orders")
    if anomaly["name"] != "nonlinearizable" or not operations or not orders:
        return None
    stuck = int(data["step"])
    kept = sorted(operations, key=lambda op: (op["row"] != stuck, op["row"]))
    kept = sorted([kept[0], *kept[1:][-(MOST - 1) :]], key=lambda op: int(op["row"]))
    picture = _Lanes(h, kept, _states(kept, orders, stuck))
    for op in kept:
        picture.bar(op, stuck)
    picture.order([int(row) for row in orders[0]["order"]])
    picture.words()
    return picture.drawing


def _states(
    operations: Sequence[Mapping[str, Any]], orders: Sequence[Mapping[str, Any]], stuck: int
) -> list[tuple[str, str]]:
    """(text, class): what the object holds after each order, and what that leaves."""
    by_row = {int(op["row"]): op for op in operations}
    found = []
    for i, each in enumerate(orders):
        rows = [int(row) for row in each["order"]]
        steps = [by_row[row]["what"] for row in rows if row in by_row]
        way = ", ".join(short(step, 16) for step in steps[-6:])
        more = "\u2026, " if len(steps) > 6 or len(steps) < len(rows) else ""
        words = "The numbered order" if i == 0 else "Another order"
        found.append((f"{words} ({more}{way}): then it {each['state']}.", "soft"))
    return [*found, (f"\u2715 None of them leads to {by_row[stuck]['what']}.", "bad")]


class _Lanes:
    """The picture under way: places of events by their rank, which keeps short operations wide."""

    def __init__(
        self, h: History, operations: Sequence[Mapping[str, Any]], words: Sequence[tuple[str, str]]
    ) -> None:
        """`words`: the texts below the lanes, each with its class."""
        self.h = h
        self.by_row = {int(op["row"]): op for op in operations}
        events = {int(op["row"]) for op in operations}
        events |= {int(op["end"]) for op in operations if op["end"] is not None}
        self.rank = {row: i for i, row in enumerate(sorted(events))}
        self.lanes = {p: i for i, p in enumerate(dict.fromkeys(op["process"] for op in operations))}
        self.bottom = TOP + LANE * len(self.lanes)
        self.width = NARROW
        if len(events) > FEW or any(self.room(op) < len(op["what"]) for op in operations):
            self.width = WIDTH
        self.lines = [(line, cls) for text, cls in words for line in wrapped(text, self.width, 2)]
        height = self.bottom + 14 + LINE * len(self.lines)
        title = "nonlinearizable: the longest order of these operations, and the one beyond it"
        self.drawing = Drawing(title, self.width, height)
        self._frame(sorted(events))

    def _frame(self, events: Sequence[int]) -> None:
        spell = clock_of(self.h, events)
        for row, anchor in ((events[0], "start"), (events[-1], "end")):
            self.drawing.text(self.x(row), 14, spell(row), "soft", anchor)
        for process, i in self.lanes.items():
            y = TOP + LANE * i + LANE / 2
            self.drawing.text(4, y + 4, short(f"process {process}", 13), "soft")
            self.drawing.line(GUTTER, y, self.width, y)

    def x(self, row: int) -> float:
        return GUTTER + 4 + (self.width - GUTTER - 20) * self.rank[row] / max(1, len(self.rank) - 1)

    def span(self, op: Mapping[str, Any]) -> tuple[float, float]:
        """From where to where an operation is drawn."""
        end = op["end"]
        return self.x(int(op["row"])), float(self.width - 6) if end is None else self.x(int(end))

    def room(self, op: Mapping[str, Any]) -> int:
        """Characters that fit in the bar of an operation, be they bold."""
        x, to = self.span(op)
        return int((to - x - 26) / (CHARACTER + 0.6))

    def middle(self, op: Mapping[str, Any]) -> float:
        return TOP + LANE * self.lanes[op["process"]] + LANE / 2

    def bar(self, op: Mapping[str, Any], stuck: int) -> None:
        """An operation with its words; a dashed end where its outcome is not known."""
        (x, to), y = self.span(op), self.middle(op) - BAR / 2
        bad = op["row"] == stuck
        kind = int(self.h.kind[op["end"]]) if op["end"] is not None else -1
        hint = f"{op['what']} (index {op['row']})"
        self.drawing.rect(x, y, to - x, BAR, "box bad" if bad else "box", hint=hint)
        self.drawing.rect(x, y + BAR - 4, to - x, 4, _CLASS.get(kind, "info"), radius=0)
        room = self.room(op)
        if room >= 3:
            self.drawing.text(
                x + (20 if bad else 6), y + 17, short(op["what"], room), "bad" if bad else ""
            )
        if bad:
            self.drawing.text(x + 6, y + 16, "\u2715", "bad")

    def order(self, rows: Sequence[int]) -> None:
        """The line through the instants at which the operations take effect: each as early as its
        own invocation, and what comes before it, allow."""
        shown = [self.by_row[row] for row in rows if row in self.by_row]
        left_out = len(rows) - len(shown)
        points: list[tuple[float, float]] = []
        for op in shown:
            x, to = self.span(op)
            after = points[-1][0] + 3 if points else 0.0
            points.append((min(max(x + 11, after), max(to - 3, x)), self.middle(op) - BAR / 2))
        self.drawing.path(points, "thin ok")
        for i, (x, y) in enumerate(points):
            self.drawing.circle(x, y, 8, "ok")
            self.drawing.text(x, y + 4, i + 1 + left_out, "number", "middle")

    def words(self) -> None:
        """What the object holds after each order, below the lanes."""
        for i, (line, cls) in enumerate(self.lines):
            self.drawing.text(4, self.bottom + 14 + LINE * i, line, cls)
