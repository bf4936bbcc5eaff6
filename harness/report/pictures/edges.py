"""Arrows between boxes that are in columns, one box a row: none crosses a box.

An arrow to the next row, or past no box, is straight. Another leaves its box at a side, goes down
the channel between two columns, and enters the row of its end from the side: that row has no other
box. Arrows that share a box or a channel are parted, so that each can be followed.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from dynamesis.harness.report.pictures.svg import Drawing

#: pixels
GUTTER, COLUMN, ROW, BOX = 70, 204, 78, 50
#: pixels between arrows that end at one box, and between those of one channel
_PORT, _TRACK = 22, 5
Place = tuple[float, float]
#: (from, to, whether it is red, whether it is dashed); the ends name boxes
Line = tuple[Any, Any, bool, bool]


def draw_edges(drawing: Drawing, place: Mapping[Any, Place], lines: Sequence[Line]) -> None:
    """Draws arrows between boxes; `place` has the middle of each box."""
    around = {i for i, line in enumerate(lines) if _blocked(place, place[line[0]], place[line[1]])}
    into: dict[Any, list[int]] = {}
    out: dict[Any, list[int]] = {}
    for i, (a, b, *_) in enumerate(lines):
        if i not in around:
            into.setdefault(b, []).append(i)
            out.setdefault(a, []).append(i)
    end = _ports(into, [place[line[0]][0] for line in lines])
    start = _ports(out, [place[line[1]][0] for line in lines])
    tracks: Counter[float] = Counter()
    entries: Counter[Any] = Counter()
    for i, (a, b, bad, dashed) in enumerate(lines):
        if i not in around:
            (x, y), (to_x, to_y) = place[a], place[b]
            tail, head = (x + start[i], y + BOX / 2), (to_x + end[i], to_y - BOX / 2)
            drawing.arrow(tail, head, 0.0, bad, dashed)
            continue
        _around(drawing, place[a], place[b], lines[i], tracks, entries)


def _ports(by_box: Mapping[Any, Sequence[int]], other: Sequence[float]) -> dict[int, float]:
    """How far from the middle of its box each straight arrow ends, in the order of the columns
    that they come from, or go to."""
    found: dict[int, float] = {}
    for numbers in by_box.values():
        ordered = sorted(numbers, key=lambda i: other[i])
        for n, i in enumerate(ordered):
            found[i] = (n - (len(ordered) - 1) / 2) * min(_PORT, (COLUMN - 60) / len(ordered))
    return found


def _around(
    drawing: Drawing, a: Place, b: Place, line: Line, tracks: Counter[float], entries: Counter[Any]
) -> None:
    """An arrow down the channel beside its column, on the side of its end."""
    _, target, bad, dashed = line
    side = 1 if b[0] > a[0] or (a[0] == b[0] and not bad) else -1
    channel = a[0] + side * COLUMN / 2
    x = channel + _TRACK * (tracks[channel] % 3 - 1)
    tracks[channel] += 1
    enters = -side if a[0] != b[0] else side
    y = b[1] + 9 * entries[target, enters]
    entries[target, enters] += 1
    leaves = (a[0] + side * (COLUMN / 2 - 10), a[1])
    comes = (b[0] + enters * (COLUMN / 2 - 10), y)
    drawing.elbow(leaves, x, comes, bad, dashed)


def _blocked(place: Mapping[Any, Place], a: Place, b: Place) -> bool:
    """Whether a straight arrow would run through a box between its ends, or along one."""
    start, end = (a[0], a[1] + BOX / 2), (b[0], b[1] - BOX / 2)
    return any(_through(start, end, box) for box in place.values())


def _through(start: Place, end: Place, box: Place) -> bool:
    left, right = box[0] - COLUMN / 2, box[0] + COLUMN / 2
    top, bottom = box[1] - BOX / 2 - 4, box[1] + BOX / 2 + 4
    if bottom <= start[1] + 8 or top >= end[1] - 8:
        return False
    slope = (end[0] - start[0]) / (end[1] - start[1])
    at = [start[0] + slope * (min(max(y, start[1]), end[1]) - start[1]) for y in (top, bottom)]
    return min(at) < right and max(at) > left
