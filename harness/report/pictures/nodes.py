"""What each node did with a version, from the event logs: a lane a node, time to the right.

A filled mark: afterwards this copy of the key holds the version. A hollow one: it does not. So the
mark at which a lane goes from filled to hollow is where the version was lost there. A version is
known by its dot, which the line of its stamp gives beside the id of the write; of older logs,
without dots, only the line that stored the write is filled.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from dynamesis.checkers.explain.describe import listed
from dynamesis.checkers.logs.beside import UNTOUCHING, Beside, lost, mechanism
from dynamesis.checkers.logs.logs import Event
from dynamesis.harness.report.pictures.instants import clock
from dynamesis.harness.report.pictures.svg import Drawing, short

#: marks of a lane, and pixels
MOST, GUTTER, WIDTH, LANE, TOP = 14, 70, 780, 62, 34
#: lines that leave the copies of the key as they are
_ELSEWHERE = (*UNTOUCHING, "epoch-renewed")


def node_picture(beside: Beside, anomaly: Mapping[str, Any], shown: Any) -> Drawing | None:
    """The lanes of an anomaly about a version; `shown` is it as a value. None without lines."""
    id = lost(shown) or _id(anomaly)
    events = [e for e in beside.of(shown) if e["event"] not in _ELSEWHERE]
    if id is None or not events or beside.logs.began is None:
        return None
    upon = beside.written_upon(id)
    dots = {e["dot"] for e in events if e.get("request") == id and "dot" in e}
    heirs = {e["dot"] for e in events if e.get("request") in upon and "dot" in e}
    lanes: dict[str, list[tuple[Event, str]]] = {}
    for event in events:
        lanes.setdefault(event["node"], []).append((event, _state(event, id, dots, heirs)))
    kept = {node: _relevant(lane) for node, lane in sorted(lanes.items())}
    return _draw(beside, kept, id)


def _id(anomaly: Mapping[str, Any]) -> str | None:
    data = anomaly.get("data") or {}
    lacking = data.get("lacking")
    first = next(iter(lacking), None) if isinstance(lacking, dict) else None
    found = next((data[f] for f in ("id", "lower", "missing") if f in data), first)
    return found if isinstance(found, str) else None


def _state(event: Event, id: str, dots: set[str], heirs: set[str]) -> str:
    """Whether the copy holds the version afterwards, what replaced it, or neither."""
    holds = event.get("holds")
    if not isinstance(holds, list | tuple) or not dots:
        return "has" if event.get("request") == id else "lacks"
    if dots & set(holds):
        return "has"
    return "replaced" if heirs & set(holds) else "lacks"


def _relevant(lane: Sequence[tuple[Event, str]]) -> list[tuple[Event, str]]:
    """The marks at which the state of a copy changes, and the first and last beside them."""
    chosen: list[int] = []
    before: dict[object, str] = {}
    for i, (event, state) in enumerate(lane):
        copy = event.get("hint_for")
        if before.get(copy, "lacks") != state:
            chosen += [i]
        before[copy] = state
    held = bool(chosen) and any(lane[i][1] == "has" for i in chosen)
    shown = [*sorted(set(chosen))[: MOST - 1], *((len(lane) - 1,) if held else ())] or [0, -1]
    return [lane[i] for i in dict.fromkeys(i % len(lane) for i in shown)]


def _draw(beside: Beside, lanes: Mapping[str, list[tuple[Event, str]]], id: str) -> Drawing:
    began = beside.logs.began or 0
    stamps = sorted({e.get("mono", 0) for lane in lanes.values() for e, _ in lane})
    rank = {mono: i for i, mono in enumerate(stamps)}
    drawing = Drawing(
        f"what the nodes did with {short(id, 20)}", WIDTH, TOP + LANE * len(lanes) + 24
    )

    def x(event: Event) -> float:
        return GUTTER + 16 + (WIDTH - GUTTER - 90) * rank[event["mono"]] / max(1, len(stamps) - 1)

    spell = clock(mono - began for mono in stamps)
    for mono, anchor in ((stamps[0], "start"), (stamps[-1], "end")):
        at = GUTTER if anchor == "start" else WIDTH - 4
        drawing.text(at, 14, spell(mono - began), "soft", anchor)
    for i, (node, lane) in enumerate(lanes.items()):
        y = TOP + LANE * i + 18
        drawing.text(4, y + 4, short(node, 9), "bold")
        drawing.line(GUTTER, y, WIDTH, y)
        _lane(drawing, [(x(event), event, state) for event, state in lane], y, began)
    legend = f"filled: holds {short(id, 20)}; ring: only what replaced it; hollow red: neither"
    drawing.text(4, TOP + LANE * len(lanes) + 14, legend, "soft")
    return drawing


def _label(event: Event) -> str:
    """A line in a few words: "put of 4.39", "put of 4.39, hint for n3", "hint for n3 deleted"."""
    target = event.get("hint_for")
    if "why" not in event and target:
        return f"hint for {target} {event['event']}"
    request = f" of {event['request']}" if event.get("request") else ""
    return f"{mechanism(event)}{request}" + (f", hint for {target}" if target else "")


def _lane(
    drawing: Drawing, marks: Sequence[tuple[float, Event, str]], y: float, began: int
) -> None:
    cls = {"has": "good", "replaced": "hollow good", "lacks": "hollow badfill"}
    free = [float(GUTTER - 20)] * 2
    for x, event, state in marks:
        when = f"{(event.get('mono', 0) - began) / 1e9:.3f} s"
        label = short(_label(event), 26)
        holds = listed([str(dot) for dot in event.get("holds") or ()])
        drawing.circle(x, y, 6, cls[state], f"{when}: {label}; holds {short(holds, 200)}")
        width = len(label) * 7.0
        right = x + width > WIDTH
        left = x + 6 - width if right else x - 6
        row = next((i for i, end in enumerate(free) if end < left), None)
        if row is not None:
            tone = "bad" if state == "lacks" else "soft"
            anchor = "end" if right else "start"
            drawing.text(x + 6 if right else left, y + 21 + 14 * row, label, tone, anchor)
            free[row] = left + width
