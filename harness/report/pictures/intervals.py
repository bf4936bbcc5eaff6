"""Operations as intervals of time, one lane a process: as Porcupine draws a register.

An operation takes effect at some instant between its invocation and its completion. What the
proof cites is outlined in red, and what was under way beside it is there to compare. A register
has a band for each value that it must have held from one instant to another: two bands that overlap
are what cannot be ordered.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from dynamesis.checkers.history.history import History
from dynamesis.checkers.history.pairing import FAIL, INVOKE, OK
from dynamesis.harness.report.pictures.svg import Drawing, short

#: operations that are drawn, and pixels
MOST, GUTTER, WIDTH, LANE, BAR, TOP = 36, 92, 760, 40, 24, 30
_CLASS = {OK: "ok", FAIL: "fail"}


def interval_picture(h: History, anomaly: Mapping[str, Any]) -> Drawing | None:
    """The cited operations of clients and what overlaps them on the same key; None where the
    proof cites none."""
    cited = _invocations(h, anomaly["ops"])
    if not cited:
        return None
    rows = _around(h, cited)
    lanes = {process: i for i, process in enumerate(dict.fromkeys(int(h.process[r]) for r in rows))}
    bands = _held(h, rows, cited) if anomaly["name"] == "nonlinearizable" else []
    scale = _Scale(h, rows)
    height = TOP + LANE * (len(lanes) + len(bands)) + 26
    title = f"{anomaly['name']}: operations in time, a lane a process"
    drawing = Drawing(title, WIDTH, height)
    _axis(drawing, scale, height)
    for process, i in lanes.items():
        y = TOP + LANE * i + LANE / 2
        drawing.text(4, y + 4, short(f"process {h.name_of(process)}", 13), "soft")
        drawing.line(GUTTER, y, WIDTH, y)
    for row in rows:
        y = TOP + LANE * lanes[int(h.process[row])] + (LANE - BAR) / 2
        _bar(drawing, scale, row, y, row in cited)
    for i, (value, first, last) in enumerate(bands):
        y = TOP + LANE * (len(lanes) + i) + (LANE - BAR) / 2
        x, end = scale.x(first), scale.x(last)
        drawing.rect(x, y, end - x, BAR, "badband", hint=f"must have held {value}")
        drawing.text(4, y + 16, "must hold", "bad")
        drawing.text(min(x + 4, WIDTH - 120), y + 16, short(value, 24), "bad")
    return drawing


class _Scale:
    """Pixels by rank of the events, mixed with their times: short operations stay visible."""

    def __init__(self, h: History, rows: Sequence[int]) -> None:
        self.h = h
        ends = [int(h.pair[r]) for r in rows if h.pair[r] >= 0]
        self.events = sorted({*rows, *ends})
        self.low, self.high = self.events[0], self.events[-1]
        self.rank = {row: i for i, row in enumerate(self.events)}

    def x(self, row: int) -> float:
        span = max(1, int(self.h.time[self.high] - self.h.time[self.low]))
        share = float(self.h.time[row] - self.h.time[self.low]) / span
        rank = self.rank.get(row, 0) / max(1, len(self.events) - 1)
        return GUTTER + 4 + (WIDTH - GUTTER - 16) * (0.3 * share + 0.7 * rank)


def _invocations(h: History, ops: Sequence[int]) -> set[int]:
    """The invocations of the cited events of clients."""
    found = set()
    for row in ops:
        if 0 <= row < len(h) and h.process[row] >= 0:
            begun = row if h.kind[row] == INVOKE or h.pair[row] < 0 else int(h.pair[row])
            found.add(begun)
    return found


def _around(h: History, cited: set[int]) -> list[int]:
    """The cited operations, and those on their keys that overlap the time from the first to the
    last; the nearest, where they are many."""
    first, last = min(cited), max(int(h.pair[r]) if h.pair[r] >= 0 else r for r in cited)
    keys = {int(h.key_of[r]) for r in cited}
    rows = np.arange(first, last + 1)
    same = np.isin(h.key_of[rows], list(keys))
    rows = rows[(h.kind[rows] == INVOKE) & (h.process[rows] >= 0) & same]
    most = MOST if len(rows) <= MOST or last - first < 200 else 14
    near = np.min(np.abs(rows[:, None] - np.array(sorted(cited))[None, :]), axis=1)
    kept = rows[np.argsort(near, kind="stable")[:most]].tolist()
    return sorted({*kept, *sorted(cited)[:MOST]})


def _held(h: History, rows: Sequence[int], cited: set[int]) -> list[tuple[str, int, int]]:
    """By value of a cited operation: from when until when the register must have held it: from the
    first end to the last beginning of the operations with it."""
    by_value: dict[str, list[int]] = {}
    for row in rows:
        end = int(h.pair[row])
        if end >= 0 and h.kind[end] == OK:
            by_value.setdefault(h.spelled(h.value_of(end)), []).append(row)
    held = []
    for value, same in by_value.items():
        first, last = min(int(h.pair[r]) for r in same), max(same)
        if cited & set(same) and first < last:
            held.append((value, first, last))
        elif cited & set(same):
            held.append((value, last, first))
    return held


def _axis(drawing: Drawing, scale: _Scale, height: float) -> None:
    for row, anchor in ((scale.low, "start"), (scale.high, "end")):
        x = scale.x(row)
        drawing.line(x, TOP - 8, x, height - 20)
        drawing.text(x, 14, f"{scale.h.seconds(row):.3f} s", "soft", anchor)
    drawing.text(GUTTER, height - 4, "time; not to scale where much happens", "soft")


def _bar(drawing: Drawing, scale: _Scale, row: int, y: float, cited: bool) -> None:
    h, end = scale.h, int(scale.h.pair[row])
    x = scale.x(row)
    to = scale.x(end) if end >= 0 else float(WIDTH - 6)
    kind = int(h.kind[end]) if end >= 0 else -1
    label = label_of(h, row)
    drawing.rect(x, y, to - x, BAR, "box bad" if cited else "box", hint=f"{label} (index {row})")
    drawing.rect(x, y + BAR - 4, to - x, 4, _CLASS.get(kind, "info"), radius=0)
    room = int((to - x - 6) / 6.7)
    if room >= 3:
        drawing.text(x + 5, y + 14, short(label, room), "bad" if cited else "")


def label_of(h: History, row: int) -> str:
    """An operation in a few characters: "write 3", "read: 3", "get: 0.1"."""
    end = int(h.pair[row])
    f = h.fs[h.f[row]]
    if end >= 0 and h.shown[end] and f in ("get", "dump"):
        return f"{f}: {', '.join(short(s.id, 16) for s in h.siblings(end)[:4]) or 'nothing'}"
    known = end if end >= 0 and h.value[end] >= 0 else row
    value = short(h.spelled(h.value_of(known)), 30) if h.value[known] >= 0 else ""
    id = f" {short(h.ids[h.id[row]], 14)}" if h.id[row] >= 0 else ""
    return f"{f}{id} {value}".strip()
