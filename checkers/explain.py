"""Evidence joined with what else is known: the faults, and what the nodes logged of a key.

The faults are those that were active while the cause must have worked (`Anomaly.during`).

A node's event log is JSON Lines of {"time", "node", "event", ...}; those of a key have
`key`, and `stored` says `why` (put, read-repair, hint, anti-entropy, transfer). Whoever has
the logs hands in their events; a verdict stands without them.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from .course import Course
from .verdict import Anomaly, Results, Verdict
from .words import concerned, listed

Event = Mapping[str, Any]


@dataclass
class Touches:
    """What nodes did with the keys of anomalies. `last`: key -> node -> its last event about
    the key. `copies`: id of a lost write -> node -> the event that stored it there, and the next
    one there about its key, if any. `stamps`: key -> name of a version (dot) -> id of each write
    that was stamped so -> the node that did it."""

    last: dict[str, dict[str, Event]] = field(default_factory=dict)
    copies: dict[str, dict[str, tuple[Event, Event | None]]] = field(default_factory=dict)
    stamps: dict[str, dict[str, dict[str, str]]] = field(default_factory=dict)


#: how many doubles are told in words
_TOLD = 2
#: fields of an event that say nothing of the mechanism
_HEAD = ("time", "mono", "node", "event", "key", "hash", "dot")


def with_faults(results: Results, course: Course) -> Results:
    """The results with each anomaly's `why` and data telling the faults active meanwhile."""
    return _each(results, partial(_with_faults, course))


def _with_faults(course: Course, anomaly: Anomaly) -> Anomaly:
    faults = course.active(anomaly.during or anomaly.ops)
    if not faults or "faults" in anomaly.data:
        return anomaly
    told = listed([concerned(fault) for fault in faults])
    data = {**anomaly.data, "faults": [fault.started for fault in faults]}
    return replace(anomaly, why=f"{anomaly.why} Faults active meanwhile: {told}.", data=data)


def touches(events: Iterable[Event], results: Results) -> Touches:
    """What the events say of these anomalies; events of one node are in order."""
    found = Touches({a.key: {} for a in results.anomalies if a.key is not None})
    found.copies = {id: {} for id in map(_lost, results.anomalies) if id is not None}
    stored: dict[tuple[str, str], set[str]] = {}
    for event in events:
        key, node = event.get("key"), event.get("node")
        if not isinstance(node, str) or key not in found.last:
            continue
        found.last[key][node] = event
        for id in stored.pop((key, node), ()):
            found.copies[id][node] = (found.copies[id][node][0], event)
        request = str(event.get("request"))
        if event.get("why") == "stamp" and "dot" in event and "request" in event:
            dots = found.stamps.setdefault(key, {})
            dots.setdefault(str(event["dot"]), {}).setdefault(request, node)
        known = found.copies.get(request) if event.get("event") == "stored" else None
        if known is not None and node not in known:
            known[node] = (event, None)
            stored.setdefault((key, node), set()).add(request)
    return found


def _lost(anomaly: Anomaly) -> str | None:
    """The id of the write that is lost."""
    id = anomaly.data.get("id")
    return id if anomaly.name == "lost-write" and isinstance(id, str) else None


def with_touches(results: Results, touches: Touches) -> Results:
    """The results with each anomaly's `why` and data telling who last touched its key."""
    return _each(results, partial(_with_touches, touches))


def _each(results: Results, change: Callable[[Anomaly], Anomaly]) -> Results:
    def changed(verdict: Verdict) -> Verdict:
        return replace(verdict, anomalies=tuple(map(change, verdict.anomalies)))

    return Results({name: changed(verdict) for name, verdict in results.verdicts.items()})


def _with_touches(touches: Touches, anomaly: Anomaly) -> Anomaly:
    why, data = anomaly.why, dict(anomaly.data)
    copies = touches.copies.get(_lost(anomaly) or "")
    if copies is not None and not copies and touches.last.get(anomaly.key or ""):
        why += " No node's log has it stored, unless the last lines before a kill are missing."
    if copies:
        why += f" {_copied(copies)}"
        data["copies"] = {
            node: {"stored": dict(stored), "next": following and dict(following)}
            for node, (stored, following) in sorted(copies.items())
        }
    doubles = list(_doubles(touches.stamps.get(anomaly.key or "", {}), _concerned(anomaly)))
    if doubles and "dot" not in anomaly.data:
        more = f", and there are {len(doubles) - _TOLD} more such" * (len(doubles) > _TOLD)
        why += f" In the nodes' logs {'; '.join(doubles[:_TOLD])}{more}."
        data["doubles"] = doubles
    by_node = touches.last.get(anomaly.key or "")
    if by_node:
        told = ", ".join(f"{node} by {_mechanism(by_node[node])}" for node in sorted(by_node))
        why += f" Last touched on {told}."
        data["last_touched"] = {n: dict(e) for n, e in sorted(by_node.items())}
    return replace(anomaly, why=why, data=data)


def _copied(copies: Mapping[str, tuple[Event, Event | None]]) -> str:
    """Where a write was stored, and what came over it there."""
    held = ", ".join(
        f"{node} by {_mechanism(stored)}{_as_hint(stored)}" for node, (stored, _) in copies.items()
    )
    after = ", ".join(
        f"{node} by {_mechanism(following)}{_of(following)}" if following else f"{node} by nothing"
        for node, (_, following) in copies.items()
    )
    return f"It was stored on {held}; its key was touched next on {after}."


def _doubles(stamps: Mapping[str, Mapping[str, str]], ids: Collection[str]) -> Iterator[str]:
    """Versions of a key that were named alike, of which whoever meets both keeps one; and
    writes that were stamped twice, which then are two versions. `ids`: of which writes; of
    all, if there are none."""
    names: dict[str, dict[str, str]] = {}
    for dot, writes in stamps.items():
        for write, node in writes.items():
            names.setdefault(write, {})[dot] = node
        if len(writes) > 1 and (not ids or any(id in writes for id in ids)):
            told = listed(
                [f"{write} on {node}" for write, node in writes.items()], separator=" and "
            )
            yield f"{dot} was the name of {told}"
    for write, dots in names.items():
        if len(dots) > 1 and (not ids or write in ids):
            told = " and ".join(f"{dot} on {node}" for dot, node in dots.items())
            yield f"{write} was stamped as {told}"


def _concerned(anomaly: Anomaly) -> Collection[str]:
    """The writes that an anomaly is about, where it says so."""
    lost, lacking = _lost(anomaly), anomaly.data.get("lacking")
    return [lost] if lost is not None else list(lacking) if isinstance(lacking, Mapping) else []


def _as_hint(event: Event) -> str:
    return f" (a hint for {event['hint_for']})" if "hint_for" in event else ""


def _of(event: Event) -> str:
    return f" of {event['request']}" if "why" in event and "request" in event else ""


def _mechanism(event: Mapping[str, Any]) -> str:
    """An event as words: "put" for a copy stored by one, "handed-off (target n3)"."""
    if "why" in event:
        return str(event["why"])
    rest = " ".join(f"{k} {v}" for k, v in event.items() if k not in _HEAD)
    return f"{event['event']} ({rest})" if rest else str(event["event"])
