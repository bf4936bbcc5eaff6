"""lost-hint, by the nodes' event logs: every place of an acknowledged write has a copy or a hint.

A put goes on after its answer until each of the key's N primaries has its copy, or another node
a hint for it. Whoever keeps one logs the write's id (`stored`, or `held` where that was no news:
request, and hint_for). A coordinator that finds nobody for a place says so (`unplaced`: primary,
and of the nodes that it might have asked, whether they were healthy). So a place of which
no log shows anything lacks a copy that nobody will hand off; without anti-entropy only a read
repairs it.

Not judged are writes about whose places the logs may not say everything: a process ended, or
stood still, while the coordinator was at work; or the membership changed then or later.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from .causality import NEVER, Causality
from .course import Course
from .logs import ENDING, Event, Logs
from .pairing import OK
from .ring import Ring
from .verdict import DESCRIBED, Anomaly, Verdict, judge, skip
from .words import fate, listed, name

#: ns after an acknowledgement in which a coordinator looks for those who are to keep the rest
WORKS = 3_000_000_000


@dataclass
class Kept:
    """What the logs say of one write: who stored a copy, who a hint for whom (target -> nodes),
    what the coordinator said of places that nobody took (primary -> line), and how many places
    the client asked for."""

    copies: set[str] = field(default_factory=set)
    hints: dict[str, set[str]] = field(default_factory=dict)
    unplaced: dict[str, Event] = field(default_factory=dict)
    places: int | None = None

    def excused(self, primary: str) -> bool:
        """Whether the coordinator had nobody left that was healthy."""
        line = self.unplaced.get(primary)
        left = None if line is None else line.get("left")
        return isinstance(left, Mapping) and not any(left.values())


def check_places(
    c: Causality, course: Course, test: Mapping[str, Any] | None, logs: Logs
) -> Verdict:
    """Judge the places of acknowledged writes."""
    ring = Ring.of(test)
    if ring is None or course.quiesced is None:
        return skip("needs the ring in test.json, and the end of the test")
    silent = sorted({*ring.members} - {*logs.by_node})
    if silent:
        return skip(f"there is no log of {listed(silent)}")
    kept = _kept(logs)
    if not any(one.copies for one in kept.values()):
        return skip("no log says which write a copy is of")
    found: list[Anomaly] = []
    judged, more = 0, 0
    for version in _judged(c, course):
        judged += 1
        known = kept.get(name(c, version), Kept())
        for primary in _lacking(c, ring, version, known):
            if len(found) < DESCRIBED:
                found.append(_anomaly(c, ring, version, primary, known))
            else:
                more += 1
    return judge(found, (), {"writes": judged}, {"lost-hint": more} if more else {})


def _kept(logs: Logs) -> dict[str, Kept]:
    """By id of a write."""
    found: dict[str, Kept] = {}
    for event in logs.events:
        id, what = event.get("request"), event["event"]
        if not isinstance(id, str) or not id:
            continue
        one = found.setdefault(id, Kept())
        if what in ("stored", "held"):
            target = event.get("hint_for")
            if target is None:
                one.copies.add(event["node"])
            else:
                one.hints.setdefault(str(target), set()).add(event["node"])
        elif what == "unplaced":
            one.unplaced[str(event.get("primary"))] = event
        elif what == "fewer-places" and isinstance(event.get("n"), int):
            one.places = event["n"]
    return found


def _judged(c: Causality, course: Course) -> Iterator[int]:
    """The acknowledged writes of which the logs must say where they went."""
    h, time = c.history, c.history.time
    ends = [_span(h, course, fault.started, fault.stopped, fault.kind) for fault in course.faults]
    ends += [(int(time[row]), int(time[row])) for row in course.found_dead]
    since = _settled(course)
    quiesced = course.quiesced or 0
    for version in np.flatnonzero(c.outcome == OK).tolist():
        begun, ended = int(c.written[version]), int(c.ended[version])
        if begun < since or ended > quiesced or h.process[begun] < 0:
            continue
        first, last = int(time[begun]), int(time[ended]) + WORKS
        if not any(start <= last and first <= end for start, end in ends):
            yield version


def _span(h: Any, course: Course, started: int, stopped: int | None, kind: str) -> tuple[int, int]:
    """When a process may have lost the end of its log (ns): as it is ended, and for the time
    that it stands still. Other faults cost no log anything."""
    family, begin = kind.partition(".")[0], int(h.time[started])
    if family == "pause":
        end = len(h) - 1 if stopped is None else stopped
        return begin, int(h.time[end]) + WORKS
    return (begin, begin + WORKS) if family in ENDING else (NEVER, -1)


def _settled(course: Course) -> int:
    """The row from which the ring is what it was at the end."""
    changes = [fault for fault in course.faults if fault.kind == "membership"]
    if not changes:
        return 0
    proved = [fault.proved if fault.bit and fault.settled else None for fault in changes]
    return NEVER if None in proved else max(row for row in proved if row is not None)


def _lacking(c: Causality, ring: Ring, version: int, known: Kept) -> Iterator[str]:
    """The primaries without copy, hint and excuse."""
    key = c.history.keys[int(c.key[version])]
    for primary in ring.primaries(key)[: known.places]:
        there = primary in known.copies or primary in known.hints
        if not there and not known.excused(primary):
            yield primary


def _anomaly(c: Causality, ring: Ring, version: int, primary: str, known: Kept) -> Anomaly:
    key = c.history.keys[int(c.key[version])]
    holders = [f"{node} a copy" for node in sorted(known.copies)]
    holders += [
        f"{node} a hint for {target}"
        for target, nodes in sorted(known.hints.items())
        for node in sorted(nodes)
    ]
    line = known.unplaced.get(primary)
    left = [n for n, well in ((line or {}).get("left") or {}).items() if well]
    spare = f" It could have gone to {listed(left)}, healthy to the coordinator." if left else ""
    why = (
        f"{fate(c, version)}, and its places are {listed(list(ring.primaries(key)))}. By the "
        f"nodes' logs {listed(holders, 'nothing')} was stored of it, and neither a copy on "
        f"{primary} nor a hint for it: nothing hands it off there.{spare}"
    )
    rows = (int(c.written[version]), int(c.ended[version]))
    data: dict[str, Any] = {"id": name(c, version), "primary": primary}
    data["copies"] = sorted(known.copies)
    data["hints"] = {target: sorted(nodes) for target, nodes in known.hints.items()}
    return Anomaly("lost-hint", why, key, rows, data)
