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

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

import numpy as np
from dynamesis.checkers.dynamo.freshness import Freshness
from dynamesis.checkers.dynamo.lww import is_lww
from dynamesis.checkers.dynamo.ring import CheckedRing
from dynamesis.checkers.explain.describe import contents, fate, listed, name, reading
from dynamesis.checkers.graph.causality import Causality
from dynamesis.checkers.graph.run import Run
from dynamesis.checkers.history.gc_pause import gc_paused
from dynamesis.checkers.history.pairing import OK, Bools
from dynamesis.checkers.history.timeline import Timeline, hint_targets
from dynamesis.checkers.logs.copy_lines import NONE, copy_lines
from dynamesis.checkers.logs.endings import Endings, Rings, Window
from dynamesis.checkers.logs.logs import Event, Logs
from dynamesis.checkers.verdict import DESCRIBED, Anomaly, CheckerResult, judge, skip

#: ns after an acknowledgement in which a coordinator looks for nodes that keep the rest
WORKS = 3_000_000_000


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
    kept = logs.once(kept_by_id)
    if not any(one.copies for one in kept.values()):
        return skip("no log names the write that a copy is of")
    found: list[Anomaly] = []
    judged, more = 0, 0
    dumps = Dumps.of(c, timeline, test or {})
    rings = Rings.of(logs, ring, timeline)
    endings = Endings.of(c.history, timeline)
    nothing = Kept()
    for version, window in judged_writes(c, timeline):
        begun = None if logs.began is None else logs.began + window[0]
        then = rings.at(begun)
        known = kept.get(c.names[version], nothing)
        planners = _coordinators(c, version, known, endings, window)
        if then is None or endings.hide(window, planners) or rings.behind(planners, begun):
            continue
        judged += 1
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
    return judge(found, (), {"writes": judged}, {"lost-hint": more} if more else {})


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


def kept_by_id(logs: Logs) -> dict[str, Kept]:
    """By id of a write."""
    with gc_paused():
        return _kept_by_id(logs)


def _kept_by_id(logs: Logs) -> dict[str, Kept]:
    lines = logs.once(copy_lines)
    taken_back, copies = logs.once(lines_taken_back), lines.copies
    kept = [Kept() for _ in lines.ids]
    each = zip(lines.names, lines.writes, lines.whys, lines.numbers, strict=True)
    for place, (what, write, why, copy) in enumerate(each):
        if write == NONE or (what != "stored" and what != "held"):
            continue
        one, (node, _, target) = kept[write], copies[copy]
        if why in _STAMPS:
            one.stamped.add(node)
        if place in taken_back:
            continue
        if target is None:
            one.copies.add(node)
        else:
            one.hints.setdefault(target, set()).add(node)
    found = defaultdict(Kept, zip(lines.ids, kept, strict=True))
    _note_places(logs, found)
    return dict(found)


def lines_taken_back(logs: Logs) -> set[int]:
    """The lines (of `copy_lines`) about what a disk refused later."""
    lines = logs.once(copy_lines)
    #: by copy: its lines that have not been taken back, of copies of which some were; an `undone`
    #: that names no state takes nothing back
    undone = [bisect_left(lines.places, place) for place in logs.places("undone")]
    undone = [line for line in undone if lines.hashes[line] is not None]
    left: dict[int, list[int]] = {lines.numbers[line]: [] for line in undone}
    found: set[int] = set()
    lives: dict[str, int] = {}
    for place, copy in enumerate(islice(lines.numbers, undone[-1] + 1 if undone else 0)):
        if copy == NONE:
            event = lines.lines[place]
            lives[event["node"]] = event.get("mono", 0)
        elif copy in left:
            what = lines.names[place]
            if what in ("stored", "held", "deleted"):
                left[copy].append(place)
            elif what == "undone" and lines.hashes[place] is not None:
                event = lines.lines[place]
                since = lives.get(event["node"], -1)
                found.update(_take_back(lines.lines, left[copy], event, since))
    return found


def _id(event: Event) -> str:
    """The id of the write that a line comes of; empty for none."""
    id = event.get("request")
    return id if isinstance(id, str) else ""


def _note_places(logs: Logs, found: defaultdict[str, Kept]) -> None:
    """How many places writes had, and which of them no node was found for."""
    for event in logs.of_kinds("unplaced", "fewer-places"):
        id = _id(event)
        if id and event["event"] == "unplaced":
            found[id].unplaced[str(event.get("primary"))] = event
        elif id and isinstance(event.get("n"), int):
            found[id].places = event["n"]


def _take_back(lines: Sequence[Event], left: list[int], undone: Event, since: int) -> Iterator[int]:
    """Take out the last lines about a record or hint, of states that its disk refused: back to
    the state that is there now, or to where it was deleted; none of before `since` (ns), when this
    life of the process began. A state of which the log has no line, or that cannot be read, does
    not show how many of them that are: only the one that was refused itself. `left`: the places of
    its lines in `lines`; yields those that are taken out."""
    now, refused = undone.get("now"), undone.get("hash")
    known: bool | None = True if now is None else None
    if undone.get("unreadable"):
        known = False
    while left:
        last = lines[left[-1]]
        state = last.get("hash")
        if last["event"] == "deleted" or last.get("mono", 0) < since or state == now:
            return
        if state != refused:
            if known is None:  # of what was taken out already none is it
                known = any(_state(lines[place]) == now for place in reversed(left))
            if not known:
                return
        yield left.pop()
        if str(last.get("why")).endswith("healed"):
            return  # what was there before had been stored, and was damaged


def _state(line: Event) -> object:
    """The hash of what a line leaves there; None for nothing."""
    return None if line["event"] == "deleted" else line.get("hash")


def judged_writes(c: Causality, timeline: Timeline) -> Iterator[tuple[int, Window]]:
    """The acknowledged writes of which the logs must show the places, each with the time
    that its coordinator may have taken, from when it began."""
    time = c.history.time
    versions = np.flatnonzero(c.outcome == OK)
    begun, ended = c.written[versions], c.ended[versions]
    last = time[ended] + WORKS
    judged = (ended <= (timeline.quiesced or 0)) & (c.history.process[begun] >= 0)
    until = time.searchsorted(last)
    for start, end in Freshness.of(timeline, {}).moving:
        judged &= (start > until) | (begun > end)
    windows = zip(time[begun[judged]].tolist(), last[judged].tolist(), strict=True)
    yield from zip(versions[judged].tolist(), windows, strict=True)


def _coordinators(
    c: Causality, version: int, known: Kept, endings: Endings, window: Window
) -> Set[str]:
    """The nodes that may have coordinated a write: by its answer, and by the logs. The line of a
    stamp may itself be lost; where nothing names a node, it may be any of those that ended."""
    named = c.history.worth.get(int(c.ended[version]), {}).get("coordinator")
    found = known.stamped | ({named} if isinstance(named, str) else set())
    return found or endings.nodes(window)


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
