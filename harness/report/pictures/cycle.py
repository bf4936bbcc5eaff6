"""A cycle: operations of which each must come before the next, and the last before the first.

Top to bottom in the order of the cycle, with the reason beside each arrow; the arrow that closes it
is red and goes back up on the left. However many operations there are, every reason can be read.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from dynamesis.checkers.history.history import History
from dynamesis.harness.report.pictures.instants import clock_of
from dynamesis.harness.report.pictures.svg import Drawing, short, wrapped

#: pixels
LEFT, BOX_WIDTH, BOX, GAP, LINE, WIDTH = 70, 420, 44, 78, 16, 520
#: operations of a cycle that are drawn
MOST = 24
#: what each kind of dependency means, for the legend beside the arrow
KINDS = {
    "ww": "overwrote", "wr": "was read", "rw": "read before it was written",
    "process": "same process", "realtime": "ended before it began",
}  # fmt: skip


def cycle_picture(h: History | None, anomaly: Mapping[str, Any]) -> Drawing | None:
    """The picture of an anomaly with a cycle in its data; None where there is none."""
    steps = (anomaly.get("data") or {}).get("cycle")
    if not isinstance(steps, list) or not steps:
        return None
    shown: Sequence[Mapping[str, Any]] = steps[:MOST]
    closing = wrapped(_reason(steps[-1]), WIDTH - 30, 3)
    height = 12 + len(shown) * (BOX + GAP) - GAP + 30 + LINE * (len(closing) - 1)
    drawing = Drawing(f"{anomaly['name']}: a cycle of {len(steps)} operations", WIDTH, height)
    known = [int(step["from"]) for step in shown if 0 <= int(step["from"]) < len(h or ())]
    spell = str if h is None else clock_of(h, known)
    for i, step in enumerate(shown):
        top = 12 + i * (BOX + GAP)
        _operation(drawing, h, i, int(step["from"]), top, spell)
        if i + 1 < len(shown):
            _arrow(drawing, step, top + BOX)
    bottom = 12 + (len(shown) - 1) * (BOX + GAP) + BOX
    _closing(drawing, closing, bottom)
    return drawing


def _reason(step: Mapping[str, Any]) -> str:
    kind = str(step["kind"])
    return f"{kind} ({KINDS.get(kind, kind)}): {step['why']}"


def _operation(
    drawing: Drawing, h: History | None, i: int, row: int, top: float, spell: Callable[[int], str]
) -> None:
    drawing.rect(LEFT, top, BOX_WIDTH, BOX, "box")
    drawing.text(LEFT + 12, top + 18, f"T{i + 1}", "bold")
    drawing.text(LEFT + 44, top + 18, _process(h, row, spell), "soft")
    drawing.text(LEFT + 44, top + 35, _did(h, row))


def _process(h: History | None, row: int, spell: Callable[[int], str]) -> str:
    if h is None or not 0 <= row < len(h):
        return f"index {row}"
    when = f", {spell(row)}" if h.time.any() else ""
    return f"process {h.name_of(int(h.process[row]))}, index {row}{when}"


def _did(h: History | None, row: int) -> str:
    """A transaction by its steps, another operation by its name and value."""
    if h is None or not 0 <= row < len(h):
        return ""
    value = h.value_of(row)
    if h.fs[h.f[row]] != "txn" or not isinstance(value, list):
        key = f" {h.keys[h.key_of[row]]}" if h.key_of[row] >= 0 else ""
        id = f" {h.ids[h.id[row]]}" if h.id[row] >= 0 else ""
        return short(f"{h.fs[h.f[row]]}{key}{id}", 54)
    return short("; ".join(micro(h, each) for each in value[:8]), 54)


def micro(h: History, step: Any, asked: bool = False) -> str:
    """A step of a transaction: "append x 1", "read x [1 2]"; as it was `asked` for, a read has no
    value yet: "read x"."""
    if not isinstance(step, list) or len(step) < 3:
        return short(h.spelled(step), 20)
    verb = {"r": "read", "w": "write"}.get(str(step[0]).lstrip(":"), str(step[0]).lstrip(":"))
    key = step[1] if isinstance(step[1], str) else h.spelled(step[1])
    unread = asked and step[2] is None
    value = "" if unread else f" {short(h.spelled(step[2]), 24)}"
    return f"{short(verb, 10)} {short(key, 12)}{value}"


def _arrow(drawing: Drawing, step: Mapping[str, Any], top: float) -> None:
    x = LEFT + 26
    drawing.arrow((x, top), (x, top + GAP), 0)
    for n, line in enumerate(wrapped(_reason(step), BOX_WIDTH - 50, 3)):
        drawing.text(x + 16, top + 24 + n * LINE, line)


def _closing(drawing: Drawing, reason: Sequence[str], bottom: float) -> None:
    y, first = bottom - BOX / 2, 12 + BOX / 2
    drawing.add("path", d=f"M{LEFT},{y:.1f} H24 V{first:.1f} H{LEFT - 8}", cls="badline")
    drawing.add("polygon", points=f"{LEFT},{first} {LEFT - 10},{first - 5} {LEFT - 10},{first + 5}",
                cls="badhead")  # fmt: skip
    for n, line in enumerate(reason):
        drawing.text(LEFT - 46, bottom + 22 + n * LINE, line, "bad")
