"""Operations as intervals of time, one lane a process: as Porcupine draws a register.

An operation takes effect at some instant between its invocation and its completion. What the
proof cites is outlined in red, and what was under way beside it is there to compare. A register
has a band for each value that the proof is about (models.linearizable_register): filled where it
must have held the value from one instant to another, outlined where it must have held it at some
instant in between. Filled bands that overlap, or an outlined one inside a filled one, are what
cannot be ordered.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from dynamesis.checkers.history.codes import VALUELESS
from dynamesis.checkers.history.history import History
from dynamesis.checkers.history.pairing import FAIL, INVOKE, OK
from dynamesis.harness.report.pictures.cycle import micro
from dynamesis.harness.report.pictures.instants import clock_of
from dynamesis.harness.report.pictures.svg import CHARACTER, Drawing, short

#: operations that are drawn, and pixels; BELOW the lanes is the label of a bar of the last one, and
#: the legend
MOST, GUTTER, WIDTH, LANE, BAR, TOP, BELOW = 36, 92, 760, 40, 24, 30, 36
#: events, characters of their words, and the pixels for so few: no scrolling on a phone
FEW, BRIEF, NARROW = 6, 28, 520
_CLASS = {OK: "ok", FAIL: "fail"}


def interval_picture(h: History, anomaly: Mapping[str, Any]) -> Drawing | None:
    """The cited operations of clients and what overlaps them on the same key; None where the
    proof cites none."""
    cited = _invocations(h, anomaly["ops"])
    if not cited:
        return None
    rows = _around(h, cited)
    lanes = {process: i for i, process in enumerate(dict.fromkeys(int(h.process[r]) for r in rows))}
    bands = _held(h, cited) if anomaly["name"] == "nonlinearizable" else []
    scale = _Scale(h, rows)
    height = TOP + LANE * (len(lanes) + len(bands)) + BELOW
    title = f"{anomaly['name']}: operations in time, a lane a process"
    drawing = Drawing(title, scale.width, height)
    _axis(drawing, scale, height)
    for process, i in lanes.items():
        y = TOP + LANE * i + LANE / 2
        drawing.text(4, y + 4, short(f"process {h.name_of(process)}", 13), "soft")
        drawing.line(GUTTER, y, scale.width, y)
    below = dict.fromkeys(lanes, scale.width)
    for row in reversed(rows):
        process = int(h.process[row])
        y = TOP + LANE * lanes[process] + (LANE - BAR) / 2
        if _bar(drawing, scale, row, y, row in cited, below[process]):
            below[process] = scale.x(row) - 6
    for i, band in enumerate(bands):
        _band(drawing, scale, band, TOP + LANE * (len(lanes) + i) + (LANE - BAR) / 2)
    _legend(drawing, h, rows, height)
    return drawing


class _Scale:
    """Pixels by rank of the events, mixed with their times: short operations stay visible."""

    def __init__(self, h: History, rows: Sequence[int]) -> None:
        self.h = h
        ends = [int(h.pair[r]) for r in rows if h.pair[r] >= 0]
        self.events = sorted({*rows, *ends})
        self.low, self.high = self.events[0], self.events[-1]
        self.rank = {row: i for i, row in enumerate(self.events)}
        self.rows = rows
        narrow = len(self.events) <= FEW and all(len(label_of(h, r)) <= BRIEF for r in rows)
        self.width = float(NARROW if narrow else WIDTH)

    def free(self, row: int) -> float:
        """Until where the lane of an operation is free behind it."""
        later = [r for r in self.rows if r > row and self.h.process[r] == self.h.process[row]]
        return self.x(min(later)) if later else self.width

    def taken(self, row: int) -> float:
        """Until where the lane of an operation is taken before it; its begin, where another
        operation is before it, whose label may be there."""
        process = self.h.process[row]
        first = not any(r < row and self.h.process[r] == process for r in self.rows)
        return float(GUTTER) if first else self.x(row)

    def x(self, row: int) -> float:
        span = int(self.h.time[self.high] - self.h.time[self.low])
        rank = self.rank.get(row, 0) / max(1, len(self.events) - 1)
        share = float(self.h.time[row] - self.h.time[self.low]) / span if span else rank
        return GUTTER + 4 + (self.width - GUTTER - 16) * (0.3 * share + 0.7 * rank)


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


@dataclass(frozen=True)
class _Band:
    """A value that a register held: throughout from one event to another (first: None for the
    beginning), or at one instant between them."""

    value: str
    first: int | None
    last: int
    throughout: bool


def _held(h: History, cited: set[int]) -> list[_Band]:
    """The zones of the values that the proof is about: it cites, of each, the operation that ended
    first and the one that began last. A value that no operation wrote is the one at first."""
    by_value: dict[str, list[int]] = {}
    for row in sorted(cited):
        end = int(h.pair[row])
        if end < 0 or h.kind[end] != OK or h.fs[h.f[row]] not in ("read", "write"):
            return []
        by_value.setdefault(h.spelled(h.value_of(end)), []).append(row)
    bands = []
    for value, same in by_value.items():
        first, last = min(int(h.pair[r]) for r in same), max(same)
        if not _written(h, same[0]):
            bands.append(_Band(value, None, last, throughout=True))
        else:
            bands.append(_Band(value, min(first, last), max(first, last), first < last))
    return bands


def _written(h: History, row: int) -> bool:
    """Whether some operation may have written the value that this one wrote, or read."""
    value = h.value_of(int(h.pair[row]))
    writes = (h.kind == INVOKE) & h.rows("write") & (h.key_of == h.key_of[row])
    return any(h.value_of(int(r)) == value for r in np.flatnonzero(writes)[:100_000])


def _band(drawing: Drawing, scale: _Scale, band: _Band, y: float) -> None:
    x = float(GUTTER) if band.first is None else scale.x(band.first)
    width = scale.x(band.last) - x
    words = f"{'held' if band.throughout else 'held at some instant'} {short(band.value, 24)}"
    cls = "badband" if band.throughout else "thin badline dash"
    drawing.rect(x, y, width, BAR, cls, hint=f"must have {words}")
    drawing.text(4, y + 16, "must have", "bad")
    room = len(words) * (CHARACTER + 0.6)
    if room + 8 <= width or x + width + 8 + room < scale.width:
        drawing.text(x + 4 if room + 8 <= width else x + width + 6, y + 16, words, "bad")
    else:
        drawing.text(max(x - 4, GUTTER + room), y + 16, words, "bad halo", "end")


def _axis(drawing: Drawing, scale: _Scale, height: float) -> None:
    spell = clock_of(scale.h, scale.events)
    for row, anchor in ((scale.low, "start"), (scale.high, "end")):
        x = scale.x(row)
        drawing.line(x, TOP - 8, x, height - BELOW + 4)
        drawing.text(x, 14, spell(row), "soft", anchor)
    middle = (GUTTER + scale.width) / 2
    drawing.text(middle, 14, "time, not to scale where much happens", "soft", "middle")


def _legend(drawing: Drawing, h: History, rows: Sequence[int], height: float) -> None:
    """What the colours mean, of those that are there."""
    kinds = {int(h.kind[h.pair[r]]) if h.pair[r] >= 0 else -1 for r in rows}
    at = float(GUTTER)
    shown = [("ok", "ok", OK in kinds), ("fail", "failed for certain", FAIL in kinds),
             ("info", "outcome unknown", bool(kinds - {OK, FAIL}))]  # fmt: skip
    for cls, words, there in shown:
        if there:
            drawing.rect(at, height - 12, 14, 4, cls, radius=0)
            drawing.text(at + 20, height - 6, words, "soft")
            at += 40 + len(words) * CHARACTER
    drawing.rect(at, height - 15, 14, 11, "box bad")
    drawing.text(at + 20, height - 6, "cited by the proof", "soft")


def _bar(drawing: Drawing, scale: _Scale, row: int, y: float, cited: bool, below: float) -> bool:
    """An operation, and whether its label is under its bar, where there is room until `below`."""
    h, end = scale.h, int(scale.h.pair[row])
    x = scale.x(row)
    to = scale.x(end) if end >= 0 else scale.width - 6
    kind = int(h.kind[end]) if end >= 0 else -1
    label = label_of(h, row)
    drawing.rect(x, y, to - x, BAR, "box bad" if cited else "box", hint=f"{label} (index {row})")
    drawing.rect(x, y + BAR - 4, to - x, 4, _CLASS.get(kind, "info"), radius=0)
    wide = CHARACTER + 0.6 * cited
    places = [
        _Place(int((to - x - 8) / wide), x + 5, y + 14),
        _Place(int((scale.free(row) - to - 8) / wide), to + 4, y + 14, halo=True),
        _Place(int((x - scale.taken(row) - 8) / wide), x - 4, y + 14, "end", halo=True),
        _Place(int((below - x) / wide), x, y + BAR + 13, halo=True),
    ]
    fits = [place for place in places if place.room >= len(label)]
    best = fits[0] if fits else max(places, key=lambda place: place.room)
    if best.room >= 3:
        tone = "halo " * best.halo + "bad" * cited
        drawing.text(best.x, best.y, short(label, best.room), tone.strip(), best.anchor)
    return best is places[-1]


@dataclass(frozen=True)
class _Place:
    """Where a label may be, and for how many characters there is room."""

    room: int
    x: float
    y: float
    anchor: str = "start"
    halo: bool = False


def label_of(h: History, row: int) -> str:
    """An operation in a few characters: "write 3", "read: 3", "get: 0.1"."""
    end = int(h.pair[row])
    f = h.fs[h.f[row]]
    if end >= 0 and h.shown[end] and f in ("get", "dump"):
        return f"{f}: {', '.join(short(s.id, 16) for s in h.siblings(end)[:4]) or 'nothing'}"
    known = end if end >= 0 and h.value[end] >= 0 else row
    value = _value(h, known) if f not in VALUELESS else ""
    if value and known == end and _sent_other(h, row, end):
        value = f"{_value(h, row)}: {value}"
    id = f" {short(h.ids[h.id[row]], 14)}" if h.id[row] >= 0 else ""
    return f"{f}{id} {value}".strip()


def _sent_other(h: History, row: int, end: int) -> bool:
    """Whether an answer has another value than the request, which had one too (an echo)."""
    if h.value[row] < 0 or h.value[row] == h.value[end] or h.fs[h.f[row]] == "txn":
        return False
    return h.value_of(row) is not None


def _value(h: History, row: int) -> str:
    """The value of an event in a few characters; a transaction by its steps."""
    if h.value[row] < 0:
        return ""
    value = h.value_of(row)
    if h.fs[h.f[row]] == "txn" and isinstance(value, list):
        asked = h.kind[row] == INVOKE
        return short("; ".join(micro(h, step, asked) for step in value[:6]), 60)
    return short(h.spelled(value), 30)
