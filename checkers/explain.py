"""Evidence joined with what else is known: the faults, and what the nodes logged of a key.

The faults are those that were active while the cause must have worked (`Anomaly.during`).

A node's event log is JSON Lines of {"time", "node", "event", ...}; those of a key have
`key`, and `stored` says `why` (put, read-repair, hint, anti-entropy, transfer). Whoever has
the logs hands in their events; a verdict stands without them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

from .course import Course
from .verdict import Anomaly, Results, Verdict
from .words import concerned, listed

#: key -> node -> its last event about the key
Touches = Mapping[str, Mapping[str, Mapping[str, Any]]]

#: fields of an event that say nothing of the mechanism
_HEAD = ("time", "mono", "node", "event", "key", "hash")


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


def last_touches(events: Iterable[Mapping[str, Any]], keys: Iterable[str]) -> Touches:
    """The last event about each of these keys, node by node; events of one node are in
    order."""
    found: dict[str, dict[str, Mapping[str, Any]]] = {key: {} for key in keys}
    for event in events:
        key, node = event.get("key"), event.get("node")
        if isinstance(node, str) and key in found:
            found[key][node] = event
    return found


def anomalous_keys(results: Results) -> tuple[str, ...]:
    """The keys that anomalies name, each once."""
    return tuple(dict.fromkeys(a.key for a in results.anomalies if a.key is not None))


def with_touches(results: Results, touches: Touches) -> Results:
    """The results with each anomaly's `why` and data telling who last touched its key."""
    return _each(results, partial(_with_touches, touches))


def _each(results: Results, change: Callable[[Anomaly], Anomaly]) -> Results:
    def changed(verdict: Verdict) -> Verdict:
        return replace(verdict, anomalies=tuple(map(change, verdict.anomalies)))

    return Results({name: changed(verdict) for name, verdict in results.verdicts.items()})


def _with_touches(touches: Touches, anomaly: Anomaly) -> Anomaly:
    by_node = touches.get(anomaly.key or "")
    if not by_node:
        return anomaly
    told = ", ".join(f"{node} by {_mechanism(by_node[node])}" for node in sorted(by_node))
    why = f"{anomaly.why} Last touched on {told}."
    data = {**anomaly.data, "last_touched": {n: dict(e) for n, e in sorted(by_node.items())}}
    return replace(anomaly, why=why, data=data)


def _mechanism(event: Mapping[str, Any]) -> str:
    """An event as words: "put" for a copy stored by one, "handed-off (target n3)"."""
    if "why" in event:
        return str(event["why"])
    rest = " ".join(f"{k} {v}" for k, v in event.items() if k not in _HEAD)
    return f"{event['event']} ({rest})" if rest else str(event["event"])
