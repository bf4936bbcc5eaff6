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
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass

from dynamesis.checkers.dynamo.lww import is_lww
from dynamesis.checkers.explain.describe import fate, listed, name
from dynamesis.checkers.graph.causality import Causality
from dynamesis.checkers.graph.run import Run
from dynamesis.checkers.logs.copy_lines import NONE, START, copy_lines
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
    replicas hold the same, and each comes from one to the next as the others do, so that of most
    lines it is known already whether they drop anything."""

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
        of_dot = self._of_dot
        #: by state: the versions that its dots name, as far as they are known; and whether all are
        named = [frozenset(map(of_dot[key].get, dots)) for key, dots in self._lines.held]
        self._whole = [None not in each for each in named]
        self._named = [frozenset(v for v in each if v is not None) for each in named]
        #: (state, state after it) -> the versions that it has, and that are not replaced there
        self._lost: dict[tuple[int, int], list[int]] = {}
        self._upon: dict[tuple[int, int], bool] = {}
        self.merges = 0

    def _note_dots(self) -> None:
        """Which version each dot names, by the lines of stamps."""
        lines = self._lines
        columns = lines.dots, lines.states, lines.numbers, lines.writes
        for dot, state, copy, write in zip(*columns, strict=True):
            if dot.__class__ is str and state != NONE:
                key = lines.copies[copy][1]
                version = self._written(write, key)
                if version is not None:
                    self._dotted.add(version)
                of_dot = self._of_dot[key]
                if of_dot.setdefault(dot, version) != version:
                    of_dot[dot] = None

    def _written(self, write: int, key: str) -> int | None:
        """The version that a line comes of, if the history has it and it is of the line's key."""
        version = self._version_of[write]
        return version if version >= 0 and self._keys[version] == key else None

    def dropped(self) -> Iterator[Dropped]:
        """What is missing after each line, each version once a copy and a drop."""
        lines = self._lines
        #: by copy: its state, NONE where that is not known
        there = [NONE] * len(lines.copies)
        columns = lines.names, lines.numbers, lines.states, lines.writes, lines.incoming
        whole, named, lost, versions = self._whole, self._named, self._lost, self._version_of
        merges = 0
        for line, (what, copy, after, write, came) in enumerate(zip(*columns, strict=True)):
            if what == "stored" and after != NONE:
                before = there[copy]
                there[copy] = after
                if not whole[after]:
                    continue
                merges += 1
                if before == NONE:
                    before = after
                gone = lost.get((before, after))
                if gone is None:
                    gone = self._lost_by(before, after)
                if gone or came is not None or versions[write] not in named[after]:
                    yield from self._missing(line, before, after)
            elif what == "held":
                if there[copy] != NONE:
                    of_hash = lines.of_hash[lines.copies[copy][1]]
                    state = of_hash.get(str(lines.hashes[line]), NONE)
                    if state != NONE and whole[state]:
                        merges += 1
                        yield from self._missing(line, state, state)
            elif what == START:
                node = lines.lines[line]["node"]
                for number, (of, _, _) in enumerate(lines.copies):
                    if of == node:
                        there[number] = NONE
            else:  # it is gone; or stored by a version that logs less
                there[copy] = NONE
        self.merges = merges

    def _missing(self, line: int, before: int, after: int) -> Iterable[Dropped]:
        """The versions that were there, or came, and that nothing replaces which is there now."""
        lines = self._lines
        event, why, incoming = lines.lines[line], lines.whys[line], lines.incoming[line]
        found: list[Dropped] = []
        if before != after and not str(why).endswith("healed"):
            found += [Dropped(event, each, True) for each in self._lost_by(before, after)]
        key = lines.held[after][0]
        if incoming is not None:
            came = lines.of_hash[key].get(str(incoming), after)
            found += [Dropped(event, each, False) for each in self._lost_by(came, after)]
        if why in _WRITES:
            version, there = self._written(lines.writes[line], key), self._named[after]
            if version is None or version not in self._dotted:
                return found
            if not self._replaced(version, there):
                found.append(Dropped(event, version, False))
        return found

    def _lost_by(self, before: int, after: int) -> list[int]:
        """The versions of a state that nothing replaces which is there after it."""
        found = self._lost.get((before, after))
        if found is None:
            there, (parents, starts) = self._named[after], self._c.parents_and_starts
            # most are parents of what is there
            gone = self._named[before].difference(
                there, *[parents[starts[each] : starts[each + 1]] for each in there]
            )
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
