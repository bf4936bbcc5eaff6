"""The nodes' event logs laid beside a history: the lines about a key, in the history's time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from dynamesis.checkers.dynamo.ring import CheckedRing
from dynamesis.checkers.explain.describe import name
from dynamesis.checkers.graph.run import Run
from dynamesis.checkers.history.timeline import Fault
from dynamesis.checkers.logs.logs import Event, Logs
from dynamesis.checkers.verdict import Anomaly

#: lines about a key that leave all copies as they are
UNTOUCHING = (
    *("read", "held", "read-repair", "put-refused", "get-refused", "unplaced", "fewer-places"),
    *("context-ahead", "record-behind"),
)
#: fields of a line that are not about the mechanism
_HEAD = ("time", "mono", "node", "event", "key", "hash", "dot", "holds", "incoming", "rows", "to")


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
        found: dict[str, list[Event]] = {key: [] for key in self.keys}
        for event in self.logs.events:
            key = event.get("key")
            lines = found.get(key) if isinstance(key, str) else None
            if lines is not None:
                lines.append(event)
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

    @cached_property
    def _wipes(self) -> list[Fault]:
        faults = () if self.run is None else self.run.timeline.faults
        return [fault for fault in faults if fault.family == "wipe"]

    def wiped(self, node: str, since: int, until: int | None) -> Fault | None:
        """The fault that took all that a node had, between two instants, if any did."""
        for fault in self._wipes:
            at = self.mono(fault.started)
            if node not in fault.nodes or fault.fields.get("disk") == "copied" or at is None:
                continue
            if since < at and (until is None or at <= until):
                return fault
        return None


@dataclass(frozen=True)
class Explanation:
    """Sentences, each with a blank before it, and the data behind them."""

    why: str
    data: dict[str, object]


def mechanism(event: Event) -> str:
    """A line as words: "put" for a copy stored by one, "handed-off (target n3)"."""
    if "why" in event:
        return str(event["why"])
    rest = " ".join(f"{k} {v}" for k, v in event.items() if k not in _HEAD)
    return f"{event['event']} ({rest})" if rest else str(event["event"])


def lost(anomaly: Anomaly) -> str | None:
    """The id of the write that is lost."""
    id = anomaly.data.get("id")
    return id if anomaly.name == "lost-write" and isinstance(id, str) else None
