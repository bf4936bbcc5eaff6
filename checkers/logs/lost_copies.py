"""Explains a lost write by the nodes' event logs: where it was stored, and what took it from there.

A version is known by its dot, which the line of its stamp gives beside the id of the write; `holds`
names the versions that a copy has after a line. Older logs lack these: then what touched the key
next is named, and not called the cause.
"""

from __future__ import annotations

from dynamesis.checkers.explain.describe import listed
from dynamesis.checkers.logs.beside import UNTOUCHING, Beside, Explanation, lost, mechanism
from dynamesis.checkers.logs.logs import Event
from dynamesis.checkers.verdict import Anomaly


def lost_copies(beside: Beside, anomaly: Anomaly, events: list[Event]) -> Explanation:
    id = lost(anomaly)
    if id is None:
        return Explanation("", {})
    ids = beside.written_upon(id)
    dots = {e["dot"] for e in events if e.get("request") in ids and "dot" in e}
    held: dict[str, tuple[Event, Event | None]] = {}
    last: dict[str, Event] = {}
    for i, event in enumerate(events):
        node = event["node"]
        if node not in held and event.get("request") == id and event["event"] == "stored":
            after = [e for e in events[i + 1 :] if e["node"] == node and _touches(e)]
            last[node], taker = _taken(after, dots, event)
            held[node] = (event, taker)
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
    taken = [_gone(beside, exact, node, last[node], after) for node, (_, after) in held.items()]
    joint = "" if exact else ";"
    if exact and all(after is None for _, after in held.values()):
        return Explanation(f" It was stored on {there}; {listed(taken)}.", {"copies": data})
    return Explanation(
        f" It was stored on {there}{joint} {verb} {', '.join(taken)}.", {"copies": data}
    )


def _touches(event: Event) -> bool:
    return event["event"] not in (*UNTOUCHING, "epoch-renewed")


def _taken(after: list[Event], dots: set[str], stored: Event) -> tuple[Event, Event | None]:
    """The last line with which the same copy had one of these versions, and the first after which
    it has none; without names, the next line."""
    last = stored
    if not dots or "holds" not in stored:
        return last, after[0] if after else None
    same = [e for e in after if e.get("hint_for") == stored.get("hint_for")]
    for i, event in enumerate(same):
        if event["event"] == "storage-error":  # what a buffer keeps is tried again
            if not any(dots & {*later.get("holds", ())} for later in same[i + 1 :]):
                return last, event
        elif event["event"] == "deleted" or ("holds" in event and not dots & {*event["holds"]}):
            return last, event
        elif "holds" in event:
            last = event
    return last, None


def _gone(beside: Beside, exact: bool, node: str, last: Event, after: Event | None) -> str:
    """What took a copy that was there with the line `last`: a wipe writes no line of its own."""
    until = None if after is None else after.get("mono", 0)
    fault = beside.wiped(node, last.get("mono", 0), until)
    if fault is not None:
        return f"{node} by a wipe (index {fault.started})"
    if after is None:
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
