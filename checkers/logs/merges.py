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
write, or names two.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from dynamesis.checkers.dynamo.lww import is_lww
from dynamesis.checkers.explain.describe import fate, listed, name
from dynamesis.checkers.graph.causality import Causality
from dynamesis.checkers.graph.run import Run
from dynamesis.checkers.logs.logs import Event, Logs
from dynamesis.checkers.verdict import DESCRIBED, Anomaly, CheckerResult, judge, skip

#: a record or a hint: key, node, and for which node a hint is
Row = tuple[str, str, str]

_GONE = frozenset({"deleted", "undone", "row-damaged"})
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
    """Follows all records and hints through the logs."""

    def __init__(self, c: Causality, logs: Logs) -> None:
        self._c = c
        self._logs = logs
        self._versions = dict(zip(c.history.ids, c.of_id.tolist(), strict=True))
        #: by version
        self._keys = [c.history.keys[key] for key in c.key.tolist()]
        #: what lines list -> the same as a set: a state is logged by several nodes
        self._sets: dict[tuple[str, ...], frozenset[str]] = {}
        #: (key, dot) -> version; None where two writes have one dot
        self._of_dot: dict[tuple[str, str], int | None] = {}
        #: (key, hash) -> the dots of that state
        self._states: dict[tuple[str, str], frozenset[str]] = {}
        self._upon: dict[tuple[int, int], bool] = {}
        self.merges = 0
        for event in logs.of_kinds("stored"):
            if isinstance(event.get("holds"), list):
                self._note(event)

    def _note(self, event: Event) -> None:
        """What a line shows of dots and hashes."""
        key, hash, dot = str(event.get("key")), event.get("hash"), event.get("dot")
        if isinstance(hash, str):
            self._states.setdefault((key, hash), self._holds(event))
        if isinstance(dot, str):
            version = self._written(event)
            known = self._of_dot.setdefault((key, dot), version)
            if known != version:
                self._of_dot[key, dot] = None

    def _written(self, event: Event) -> int | None:
        """The version that a line comes of, if the history has it and it is of the line's key."""
        version = self._versions.get(str(event.get("request")), -1)
        return version if version >= 0 and self._keys[version] == event.get("key") else None

    def _holds(self, event: Event) -> frozenset[str]:
        """The dots that a line lists."""
        dots = tuple(map(str, event["holds"]))
        found = self._sets.get(dots)
        if found is None:
            found = self._sets[dots] = frozenset(dots)
        return found

    def dropped(self) -> Iterator[Dropped]:
        """What is missing after each line, each version once a row and a drop."""
        rows: dict[Row, frozenset[str]] = {}
        for event in self._logs.of_kinds("start", "stored", "held", *sorted(_GONE)):
            what, node = event["event"], event["node"]
            if what == "start":
                for row in [row for row in rows if row[1] == node]:
                    del rows[row]
                continue
            row = str(event.get("key")), node, str(event.get("hint_for", ""))
            if what == "stored" and not isinstance(event.get("holds"), list):
                rows.pop(row, None)  # of a version that logs less
            elif what == "stored":
                before, after = rows.get(row, frozenset()), self._holds(event)
                if str(event.get("why")).endswith("healed"):
                    before = frozenset()
                yield from self._missing(event, before, after)
                rows[row] = after
            elif what == "held" and row in rows:
                there = self._states.get((row[0], str(event.get("hash"))))
                if there is not None:
                    yield from self._missing(event, frozenset(), there)
            elif what in _GONE:
                rows.pop(row, None)

    def _missing(
        self, event: Event, before: frozenset[str], after: frozenset[str]
    ) -> Iterator[Dropped]:
        """The versions that were there, or came, and that nothing replaces which is there now."""
        key = str(event.get("key"))
        there = {self._of_dot.get((key, dot)) for dot in after}
        if None in there:
            return
        self.merges += 1
        came = self._states.get((key, str(event.get("incoming"))), frozenset())
        for was_there, dots in ((True, before), (False, came)):
            gone = dots - after
            for version in [self._of_dot.get((key, dot)) for dot in sorted(gone)] if gone else ():
                if version is not None and not self._replaced(version, there):
                    yield Dropped(event, version, was_there)
        version = self._written(event) if event.get("why") in _WRITES else None
        if version is not None and not self._replaced(version, there):
            yield Dropped(event, version, False)

    def _replaced(self, version: int, there: set[int | None]) -> bool:
        """Whether one of these is the version, or was written upon it."""
        return version in there or any(
            self._is_upon(above, version) for above in there if above is not None
        )

    def _is_upon(self, above: int, below: int) -> bool:
        if above < below:
            return False
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
