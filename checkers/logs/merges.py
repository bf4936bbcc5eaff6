"""bad-merge, by the nodes' event logs: a replica dropped a version that nothing it keeps replaces.

A record, or a hint, changes by merging: what it has, with what a write or another node brings. A
version may go only where one that stays was written upon it, by the true causal order (which is
the clients', not that of the nodes' clocks). Each line has what is there afterwards (`holds`, by
dot; the line of a stamp has the write that a dot names). What came is known where the line has the
hash of it (`incoming`, of a hand-off) and some node logged the state of that hash; and it holds the
write, by its id, that a line comes of, also where nothing was news (`held`): a node that answers
so although it has neither the write nor anything upon it takes it for one that it knows.

So it is seen, at the first step, what a later repair, exchange or hint may hide: of a write that
other replicas hold too nothing is lost in the end.

Not judged: what a node held before it was started anew, found damaged, or took back; where the
last writer wins, and with plain vectors, which are cut; keys with a dot of which no log names the
write, or names two; whether a write is there of which no log has the dot. (A log that was cut off
by a SIGKILL may lack the stamp of a write that got the dot of one which had not been stored.)
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from dynamesis.checkers.dynamo.lww import is_lww
from dynamesis.checkers.explain.describe import fate, listed, name
from dynamesis.checkers.graph.causality import Causality, spans
from dynamesis.checkers.graph.run import Run
from dynamesis.checkers.history.arrays import among
from dynamesis.checkers.history.codes import NameTable
from dynamesis.checkers.history.pairing import Bools, Ints, previous
from dynamesis.checkers.logs.copy_lines import NONE, START, CopyLines, copy_lines
from dynamesis.checkers.logs.logs import Event, Logs
from dynamesis.checkers.verdict import DESCRIBED, Anomaly, CheckerResult, judge, skip

#: why a line is there that comes of a write on its way to its places: what came holds that write
_WRITES = ("put", "pending", "retry", "stamp")


@dataclass(frozen=True)
class Dropped:
    """A line after which a version is missing, and how it should be there: it was there before, or
    came."""

    line: Event
    version: int
    was_there: bool


def check_merges(run: Run, logs: Logs) -> CheckerResult:
    """Judge what each line of a record or a hint left out."""
    test = run.test or {}
    if is_lww(test):
        return skip("the last writer wins: versions are dropped that nothing was written upon")
    if (test.get("params") or {}).get("clock") == "vector":
        return skip("clocks that are cut name no version for ever")
    watch = _Watch(run.order, logs)
    found = sorted(watch.dropped(), key=lambda each: int(each.line.get("mono", 0)))
    anomalies = [_anomaly(run, logs, each) for each in found[:DESCRIBED]]
    more = {"bad-merge": len(found) - DESCRIBED} if len(found) > DESCRIBED else {}
    return judge(anomalies, (), {"merges": watch.merges}, more)


class _Watch:
    """Follows all records and hints through the logs. What a copy holds is a number (a state): many
    replicas hold the same, and each comes from one to the next as the others do. That most lines
    drop nothing is seen in columns: what was there, and what came, is there after them, or is a
    parent of what is there. The others are looked at one by one."""

    def __init__(self, c: Causality, logs: Logs) -> None:
        self._c, self._keys = c, c.keys
        self._lines = logs.once(copy_lines)
        versions = dict(zip(c.history.ids, c.of_id.tolist(), strict=True))
        #: by write of the lines, and one more for none: its version, NONE where there is none
        self._version_of = [versions.get(id, NONE) for id in self._lines.ids] + [NONE]
        #: key -> dot -> version; None where two writes have one dot
        self._of_dot: defaultdict[str, dict[str, int | None]] = defaultdict(dict)
        #: the versions of which some line has the dot
        self._dotted: set[int] = set()
        self._note_dots()
        self._states = _States.of(c, self._lines.held, self._of_dot)
        #: (state, state after it) -> the versions that it has, and that are not replaced there
        self._lost: dict[tuple[int, int], list[int]] = {}
        self._upon: dict[tuple[int, int], bool] = {}
        self.merges = 0

    def _note_dots(self) -> None:
        """Which version each dot names, by the lines of stamps."""
        lines = self._lines
        of = np.array(list(lines.dots), np.int64)
        columns = lines.dots.values(), lines.numbers[of].tolist(), lines.writes[of].tolist()
        for dot, copy, write in zip(*columns, strict=True):
            key = lines.copies[copy][1]
            version = self._written(write, key)
            if version is not None:
                self._dotted.add(version)
            of_dot = self._of_dot[key]
            if of_dot.setdefault(dot, version) != version:
                of_dot[dot] = None
        self._doubt_dots()

    def _doubt_dots(self) -> None:
        """A dot by which an answer names another write than the log does has two: a disk that lied
        lost the one of the log, and the log the stamp of the other."""
        h, of_id = self._c.history, self._c.of_id
        for row, worth in h.worth.items():
            of_dot, dot = self._of_dot.get(h.keys[h.key_of[row]], {}), worth.get("dot")
            if isinstance(dot, str) and dot in of_dot and of_dot[dot] != of_id[h.id[row]]:
                of_dot[dot] = None

    def _written(self, write: int, key: str) -> int | None:
        """The version that a line comes of, if the history has it and it is of the line's key."""
        version = self._version_of[write]
        return version if version >= 0 and self._keys[version] == key else None

    def dropped(self) -> Iterator[Dropped]:
        """What is missing after each line, each version once a copy and a drop."""
        lines, before = self._lines, states_before(self._lines)
        held = np.flatnonzero(lines.are("held") & (before != NONE))
        after = lines.states.copy()
        after[held] = [self._named_by(line) for line in held.tolist()]
        merges = np.flatnonzero(after != NONE)
        merges = merges[self._states.whole[after[merges]]]
        self.merges = len(merges)
        before, after = before[merges], after[merges]
        before = np.where((before == NONE) | lines.are("held")[merges], after, before)
        for place in np.flatnonzero(self._suspect(merges, before, after)).tolist():
            yield from self._missing(int(merges[place]), int(before[place]), int(after[place]))

    def _named_by(self, line: int) -> int:
        """The state that a line names by its hash."""
        key = self._lines.copies[self._lines.numbers[line]][1]
        hash = self._lines.lines[line].get("hash")
        return self._lines.of_hash[key].get(str(hash), NONE)

    def _suspect(self, lines: Ints, before: Ints, after: Ints) -> Bools:
        """Whether each of these lines, with the state before and after it, may have dropped what
        was there, or what came."""
        suspect = self._states.lacks(before, after)
        came = np.array(self._version_of)[self._lines.writes[lines]]
        writes = np.flatnonzero(self._lines.came_by(_WRITES)[lines] & (came != NONE))
        suspect[writes] |= ~self._states.has(after[writes], came[writes])
        incoming = np.array(list(self._lines.incoming), np.int64)
        return suspect | among(lines, incoming, len(self._lines.lines))

    def _missing(self, line: int, before: int, after: int) -> Iterable[Dropped]:
        """The versions that were there, or came, and that nothing replaces which is there now."""
        lines = self._lines
        event, incoming = lines.lines[line], lines.incoming.get(line)
        why = event.get("why")
        found: list[Dropped] = []
        if before != after and not str(why).endswith("healed"):
            found += [Dropped(event, each, True) for each in self._lost_by(before, after)]
        key = lines.held[after][0]
        if incoming is not None:
            came = lines.of_hash[key].get(str(incoming), after)
            found += [Dropped(event, each, False) for each in self._lost_by(came, after)]
        if why in _WRITES:
            version, there = self._written(lines.writes[line], key), self._states.named(after)
            if version is None or version not in self._dotted:
                return found
            if not self._replaced(version, there):
                found.append(Dropped(event, version, False))
        return found

    def _lost_by(self, before: int, after: int) -> list[int]:
        """The versions of a state that nothing replaces which is there after it."""
        found = self._lost.get((before, after))
        if found is None:
            there = self._states.named(after)
            gone = self._states.named(before) - there
            lost = [version for version in gone if not self._replaced(version, there)]
            found = self._lost[before, after] = self._by_dot(before, after, lost) if lost else lost
        return found

    def _by_dot(self, before: int, after: int, lost: list[int]) -> list[int]:
        """Versions that are lost, in the order of their dots."""
        (key, had), (_, has) = self._lines.held[before], self._lines.held[after]
        named = [self._of_dot[key].get(dot) for dot in sorted({*had}.difference(has))]
        return [version for version in named if version in lost]

    def _replaced(self, version: int, there: Collection[int]) -> bool:
        """Whether one of these is the version, or was written upon it."""
        return version in there or any(self._is_upon(above, version) for above in there)

    def _is_upon(self, above: int, below: int) -> bool:
        if above < below:
            return False
        if below in self._c.parents_of(above):
            return True
        known = self._upon.get((above, below))
        if known is None:
            known = self._upon[above, below] = bool(self._c.path(above, below))
        return known


def states_before(lines: CopyLines) -> Ints:
    """By line: the state of its copy before it; NONE where that is not known, as after a start of
    the node."""
    starts = np.flatnonzero(lines.are(START))
    nodes = NameTable()
    node_of = np.array([*(nodes[node] for node, _, _ in lines.copies), NONE], np.int64)
    node = node_of[lines.numbers]
    node[starts] = [nodes[lines.lines[line]["node"]] for line in starts.tolist()]
    #: of a node and a line one number, by which the starts of each node are in order
    at = node * len(node) + np.arange(len(node))
    life = np.sort(at[starts]).searchsorted(at)
    #: by line: the last before it that shows what its copy is
    last = previous(lines.numbers, ~lines.are("held", START))
    known = (last >= 0) & (life[last] == life)
    return np.where(known, lines.states[last], NONE)


@dataclass(frozen=True)
class _States:
    """The versions that each state holds, as far as they are known.

    versions, starts, counts: one state after the other; where each begins, and how many it has
    whole: by state: whether all are known
    keeps: each version that a state holds, and each parent of one, as a number of both
    size: more than the number of any version"""

    versions: Ints
    starts: Ints
    counts: Ints
    whole: Bools
    keeps: Ints
    size: int

    @classmethod
    def of(
        cls,
        c: Causality,
        held: Sequence[tuple[str, list[str]]],
        of_dot: Mapping[str, Mapping[str, int | None]],
    ) -> _States:
        """`held`: by state its key, and the dots of what it holds; `of_dot`: which each names."""
        named = [of_dot[key].get(dot) for key, dots in held for dot in dots]
        versions = np.array([NONE if each is None else each for each in named], np.int64)
        state = np.repeat(np.arange(len(held)), [len(dots) for _, dots in held])
        known = versions != NONE
        whole = np.ones(len(held), np.bool_)
        whole[state[~known]] = False
        state, versions = state[known], versions[known]
        counts = np.bincount(state, minlength=len(held))
        starts, parents = c.parent_start[versions], np.diff(c.parent_start)[versions]
        size = len(c) + 1
        keeps = np.concatenate(
            [
                state * size + versions,
                np.repeat(state, parents) * size + c.parents[spans(starts, parents)],
            ]
        )
        return cls(versions, np.cumsum(counts) - counts, counts, whole, np.sort(keeps), size)

    def named(self, state: int) -> frozenset[int]:
        """The versions that a state holds."""
        start = self.starts[state]
        return frozenset(self.versions[start : start + self.counts[state]].tolist())

    def has(self, states: Ints, versions: Ints) -> Bools:
        """Whether each state holds the version beside it, or one whose parent that is."""
        asked = states * self.size + versions
        place = self.keeps.searchsorted(asked)
        place[place == len(self.keeps)] = 0
        found: Bools = self.keeps[place] == asked if len(self.keeps) else asked < 0
        return found

    def lacks(self, before: Ints, after: Ints) -> Bools:
        """Whether a state after each of these has not (`has`) all that it held before."""
        rows = np.flatnonzero(before != after)
        counts = self.counts[before[rows]]
        row = np.repeat(rows, counts)
        versions = self.versions[spans(self.starts[before[rows]], counts)]
        found = np.zeros(len(before), np.bool_)
        found[row[~self.has(after[row], versions)]] = True
        return found


def _anomaly(run: Run, logs: Logs, dropped: Dropped) -> Anomaly:
    c, line, version = run.order, dropped.line, dropped.version
    where = f"its hint for {line['hint_for']}" if line.get("hint_for") else "its copy"
    left = listed(list(map(str, line.get("holds") or ())), "what it had")
    if dropped.was_there:
        what = f"dropped it from {where} by {line.get('why')}{logs.when(line)}, and kept {left}"
    elif line["event"] == "held":
        what = f"took it for known{logs.when(line)}, by {line.get('why')}, and it is not in {where}"
    else:
        what = f"left it out of {where} as it came by {line.get('why')}{logs.when(line)}"
    why = (
        f"{fate(c, version)}; by its log {line['node']} {what}. Nothing that is there was written "
        "upon it."
    )
    row = logs.row_at(c.history, line.get("mono", 0))
    ops = (int(c.written[version]),)
    data = {"id": name(c, version), "node": line["node"], "line": dict(line)}
    key = c.history.keys[int(c.key[version])]
    return Anomaly("bad-merge", why, key, ops, data, () if row is None else (row,))
