"""lost-hint, by the nodes' event logs: every place of an acknowledged write has a copy or a hint.

A put continues after its answer until each of the key's N primaries has its copy, or another node a
hint for it. The node that keeps one logs the write's id (`stored`, or `held` where it had that
already: request, and hint_for). Where its disk then failed, so that it refused the write, it logs
what was taken back (`undone`: hash, now). A coordinator that finds no node for a place logs that
(`unplaced`: primary, and of the nodes that it might have asked, whether they were healthy). So a
place of which no log shows anything lacks a copy that no node will hand off; without anti-entropy
only a read repairs it.

Where replicas compare nothing, they are dumped once their hints have been handed off and before
the final reads: then each holds what it, or a hint for it, was given, unless a disk forgot.

What was taken back is of the life of the process that logs so: what an earlier one stored is on
the disk, or was taken by a wipe, or by an older disk put back. And a disk that cannot be read
(`unreadable`) shows only that the refused state is not there.

Not judged are writes about whose places the logs may be incomplete: a process ended, or
was paused, while the coordinator was at work; the coordinator knew an older layout than another
node, as one does whose disk is an older one; or the membership changed.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import chain
from typing import Any

import numpy as np
from dynamesis.checkers.dynamo.freshness import Freshness
from dynamesis.checkers.dynamo.lww import is_lww
from dynamesis.checkers.dynamo.ring import CheckedRing
from dynamesis.checkers.explain.describe import contents, fate, listed, name, reading
from dynamesis.checkers.graph.causality import Causality
from dynamesis.checkers.graph.pace import placing
from dynamesis.checkers.graph.run import Run
from dynamesis.checkers.history.arrays import alike
from dynamesis.checkers.history.pairing import OK, Bools, Ints
from dynamesis.checkers.history.timeline import Timeline, hint_targets
from dynamesis.checkers.logs.copy_lines import NONE, copy_lines, lines_taken_back
from dynamesis.checkers.logs.endings import Endings, Rings, Window, table
from dynamesis.checkers.logs.logs import Event, Logs
from dynamesis.checkers.verdict import DESCRIBED, Anomaly, CheckerResult, judge, skip

#: ns after an acknowledgement in which a coordinator looks for nodes that keep the rest, where
#: replicas are not given more time than usual to answer
WORKS = 3_000_000_000


def works(test: Mapping[str, Any] | None) -> int:
    """WORKS, with the parameters of a test."""
    return WORKS + int(placing(test) * 1e9)


@dataclass(slots=True)
class Kept:
    """What the logs have of one write.

    copies: nodes that stored a copy
    hints: target -> nodes that stored a hint for it
    unplaced: primary -> line of the coordinator that found no node for its place
    places: how many places the client asked for; None: the N of the test
    stamped: its coordinators"""

    copies: set[str] = field(default_factory=set)
    hints: dict[str, set[str]] = field(default_factory=dict)
    unplaced: dict[str, Event] = field(default_factory=dict)
    places: int | None = None
    stamped: set[str] = field(default_factory=set)

    def others(self, endings: Endings, window: Window, places: tuple[str, ...]) -> frozenset[str]:
        """The nodes beyond its places whose processes ended then: one of them may have kept a
        hint."""
        return endings.nodes(window) - {*places}

    def excused(self, primary: str) -> bool:
        """Whether the coordinator had no healthy node left."""
        line = self.unplaced.get(primary)
        left = None if line is None else line.get("left")
        return isinstance(left, Mapping) and not any(left.values())


def check_places(run: Run, logs: Logs) -> CheckerResult:
    """Judge the places of acknowledged writes."""
    c, timeline, test = run.order, run.timeline, run.test
    ring = CheckedRing.of(test)
    if ring is None or timeline.quiesced is None:
        return skip("needs the ring in test.json, and the end of the test")
    silent = sorted({*ring.members} - {*logs.by_node})
    if silent:
        return skip(f"there is no log of {listed(silent)}")
    kept = logs.once(KeptById)
    if not np.any(~kept.lines.hints[kept.lines.numbers[kept.shown]]):
        return skip("no log names the write that a copy is of")
    found: list[Anomaly] = []
    more = 0
    dumps = Dumps.of(c, timeline, test or {})
    endings = Endings.of(c.history, timeline)
    judged = _Judged.of(run, logs, endings, Rings.of(logs, ring, timeline))
    for version, window, then in judged.each(lacking=not dumps.rows):
        known = kept[c.names[version]]
        for primary in _lacking(c, then, version, known, endings, window):
            if len(found) < DESCRIBED:
                found.append(_anomaly(c, then, version, primary, known))
            else:
                more += 1
        for row in dumps.without(c, version, known):
            if len(found) < DESCRIBED:
                found.append(_undelivered(c, version, row, known))
            else:
                more += 1
    count = len(judged.versions)
    return judge(found, (), {"writes": count}, {"lost-hint": more} if more else {})


@dataclass(frozen=True)
class _Judged:
    """The writes of which the logs must show the places: when their coordinators may have been at
    work (`first`, `last`, ns), the number of the ring among `rings`, and whether some primary may
    lack a copy and a hint."""

    versions: Ints
    first: Ints
    last: Ints
    ring: Ints
    lacks: Bools
    rings: Rings

    @classmethod
    def of(cls, run: Run, logs: Logs, endings: Endings, rings: Rings) -> _Judged:
        """But for those of whose coordinator the log may lack something, or which knew an older
        ring."""
        c, kept = run.order, logs.once(KeptById)
        versions, first, last = judged_writes(run)
        begun = first + logs.began if logs.began is not None else np.full(len(first), -1)
        named = [[name] if name is not None else [] for name in _coordinators(c, versions)]
        names = chain(kept.nodes, endings.every, rings.members, chain.from_iterable(named))
        columns = {name: column for column, name in enumerate(dict.fromkeys(names))}
        ids = [c.names[version] for version in versions.tolist()]
        # a write that no log names has the last row, in which there is nothing
        write = np.array([kept.numbers.get(id, NONE) for id in ids], np.int64)
        coordinators = kept.stamped(columns)[write] | table(named, len(versions), columns)
        # the line of a stamp may itself be lost; then it may be any of those that ended
        ended = endings.of_each(first, last, columns)
        coordinators |= ended & ~coordinators.any(axis=1, keepdims=True)
        hidden = (coordinators & (ended | rings.behind(begun, columns))).any(axis=1)
        ring = rings.of_each(begun)
        judged = np.flatnonzero((ring >= 0) & ~hidden)
        versions, ring = versions[judged], ring[judged]
        lacks = _primaries(c, versions, rings, ring, columns) & ~kept.placed(columns)[write[judged]]
        some: Bools = np.any(lacks, axis=1)
        return cls(versions, first[judged], last[judged], ring, some, rings)

    def each(self, lacking: bool) -> Iterator[tuple[int, Window, CheckedRing]]:
        """Each write; only those that lack something, where these are asked for."""
        rows = np.flatnonzero(self.lacks) if lacking else np.arange(len(self.versions))
        columns = (column[rows].tolist() for column in (self.versions, self.first, self.last))
        rings = map(self.rings.ring, self.ring[rows].tolist())
        for version, first, last, ring in zip(*columns, rings, strict=True):
            yield version, (first, last), ring


def _coordinators(c: Causality, versions: Ints) -> Iterator[str | None]:
    """By version: the coordinator that its answer names."""
    worth, nothing = c.history.worth, dict[str, Any]()
    for ended in c.ended[versions].tolist():
        named = worth.get(ended, nothing).get("coordinator")
        yield named if isinstance(named, str) else None


def _primaries(
    c: Causality, versions: Ints, rings: Rings, ring: Ints, columns: Mapping[str, int]
) -> Bools:
    """By version and node (in its column): whether the node is one of its places."""
    keys = c.history.keys
    where, which = alike(ring * len(keys) + c.key[versions])
    about = zip(ring[where].tolist(), c.key[versions[where]].tolist(), strict=True)
    primaries = (rings.ring(at).primaries(keys[key]) for at, key in about)
    return table(primaries, len(where), columns)[which]


@dataclass(frozen=True)
class Dumps:
    """What replicas held once all hints had been handed off, and before any read could repair
    them: (key, node) -> row of its dump, and which versions that row covers. Empty where
    replicas compare what they hold: then there are no such dumps."""

    rows: Mapping[tuple[int, str], int]
    covered: Mapping[int, Bools]
    removed: Bools
    fresh: Freshness

    @classmethod
    def of(cls, c: Causality, timeline: Timeline, test: Mapping[str, Any]) -> Dumps:
        """The dumps of the phase `quiesce`, if that ended quietly."""
        h, begin, end = c.history, timeline.phases.get("quiesce"), timeline.quiesced
        rows: dict[tuple[int, str], int] = {}
        if timeline.quiet and begin is not None and end is not None and not is_lww(test):
            shown = np.flatnonzero((h.kind == OK) & h.rows("dump"))
            shown = shown[(shown > begin) & (shown < end)]
            hints = hint_targets(h, shown)
            for row in shown.tolist():
                if row not in hints:
                    rows[int(h.key_of[row]), h.nodes[h.replica[h.pair[row]]]] = row
        covered = {row: c.covered(np.array(c.siblings_of(row), np.int64)) for row in rows.values()}
        removed = c.covered(np.flatnonzero(c.deletes & c.may_take_effect))
        return cls(rows, covered, removed, Freshness.of(timeline, test))

    def without(self, c: Causality, version: int, known: Kept) -> Iterator[int]:
        """The dumps of nodes that lack a version although they had it, or a hint was kept for
        them, and no disk has forgotten. A node that no answer came from in time, nor from another
        one for it (`unplaced`), may have ended with the copy before that was on its disk."""
        if not self.rows:
            return
        written = int(c.written[version])
        forgot = any(written <= end for _, end in self.fresh.forgetting)
        if self.removed[version] or c.deletes[version] or forgot:
            return
        for node in sorted((known.copies | set(known.hints)) - set(known.unplaced)):
            row = self.rows.get((int(c.key[version]), node))
            if row is not None and not self.covered[row][version]:
                yield row


#: why a coordinator has a copy
_STAMPS = ("stamp", "retry")


class KeptById:
    """What the logs have of each write, by its id; put together for those that are asked for."""

    def __init__(self, logs: Logs) -> None:
        self.lines = lines = logs.once(copy_lines)
        self._taken_back = logs.once(lines_taken_back)
        rows = np.flatnonzero(lines.are("stored", "held") & (lines.writes != NONE))
        #: the lines about copies of writes, write by write
        self._rows = rows[np.argsort(lines.writes[rows], kind="stable")]
        self._starts = lines.writes[self._rows].searchsorted(np.arange(len(lines.ids) + 1))
        #: id -> number, of the writes that lines are about; the number after these is for others
        self.numbers = dict(zip(lines.ids, range(len(lines.ids)), strict=True))
        #: id -> lines of coordinators about the places of the write
        self.noted: defaultdict[str, list[Event]] = defaultdict(list)
        for event in logs.of_kinds("unplaced", "fewer-places"):
            if isinstance(event.get("request"), str):
                self.noted[event["request"]].append(event)
        self._known: dict[str, Kept] = {}

    @cached_property
    def shown(self) -> Ints:
        """The lines that show a copy or a hint of a write which no disk has refused later."""
        refused = np.zeros(len(self.lines.lines), np.bool_)
        refused[list(self._taken_back)] = True
        found: Ints = self._rows[~refused[self._rows]]
        return found

    @cached_property
    def nodes(self) -> list[str]:
        """The nodes with copies and hints, and those for which these hints are."""
        return [name for node, _, target in self.lines.copies for name in (node, target or node)]

    def stamped(self, columns: Mapping[str, int]) -> Bools:
        """By write, and one more for none, and node (in its column): whether it has coordinated the
        write."""
        rows = self._rows[self.lines.came_by(_STAMPS)[self._rows]]
        return self._marked(rows, [columns[node] for node, _, _ in self.lines.copies], columns)

    def placed(self, columns: Mapping[str, int]) -> Bools:
        """As `stamped`: whether there is a copy on the node, or a hint for it."""
        copies = self.lines.copies
        of = [columns[node if target is None else target] for node, _, target in copies]
        return self._marked(self.shown, of, columns)

    def _marked(self, rows: Ints, of: Sequence[int], columns: Mapping[str, int]) -> Bools:
        """Which writes lines are about, and of which nodes: by copy a column."""
        found = np.zeros((len(self.lines.ids) + 1, len(columns)), np.bool_)
        found[self.lines.writes[rows], np.array(of, np.int64)[self.lines.numbers[rows]]] = True
        return found

    def __getitem__(self, id: str) -> Kept:
        found = self._known.get(id)
        if found is None:
            found = self._known[id] = self._kept(id)
        return found

    def holders(self, id: str) -> set[str]:
        """The nodes that had a copy or a hint of a write, whatever became of it."""
        lines = self.lines
        return {lines.copies[number][0] for number in lines.numbers[self._of(id)].tolist()}

    def _of(self, id: str) -> Ints:
        """The lines about copies of a write."""
        number = self.numbers.get(id)
        start, end = (0, 0) if number is None else self._starts[number : number + 2]
        found: Ints = self._rows[start:end]
        return found

    def _kept(self, id: str) -> Kept:
        lines, found = self.lines, Kept()
        for line in self._of(id).tolist():
            node, _, target = lines.copies[lines.numbers[line]]
            if lines.lines[line].get("why") in _STAMPS:
                found.stamped.add(node)
            if line in self._taken_back:
                continue
            if target is None:
                found.copies.add(node)
            else:
                found.hints.setdefault(target, set()).add(node)
        for event in self.noted.get(id, ()):
            if event["event"] == "unplaced":
                found.unplaced[str(event.get("primary"))] = event
            elif isinstance(event.get("n"), int):
                found.places = event["n"]
        return found


def judged_writes(run: Run) -> tuple[Ints, Ints, Ints]:
    """The acknowledged writes of which the logs must show the places, and of each the time that its
    coordinator may have taken: from when it began until when (ns)."""
    c, timeline, time = run.order, run.timeline, run.order.history.time
    versions = np.flatnonzero(c.outcome == OK)
    begun, ended = c.written[versions], c.ended[versions]
    last = time[ended] + works(run.test)
    judged = (ended <= (timeline.quiesced or 0)) & (c.history.process[begun] >= 0)
    until = time.searchsorted(last)
    for start, end in Freshness.of(timeline, {}).moving:
        judged &= (start > until) | (begun > end)
    return versions[judged], time[begun[judged]], last[judged]


def _lacking(
    c: Causality, ring: CheckedRing, version: int, known: Kept, endings: Endings, window: Window
) -> Iterator[str]:
    """The primaries without copy, hint and excuse. A copy may be in the lost end of the log of
    the primary itself, a hint in that of a node that is none of its places, as a primary is where
    the client asked for fewer."""
    places = ring.primaries(c.keys[version])[: known.places]
    for primary in places:
        there = primary in known.copies or primary in known.hints
        if not there and not known.excused(primary):
            others = {primary, *known.others(endings, window, places)}
            if not endings.hide(window, others):
                yield primary


def _anomaly(c: Causality, ring: CheckedRing, version: int, primary: str, known: Kept) -> Anomaly:
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
    data: dict[str, object] = {"id": name(c, version), "primary": primary}
    data["copies"] = sorted(known.copies)
    data["hints"] = {target: sorted(nodes) for target, nodes in known.hints.items()}
    return Anomaly("lost-hint", why, key, rows, data)


def _undelivered(c: Causality, version: int, row: int, known: Kept) -> Anomaly:
    h = c.history
    node = h.nodes[h.replica[h.pair[row]]]
    holders = sorted(known.hints.get(node, ()))
    had = f"a hint for {node} was kept by {listed(holders)}" if holders else "a copy was there"
    why = (
        f"{fate(c, version)}, and by the nodes' logs {had}; but once all hints had been handed "
        f"off, and before any read could repair it, {reading(h, row)} showed {contents(h, row)}."
    )
    rows = (int(c.written[version]), int(c.ended[version]), row)
    data = {"id": name(c, version), "primary": node}
    return Anomaly("lost-hint", why, h.keys[int(c.key[version])], rows, data)
