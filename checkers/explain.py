"""Evidence joined with what the nodes logged: which mechanism last touched a key, where.

A node's event log is JSON Lines of {"time", "node", "event", ...}; those of a key have
`key`, and `stored` says `why` (put, read-repair, hint, anti-entropy, transfer). Whoever has
the logs hands in their events; a verdict stands without them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from .verdict import Anomaly, Results, Verdict

#: key -> node -> its last event about the key
Touches = Mapping[str, Mapping[str, Mapping[str, Any]]]

#: fields of an event that say nothing of the mechanism
_HEAD = ("time", "mono", "node", "event", "key", "hash")


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
    return Results({name: _verdict(v, touches) for name, v in results.verdicts.items()})


def _verdict(verdict: Verdict, touches: Touches) -> Verdict:
    return replace(verdict, anomalies=tuple(_anomaly(a, touches) for a in verdict.anomalies))


def _anomaly(anomaly: Anomaly, touches: Touches) -> Anomaly:
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
