"""early-reap, by the nodes' event logs: a tombstone was forgotten while something of its key was
left.

A tombstone is what keeps the values below it dead, and all nodes agree before it is forgotten that
there is no state of the key but the tombstone itself: no hint, and nothing under way. Each primary
that forgets it logs that (`reaped`, and how long ago it `agreed`). Three lines show that the
agreement was wrong:

- a node kept a hint of the key from before the tombstone came to the last of these primaries until
  after it was forgotten there;
- a node stores, after that, a version that these primaries had held before the tombstone and no
  longer held: it was superseded, and what knew that is gone;
- a primary agreed although a write that it coordinated itself, and had named before, was not at its
  end: a copy or hint of it is stored later, or a place of it found none. (Links deliver in order,
  and what a node sent before has arrived when all agree. Where frames overtake each other that
  proves nothing.)

It does not matter whether the old value comes to a reader, or to the final dumps: whatever brings
it back, a late repair, hint or message, does so by chance.

Not judged: what a log may lack, since its process ended; nodes whose disks failed or were wiped
before that; tests in which an older disk was put back, which may bring back anything.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from dynamesis.checkers.explain.describe import listed
from dynamesis.checkers.graph.run import Run
from dynamesis.checkers.logs.logs import Event, Logs
from dynamesis.checkers.verdict import DESCRIBED, Anomaly, CheckerResult, judge, skip

#: ns within which all primaries of a key forget one tombstone; the questions time out before that
_TOGETHER = 5_000_000_000
_LINES = ("start", "stored", "held", "unplaced", "deleted", "undone", "row-damaged", "reaped")
#: why a hint or a record is stored that a client has written just now
_NEW = ("stamp", "retry")


@dataclass
class _Row:
    """A record, or a hint, by a node's log: its last line, the versions that it holds, and those
    that it has held in this stretch of its log and holds no more."""

    line: Event | None = None
    holds: frozenset[str] = frozenset()
    superseded: set[str] = field(default_factory=set)

    def stored(self, event: Event) -> None:
        holds = _holds(event)
        self.superseded = (self.superseded | self.holds) - holds
        self.line, self.holds = event, holds


@dataclass
class _Reaped:
    """A tombstone of a key that was forgotten: the first line of that, until when others belong to
    it, when it came to the last of its primaries, and the versions that it had superseded."""

    first: Event
    until: int
    came: int
    superseded: set[str]
    nodes: list[str]


@dataclass(frozen=True)
class _Remnant:
    """A line that shows something of a key which should not have been there. `write`: the id of a
    write that was not at its end."""

    key: str
    reaped: _Reaped
    line: Event
    versions: tuple[str, ...]
    write: str = ""


def check_reaping(run: Run, logs: Logs) -> CheckerResult:
    """Judge that nothing was left of what was forgotten."""
    if not logs.of_kinds("reaped"):
        return skip("no node logged which tombstones it forgot")
    if any(fault.fields.get("disk") == "copied" for fault in run.timeline.faults):
        return skip("an older disk was put back, which may bring back what was forgotten")
    if ((run.test or {}).get("params") or {}).get("clock") == "vector":
        return skip("clocks that are cut name no version for ever")
    overtake = any(f.member in ("link.reorder", "link.duplicate") for f in run.timeline.faults)
    reaped, found = 0, []
    for key, events in _by_key(logs).items():
        watch = _Watch(logs, key)
        found += list(watch.remnants(events))
        found += [] if overtake else list(_unfinished(key, events, watch.rounds))
        reaped += len(watch.rounds)
    found.sort(key=lambda remnant: remnant.line.get("mono", 0))
    anomalies = [_anomaly(run, logs, remnant) for remnant in found[:DESCRIBED]]
    more = {"early-reap": len(found) - DESCRIBED} if len(found) > DESCRIBED else {}
    return judge(anomalies, (), {"reaped": reaped}, more)


def _by_key(logs: Logs) -> dict[str, list[Event]]:
    """The lines about each key of which a tombstone was reaped, and all starts of nodes."""
    keys = {str(event.get("key")) for event in logs.of_kinds("reaped")}
    found: dict[str, list[Event]] = {key: [] for key in sorted(keys)}
    for event in logs.of_kinds(*_LINES):
        if event["event"] == "start":
            for lines in found.values():
                lines.append(event)
        elif event.get("key") in found:
            found[event["key"]].append(event)
    return found


def _unfinished(key: str, events: list[Event], rounds: list[_Reaped]) -> Iterator[_Remnant]:
    """Lines of writes that a primary coordinated when it agreed to forget their key."""
    for reaped in [event for event in events if event["event"] == "reaped"]:
        node, agreed, mono = reaped["node"], reaped.get("agreed"), int(reaped.get("mono", 0))
        if not isinstance(agreed, int | float):
            continue
        at = mono - int(agreed * 1e9)
        stamped: set[str] = set()
        again: set[str] = set()
        for event in events:
            when, id = int(event.get("mono", 0)), event.get("request")
            if event["event"] == "start" and event["node"] == node and when < at:
                stamped.clear()
            elif isinstance(id, str) and event["node"] == node and event.get("why") in _NEW:
                (stamped if when < at else again).add(id)
        for event in events:
            later = int(event.get("mono", 0)) > at and event.get("request") in stamped - again
            if later and (event["event"] == "unplaced" or event.get("why") == "put"):
                of = [each for each in rounds if int(each.first.get("mono", 0)) <= mono]
                holds = tuple(sorted(_holds(event)))
                yield _Remnant(key, of[-1], event, holds, str(event["request"]))
                break


class _Watch:
    """Follows the copies of one key through the logs."""

    def __init__(self, logs: Logs, key: str) -> None:
        self._logs = logs
        self._key = key
        self._records: dict[str, _Row] = {}
        self._hints: dict[tuple[str, str], _Row] = {}
        self.rounds: list[_Reaped] = []

    def remnants(self, events: list[Event]) -> Iterator[_Remnant]:
        for event in events:
            what, node = event["event"], event["node"]
            if what == "start":
                self._forget(node)
            elif what == "reaped":
                yield from self._reap(event)
            elif what == "stored":
                yield from self._back(event)
                self._row(event).stored(event)
            elif what not in ("held", "unplaced"):  # gone, or not known any more
                self._drop(event)

    def _row(self, event: Event) -> _Row:
        node, target = event["node"], event.get("hint_for")
        if target is None:
            return self._records.setdefault(node, _Row())
        return self._hints.setdefault((node, str(target)), _Row())

    def _drop(self, event: Event) -> None:
        if event.get("hint_for") is None:
            self._records.pop(event["node"], None)
        else:
            self._hints.pop((event["node"], str(event["hint_for"])), None)

    def _forget(self, node: str) -> None:
        """A node began another life: its log may lack the end of the one before."""
        self._records.pop(node, None)
        for about in [about for about in self._hints if about[0] == node]:
            del self._hints[about]

    def _reap(self, event: Event) -> Iterator[_Remnant]:
        node, mono = event["node"], event.get("mono", 0)
        record = self._records.get(node, _Row())
        came = 0 if record.line is None else record.line.get("mono", 0)
        last = self.rounds[-1] if self.rounds else None
        if last is None or mono > last.until:
            last = _Reaped(event, mono + _TOGETHER, came, set(), [])
            self.rounds.append(last)
        last.came = max(last.came, came)
        last.superseded |= record.superseded
        last.nodes.append(node)
        for (holder, _), hint in sorted(self._hints.items()):
            since = None if hint.line is None else hint.line.get("mono", 0)
            if since is None or since >= came:
                continue
            if self._logs.whole(holder, since, mono) and hint.line is not None:
                yield _Remnant(self._key, last, hint.line, tuple(sorted(hint.holds)))
                hint.line = None  # once

    def _back(self, event: Event) -> Iterator[_Remnant]:
        """A version that was superseded before the last tombstone was forgotten."""
        if not self.rounds or event.get("why") in _NEW:
            return
        reaped = self.rounds[-1]
        old = _holds(event) & reaped.superseded
        if old:
            reaped.superseded -= old  # once
            yield _Remnant(self._key, reaped, event, tuple(sorted(old)))


def _holds(event: Event) -> frozenset[str]:
    holds = event.get("holds")
    return frozenset(filter(_is_str, holds)) if isinstance(holds, list) else frozenset()


def _is_str(value: object) -> bool:
    return isinstance(value, str)


def _anomaly(run: Run, logs: Logs, remnant: _Remnant) -> Anomaly:
    reaped, line = remnant.reaped, remnant.line
    versions = listed(list(remnant.versions))
    forgot = f"{listed(sorted({*reaped.nodes}))} forgot a tombstone of it{logs.when(reaped.first)}"
    if remnant.write:
        did = "found no node for a place" if line["event"] == "unplaced" else "stored a copy"
        what = (
            f"{forgot}, to which its coordinator had agreed although the write {remnant.write} was "
            f"still under way: {line['node']} {did} of it{logs.when(line)}"
        )
    elif line.get("mono", 0) < reaped.first.get("mono", 0):
        what = (
            f"{forgot}, although {line['node']} had kept a hint for {line.get('hint_for')} since "
            f"before that tombstone came there ({versions},{logs.when(line)}) and still had it"
        )
    else:
        place = f" as a hint for {line['hint_for']}" if "hint_for" in line else ""
        what = (
            f"{forgot}; {line['node']} stored{place} by {line.get('why')}{logs.when(line)} "
            f"{versions}, which had been superseded there before: it was still under way"
        )
    why = f"{what}. What is forgotten while a state of its key is left does not keep it dead."
    row = logs.row_at(run.order.history, line.get("mono", 0))
    data = {"reaped": dict(reaped.first), "line": dict(line), "versions": list(remnant.versions)}
    return Anomaly("early-reap", why, remnant.key, (), data, () if row is None else (row,))
