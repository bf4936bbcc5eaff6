"""The timeline as static SVG: operations by client, coloured by outcome, those of the anomalies
ringed in red; below a lane for each node that was down, paused or cut off."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from dynamesis.checkers.history.history import History
from dynamesis.checkers.history.pairing import INVOKE, OK, Ints
from dynamesis.harness.report.pictures.intervals import label_of
from dynamesis.harness.report.pictures.svg import CHARACTER, Drawing, number, short
from dynamesis.harness.report.plots.columns import OPEN, lanes, owners
from dynamesis.harness.report.plots.frame import TOP, WIDTH, Frame

#: classes by outcome, and what each means
OUTCOMES = {
    "ok": "ok",
    "fail": "failed for certain",
    "info": "outcome unknown",
    "open": "never ended",
}
#: pixels of all lanes of clients, of one at most, of one of a node
TALL, LANE, NODE = 420, 22, 24
#: bars that are elements of their own, each with its words; operations that are ringed
WORDED, RINGED = 1500, 200


@dataclass
class _Bar:
    """Operations of one lane and outcome that are less than a pixel apart."""

    lane: int
    outcome: int
    left: float
    right: float
    row: int
    many: int = 1


def timeline_picture(h: History, drawn: Mapping[str, Any], cited: Iterable[int]) -> Drawing | None:
    """`drawn` as plots.facts has it, `cited`: the events that the anomalies cite. None without
    operations."""
    rows = np.flatnonzero((h.kind == INVOKE) & (h.process >= 0))
    if not len(rows):
        return None
    course = drawn["course"]
    lane = lanes(h.process[rows], h.time[rows], h.time[np.maximum(h.pair[rows], 0)])
    count = int(lane.max()) + 1
    high = min(float(LANE), TALL / count)
    nodes = sorted({state["node"] for state in course["states"]})
    height = count * high + len(nodes) * NODE + (10 if nodes else 0)
    length = float(h.time[-1]) / 1e9 * 1.01
    frame = Frame("operations over time, a lane a client", height, length, drawn)
    _bars(frame, h, _merged(frame, h, rows, lane), high)
    _rings(frame, h, rows, lane, high, set(cited))
    _nodes(frame, nodes, course["states"], TOP + count * high + 10)
    names = [h.name_of(process) for process in owners(h.process[rows])] or range(count)
    for i, name in enumerate(names if count <= 30 else ()):
        frame.drawing.text(66, TOP + high * (i + 0.5) + 4, short(name, 8), "soft", "end")
    label = "process" if len(owners(h.process[rows])) else "client"
    frame.drawing.text(4, TOP - 4, label, "soft")
    ringed = {"cited by an anomaly": "ring"} if set(cited) else {}
    frame.legend({words: name for name, words in OUTCOMES.items()} | ringed)
    return frame.drawing


def _merged(frame: Frame, h: History, rows: Ints, lane: Ints) -> list[_Bar]:
    found: list[_Bar] = []
    last: dict[tuple[int, int], _Bar] = {}
    end = h.pair[rows]
    outcome = np.where(end >= 0, h.kind[np.maximum(end, 0)] - OK, OPEN)
    until = np.where(end >= 0, h.time[np.maximum(end, 0)], h.time[-1])
    columns = (rows, lane, outcome, h.time[rows], until)
    for row, i, kind, begun, ended in zip(*(c.tolist() for c in columns), strict=True):
        left, right = frame.x(begun / 1e9), frame.x(ended / 1e9)
        before = last.get((i, kind))
        if before is not None and left - before.right < 0.5 and right - left < 2:
            before.right, before.many = max(before.right, right), before.many + 1
            continue
        found.append(_Bar(i, kind, left, max(right, left + 1), row))
        last[i, kind] = found[-1]
    return found


def _bars(frame: Frame, h: History, bars: list[_Bar], high: float) -> None:
    """Each bar with its words; where they are many, one path for each outcome."""
    classes = list(OUTCOMES)
    if len(bars) <= WORDED:
        for bar in bars:
            more = f" and {bar.many - 1} more" if bar.many > 1 else ""
            hint = f"{h.name_of(int(h.process[bar.row]))}: {label_of(h, bar.row)}{more}"
            y = TOP + high * (bar.lane + 0.1)
            width = bar.right - bar.left
            frame.drawing.rect(bar.left, y, width, high * 0.8, classes[bar.outcome], 1, hint)
        return
    for kind, cls in enumerate(classes):
        steps = [f"M{number(b.left)},{number(TOP + high * (b.lane + 0.5))}H{number(b.right)}"
                 for b in bars if b.outcome == kind]  # fmt: skip
        if steps:
            frame.drawing.add("path", d="".join(steps), cls=f"thin {cls}",
                              style=f"stroke-width:{number(high * 0.8)}px")  # fmt: skip


def _rings(frame: Frame, h: History, rows: Ints, lane: Ints, high: float, cited: set[int]) -> None:
    end = h.pair[rows]
    fits = np.isin(rows, list(cited)) | np.isin(end, list(cited))
    for row, i, at in zip(rows[fits][:RINGED], lane[fits], end[fits], strict=False):
        x = frame.x(h.seconds(int(row)))
        to = frame.x(h.seconds(int(at))) if at >= 0 else float(WIDTH)
        width = max(to - x, 3)
        frame.drawing.rect(x - 1, TOP + high * i, width + 2, high, "ring", 2,
                           f"index {row}: {label_of(h, int(row))}")  # fmt: skip


def _nodes(frame: Frame, nodes: list[str], states: Iterable[Mapping[str, Any]], top: float) -> None:
    """A lane a node: red while it is down, paused or cut off, with words where there is room."""
    place = {node: top + NODE * i for i, node in enumerate(nodes)}
    for node, y in place.items():
        frame.drawing.text(66, y + 15, short(node, 8), "bold", "end")
        frame.drawing.line(frame.x(0), y + NODE / 2, frame.x(frame.length), y + NODE / 2)
    free = dict.fromkeys(nodes, 0.0)
    for state in sorted(states, key=lambda each: float(each["from"])):
        x, end = frame.x(state["from"]), frame.x(state["to"])
        y, words = place[state["node"]], state["state"]
        frame.drawing.rect(x, y + 3, end - x, NODE - 6, "badband", 1, f"{state['node']} {words}")
        if len(words) * CHARACTER < end - x and x >= free[state["node"]]:
            frame.drawing.text(x + 3, y + 16, words)
            free[state["node"]] = x + len(words) * CHARACTER
