"""Explains an anomaly by the nodes' event logs: which node last touched its key, where a lost
write was stored and what took it from there, which node answered a read with what, and what was
named alike.

Only what happened before the observation that is explained (the last event of its
proof), where the logs can be laid beside the history. A line that changes no copy (a read, the
order to repair another node) is not a touch. A version is known by its dot, which the line of its
stamp gives beside the id of the write; `holds` names the versions that a copy has after a line.
Older logs lack these: then what touched the key next is named, and not called the cause.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

from dynamesis.checkers.dynamo.ring import CheckedRing
from dynamesis.checkers.explain.describe import listed, name
from dynamesis.checkers.graph.run import Run
from dynamesis.checkers.history.history import History
from dynamesis.checkers.history.timeline import Fault
from dynamesis.checkers.logs.logs import Event, Logs
from dynamesis.checkers.verdict import Anomaly

#: lines about a key that leave all copies as they are
UNTOUCHING = ("read", "held", "read-repair", "put-refused", "unplaced", "fewer-places")
#: fields of a line that are not about the mechanism
_HEAD = ("time", "mono", "node", "event", "key", "hash", "dot", "holds", "incoming", "rows", "to")
#: how many of a kind are described in words
IN_WORDS = 2


@dataclass(frozen=True)
class Beside:
    """The logs, and what they are laid beside; None where there is none. `keys`: those that are
    asked about."""

    logs: Logs
    run: Run | None = None
    ring: CheckedRing | None = None
    keys: frozenset[str] = frozenset()

    @cached_property
    def by_key(self) -> dict[str, list[Event]]:
        """The lines about each key; one that names several rows is about each of them."""
        found: dict[str, list[Event]] = {}
        for event in self.logs.events:
            if event.get("key") in self.keys:
                found.setdefault(event["key"], []).append(event)
            for row in event.get("rows") or ():
                if isinstance(row, Mapping) and row.get("key") in self.keys:
                    found.setdefault(row["key"], []).append({**event, **row})
        return found

    def of(self, anomaly: Anomaly) -> list[Event]:
        """The lines about its key until its last observation."""
        events = self.by_key.get(anomaly.key or "", [])
        end = self.mono(max(anomaly.ops)) if anomaly.ops else None
        return events if end is None else [e for e in events if e.get("mono", 0) <= end]

    def written_upon(self, id: str) -> set[str]:
        """A write, and all that were written on contexts that cover it: these may replace it,
        and as long as one of them is there, it is not lost."""
        if self.run is None or id not in self.run.history.ids:
            return {id}
        c = self.run.order
        first = int(c.of_id[self.run.history.ids.index(id)])
        found = {first} if first >= 0 else set()
        order, starts = c.by_key
        key = int(c.key[first])
        for version in order[starts[key] : starts[key + 1]].tolist():
            if version > first and not found.isdisjoint(c.parents_of(version)):
                found.add(version)
        return {id, *(name(c, version) for version in found)}

    def mono(self, row: int) -> int | None:
        """When a row was written, by the logs' clock (ns)."""
        return None if self.run is None else self.logs.mono_at(self.run.history, row)

    def wiped(self, node: str, since: int, until: int | None) -> Fault | None:
        """The fault that took all that a node had, between two instants, if any did."""
        for fault in self.run.timeline.faults if self.run is not None else ():
            at = self.mono(fault.started)
            hit = fault.family == "wipe" and node in fault.nodes
            if not hit or fault.fields.get("disk") == "copied" or at is None:
                continue
            if since < at and (until is None or at <= until):
                return fault
        return None


@dataclass(frozen=True)
class Explanation:
    """Sentences, each with a blank before it, and the data behind them."""

    why: str
    data: dict[str, object]


def explain(beside: Beside, anomaly: Anomaly) -> Explanation:
    """What the logs show of one anomaly; nothing without lines about its key."""
    events = beside.of(anomaly)
    if not events:
        return Explanation("", {})
    parts = [
        _where_from(beside, anomaly, events),
        _answers(beside, anomaly, events),
        _named_alike(anomaly, events),
        _last(beside, anomaly, events),
    ]
    return Explanation(
        "".join(p.why for p in parts), {k: v for p in parts for k, v in p.data.items()}
    )


# ---- what last touched the key


def _last(beside: Beside, anomaly: Anomaly, events: list[Event]) -> Explanation:
    """The last line on each node that changed its copy."""
    by_node: dict[str, Event] = {}
    renewed: dict[str, Event] = {}
    words: dict[str, str] = {}
    end = beside.mono(max(anomaly.ops)) if anomaly.ops else None
    for event in events:
        node = event["node"]
        if event["event"] == "epoch-renewed":
            renewed[node] = event
        elif event["event"] not in UNTOUCHING:
            by_node[node] = event
            words[node] = mechanism(event) + _epoch(renewed.pop(node, None), event)
    for node, event in by_node.items():
        fault = beside.wiped(node, event.get("mono", 0), end)
        if fault is not None:
            words[node] += f", and wiped since (index {fault.started})"
    if not by_node:
        return Explanation("", {})
    spelled = ", ".join(f"{node} by {words[node]}" for node in sorted(by_node))
    data = {node: dict(event) for node, event in sorted(by_node.items())}
    return Explanation(f" Last touched on {spelled}.", {"last_touched": data})


def _epoch(renewed: Event | None, event: Event) -> str:
    """That a stamp began a new epoch: what is stamped so is another version than before."""
    if renewed is None or event.get("why") != "stamp":
        return ""
    return f" (under the new epoch {renewed.get('actor')}, after {renewed.get('was')})"


def mechanism(event: Event) -> str:
    """A line as words: "put" for a copy stored by one, "handed-off (target n3)"."""
    if "why" in event:
        return str(event["why"])
    rest = " ".join(f"{k} {v}" for k, v in event.items() if k not in _HEAD)
    return f"{event['event']} ({rest})" if rest else str(event["event"])


# ---- where a lost write was, and what took it from there


def _where_from(beside: Beside, anomaly: Anomaly, events: list[Event]) -> Explanation:
    id = lost(anomaly)
    if id is None:
        return Explanation("", {})
    ids = beside.written_upon(id)
    dots = {e["dot"] for e in events if e.get("request") in ids and "dot" in e}
    held: dict[str, tuple[Event, Event | None]] = {}
    for i, event in enumerate(events):
        node = event["node"]
        if node not in held and event.get("request") == id and event["event"] == "stored":
            after = [e for e in events[i + 1 :] if e["node"] == node and _touches(e)]
            held[node] = (event, _taken(after, dots, event))
    if not held:
        return Explanation(
            " No node's log has it stored, unless the last lines before a kill are missing.", {}
        )
    data = {n: {"stored": dict(a), "next": b and dict(b)} for n, (a, b) in sorted(held.items())}
    there = ", ".join(
        f"{node} by {mechanism(stored)}{_as_hint(stored)}" for node, (stored, _) in held.items()
    )
    exact = bool(dots) and all("holds" in stored for stored, _ in held.values())
    verb = "and was taken from" if exact else "its key was touched next on"
    gone = ", ".join(_gone(beside, exact, node, *pair) for node, pair in held.items())
    joint = "" if exact else ";"
    if exact and all(after is None for _, after in held.values()):
        still = listed([_gone(beside, exact, node, *pair) for node, pair in held.items()])
        return Explanation(f" It was stored on {there}; {still}.", {"copies": data})
    return Explanation(f" It was stored on {there}{joint} {verb} {gone}.", {"copies": data})


def _touches(event: Event) -> bool:
    return event["event"] not in (*UNTOUCHING, "epoch-renewed")


def _taken(after: list[Event], dots: set[str], stored: Event) -> Event | None:
    """The first line of the same copy after which it has none of these versions; without names,
    the next line."""
    if not dots or "holds" not in stored:
        return after[0] if after else None
    same = [e for e in after if e.get("hint_for") == stored.get("hint_for")]
    for i, event in enumerate(same):
        if event["event"] == "storage-error":  # what a buffer keeps is tried again
            if not any(dots & {*later.get("holds", ())} for later in same[i + 1 :]):
                return event
        elif event["event"] == "deleted" or ("holds" in event and not dots & {*event["holds"]}):
            return event
    return None


def _gone(beside: Beside, exact: bool, node: str, stored: Event, after: Event | None) -> str:
    if after is None:
        fault = beside.wiped(node, stored.get("mono", 0), None)
        if fault is not None:
            return f"{node} by a wipe (index {fault.started})"
        return f"{node} by nothing" if not exact else f"{node} by nothing that it logged"
    return f"{node} by {mechanism(after)}{_of(after)}{_dropped(beside, node, after)}"


def _dropped(beside: Beside, node: str, event: Event) -> str:
    """Which partition a transfer gave up, and to which node, where that deleted the copy."""
    if event["event"] != "deleted" or "hint_for" in event or beside.ring is None:
        return ""
    partition = beside.ring.partition(str(event.get("key")))
    for line in beside.logs.by_node.get(node, ()):
        dropped = line["event"] == "partition-dropped" and line.get("partition") == partition
        if dropped and line.get("mono", 0) >= event.get("mono", 0):
            owners = listed([str(owner) for owner in line.get("owners") or ()], "others")
            return f" (partition {partition} was given up, for {owners})"
    return f" (of partition {partition})"


def _as_hint(event: Event) -> str:
    return f" (a hint for {event['hint_for']})" if "hint_for" in event else ""


def _of(event: Event) -> str:
    return f" of {event['request']}" if "why" in event and "request" in event else ""


def lost(anomaly: Anomaly) -> str | None:
    """The id of the write that is lost."""
    id = anomaly.data.get("id")
    return id if anomaly.name == "lost-write" and isinstance(id, str) else None


# ---- which node answered a read with what


def _answers(beside: Beside, anomaly: Anomaly, events: list[Event]) -> Explanation:
    """Of the gets that an anomaly rests on, the last: which node answered with which writes."""
    if beside.run is None or beside.logs.began is None:
        return Explanation("", {})
    h = beside.run.history
    for row in sorted(anomaly.ops, reverse=True):
        if h.fs[h.f[row]] != "get" or h.pair[row] < 0 or h.pair[row] > row:
            continue
        line = _read_line(beside, h, row, events)
        if line is None:
            return Explanation("", {})
        ids = {str(e["dot"]): str(e.get("request")) for e in events if "dot" in e}
        answers = line.get("answers")
        spelled = [
            f"{who} with {listed([ids.get(dot, dot) for dot in dots])}"
            for who, dots in (answers.items() if isinstance(answers, Mapping) else ())
        ]
        why = f" The get at index {row} was answered by {line['node']} from {', '.join(spelled)}."
        return Explanation(why, {"answers": dict(line)})
    return Explanation("", {})


def _read_line(beside: Beside, h: History, row: int, events: list[Event]) -> Event | None:
    """What the coordinator of a get logged of it, if only one line can be that."""
    begun, ended = beside.mono(int(h.pair[row])), beside.mono(row)
    asked = h.nodes[h.node[row]] if h.node[row] >= 0 else None
    node = h.worth.get(row, {}).get("coordinator", asked)
    found = [
        e
        for e in events
        if e["event"] == "read"
        and node in (None, e["node"])
        and (begun or 0) <= e.get("mono", 0) <= (ended or 0)
    ]
    return found[0] if len(found) == 1 else None


# ---- versions that were named alike, writes that were stamped twice


def _named_alike(anomaly: Anomaly, events: list[Event]) -> Explanation:
    doubles = list(_doubles(events, _concerned(anomaly)))
    if not doubles or "dot" in anomaly.data:
        return Explanation("", {})
    more = f", and there are {len(doubles) - IN_WORDS} more such" * (len(doubles) > IN_WORDS)
    why = f" In the nodes' logs {'; '.join(doubles[:IN_WORDS])}{more}."
    return Explanation(why, {"doubles": doubles})


def _doubles(events: list[Event], ids: Collection[str]) -> Iterator[str]:
    """Versions of a key that were named alike, of which a replica that receives both keeps one; and
    writes that were stamped twice, which then are two versions. `ids`: of which writes; of
    all, if there are none."""
    stamps: dict[str, dict[str, str]] = {}
    for event in events:
        if event.get("why") == "stamp" and "dot" in event and "request" in event:
            writes = stamps.setdefault(str(event["dot"]), {})
            writes.setdefault(str(event["request"]), event["node"])
    names: dict[str, dict[str, str]] = {}
    for dot, writes in stamps.items():
        for write, node in writes.items():
            names.setdefault(write, {})[dot] = node
        if len(writes) > 1 and (not ids or any(id in writes for id in ids)):
            both = listed([f"{write} on {n}" for write, n in writes.items()], separator=" and ")
            yield f"{dot} was the name of {both}"
    for write, dots in names.items():
        if len(dots) > 1 and (not ids or write in ids):
            twice = " and ".join(f"{dot} on {node}" for dot, node in dots.items())
            yield f"{write} was stamped as {twice}"


def _concerned(anomaly: Anomaly) -> Collection[str]:
    """The writes that an anomaly names."""
    id, lacking = lost(anomaly), anomaly.data.get("lacking")
    return [id] if id is not None else list(lacking) if isinstance(lacking, Mapping) else []
