"""What a reader of the nodes' logs needs of the timeline: which processes ended when, and, where
the membership changed, which ring was in force.

A SIGKILL costs a log its last moments; a paused node works later than it should.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from operator import itemgetter

import numpy as np
from dynamesis.checkers.dynamo.ring import CheckedRing
from dynamesis.checkers.history.arrays import alike
from dynamesis.checkers.history.history import History
from dynamesis.checkers.history.pairing import Bools, Ints
from dynamesis.checkers.history.timeline import Timeline
from dynamesis.checkers.logs.logs import ENDING, Logs, names

#: from when to when, ns since the test began
Window = tuple[int, int]


@dataclass(frozen=True)
class Endings:
    """The nodes whose logs may lack something of a span of time (ns), and that span."""

    spans: tuple[tuple[int, int, frozenset[str]], ...]
    _known: dict[tuple[int, int], frozenset[str]] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )

    @classmethod
    def of(cls, h: History, timeline: Timeline) -> Endings:
        """By the ledger of faults, and by what was found dead. Other faults cost no log
        anything."""
        spans = []
        for fault in timeline.faults:
            family, begun = fault.kind.partition(".")[0], int(h.time[fault.started])
            if family == "pause":
                over = len(h) - 1 if fault.stopped is None else fault.stopped
                spans.append((begun, int(h.time[over]), frozenset(names(fault))))
            elif family in ENDING or fault.detail == "lost-writes":
                done = fault.started if fault.begun is None else fault.begun
                spans.append((begun, int(h.time[done]), frozenset(names(fault))))
                # its power fails at the end; or the nodes are ended, or started anew, once more
                again = family in ("disk", "upgrade") or fault.fields.get("again_ms")
                if fault.stopped is not None and again:
                    at = int(h.time[fault.stopped])
                    spans.append((begun, at, frozenset(names(fault))))
        for row in timeline.found_dead:
            value = h.value_of(row)
            dead = value.get("nodes") if isinstance(value, dict) else None
            nodes = frozenset(map(str, dead if isinstance(dead, list) else ()))
            spans.append((0, int(h.time[row]), nodes))
        return cls(tuple(spans))

    @cached_property
    def _instants(self) -> tuple[list[int], list[int]]:
        """When spans start, and when they end, each in order."""
        starts, ends = sorted(s for s, _, _ in self.spans), sorted(e for _, e, _ in self.spans)
        return starts, ends

    def nodes(self, window: Window) -> frozenset[str]:
        """Whose logs may lack something of this time: the same for all windows that begin between
        the same ends of spans, and end between the same starts."""
        first, last = window
        starts, ends = self._instants
        about = bisect_left(ends, first), bisect_right(starts, last)
        found = self._known.get(about)
        if found is None:
            touched = [nodes for start, end, nodes in self.spans if start <= last and first <= end]
            found = self._known[about] = frozenset[str]().union(*touched)
        return found

    @property
    def every(self) -> Iterator[str]:
        """The nodes of all spans."""
        return (node for _, _, nodes in self.spans for node in nodes)

    def of_each(self, first: Ints, last: Ints, columns: Mapping[str, int]) -> Bools:
        """By window (from `first` to `last`) and node (in its column): as `nodes`."""
        starts, ends = (np.array(each, np.int64) for each in self._instants)
        about = ends.searchsorted(first) * (len(starts) + 1) + starts.searchsorted(last, "right")
        where, which = alike(about)
        windows = zip(first[where].tolist(), last[where].tolist(), strict=True)
        return table(map(self.nodes, windows), len(where), columns)[which]

    def hide(self, window: Window, nodes: Collection[str]) -> bool:
        """Whether the log of one of these may lack something of this time."""
        return not self.nodes(window).isdisjoint(nodes)


@dataclass(frozen=True)
class Rings:
    """The rings in force while nothing moved: (when it was first logged, ring), in order; and of
    all nodes together, and of each, when it logged a layout of which version."""

    known: tuple[tuple[int, CheckedRing], ...]
    last: CheckedRing
    versions: Mapping[str | None, list[tuple[int, int]]] = field(default_factory=dict)
    #: whether the membership changed
    changed: bool = False

    @classmethod
    def of(cls, logs: Logs, last: CheckedRing, timeline: Timeline) -> Rings:
        """By the layouts in the logs; `last` is the ring of test.json. One that is older than what
        was logged before is of a node that was away, or whose disk is an older one: it is not in
        force again."""
        known: list[tuple[int, CheckedRing]] = []
        highest = 0
        versions: dict[str | None, list[tuple[int, int]]] = {}
        for event in logs.of_kinds("layout"):
            version = event.get("version")
            if isinstance(version, int):
                seen = event.get("mono", 0), version
                versions.setdefault(event["node"], []).append(seen)
                if version < highest:
                    continue
                highest = version
                versions.setdefault(None, []).append(seen)
            if "owners" in event and "target" not in event:
                owners = tuple(event["owners"])
                if not known or known[-1][1].owners != owners:
                    known.append((event.get("mono", 0), replace(last, owners=owners)))
        changed = any(fault.kind == "membership" for fault in timeline.faults)
        return cls(tuple(known), last, versions, changed)

    def behind(self, monos: Ints, columns: Mapping[str, int]) -> Bools:
        """By instant and node (in its column): whether the node knew an older layout then than some
        other node: its disk is an older one, or it was away."""
        places = np.array(self._logged, np.int64).searchsorted(monos, "right")
        where, which = alike(places)
        each = ([n for n in columns if self._is_behind(n, p)] for p in places[where].tolist())
        return table(each, len(where), columns)[which]

    @cached_property
    def _logged(self) -> list[int]:
        """When any layout was logged: between two of these no node's layout changes."""
        return sorted({mono for seen in self.versions.values() for mono, _ in seen})

    def _is_behind(self, node: str, place: int) -> bool:
        """Whether a node knew an older layout after so many of these instants."""
        mono = self._logged[place - 1] if place else -1
        return node in self.versions and self._version(node, mono) < self._version(None, mono)

    def _version(self, node: str | None, mono: int) -> int:
        """The version of the last layout that a node, or any, had logged; 0 for none."""
        seen = self.versions.get(node, [])
        place = bisect_right(seen, mono, key=itemgetter(0))
        return seen[place - 1][1] if place else 0

    def at(self, mono: int | None) -> CheckedRing | None:
        """The ring of a write that began then, and during which nothing moved; None where that is
        not known."""
        if not self.changed:
            return self.last
        place = 0 if mono is None else bisect_right(self.known, mono, key=itemgetter(0))
        return self.known[place - 1][1] if place else None

    @property
    def members(self) -> Iterator[str]:
        """The nodes of all rings."""
        return (node for ring in (self.last, *(r for _, r in self.known)) for node in ring.owners)

    def of_each(self, monos: Ints) -> Ints:
        """By instant: which ring was in force, as a number (`ring`); -1 where that is not known."""
        if not self.changed:
            return np.zeros(len(monos), np.int64)
        return np.array([mono for mono, _ in self.known], np.int64).searchsorted(monos, "right") - 1

    def ring(self, number: int) -> CheckedRing:
        """The ring of this number."""
        return self.known[number][1] if self.changed else self.last


def table(rows: Iterable[Iterable[str]], count: int, columns: Mapping[str, int]) -> Bools:
    """By row, of which there are so many, and column: whether the row has the column's name."""
    places = [number * len(columns) + columns[n] for number, row in enumerate(rows) for n in row]
    marked = np.zeros(count * len(columns), np.bool_)
    marked[np.array(places, np.int64)] = True
    return marked.reshape(count, len(columns))
