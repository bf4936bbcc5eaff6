"""The nodes' event logs, as the harness has parsed them, for the checkers that judge by them.

A log is appended to in order, and a SIGKILL costs its last moments: what a log does not show
may have been lost there, unless a later line of the same life is in it.
Its stamps (`mono`, ns) are of the machine's monotonic clock, as those of the history are, which
begins at `began`.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from itertools import chain
from typing import Any, TypeVar

from dynamesis.checkers.history.history import History
from dynamesis.checkers.history.timeline import Fault, Timeline

Event = Mapping[str, Any]

T = TypeVar("T")

#: faults that end a process, or stop it
ENDING = ("kill", "wipe", "stop", "membership", "upgrade")


@dataclass(frozen=True)
class Logs:
    """The events of all nodes in order of time. `began`: ns at which the history begins by the
    logs' clock, None where that is not known."""

    events: tuple[Event, ...]
    began: int | None = None
    _derived: dict[Any, Any] = field(default_factory=dict, init=False, repr=False, compare=False)
    #: the events of each node in order; these lists are let go of last, which is quicker than to
    #: let go of events in order of time: those of a node lie in memory one behind the other
    by_node: Mapping[str, list[Event]] = field(default_factory=dict, repr=False, compare=False)
    #: by name: where its events are
    by_kind: Mapping[str, list[int]] = field(default_factory=dict, repr=False, compare=False)

    @classmethod
    def of(cls, events: Iterable[Event], began: Any = None) -> Logs:
        """Lines that are not events of a node are left out."""
        known: list[Event] = []
        by_node: defaultdict[str, list[Event]] = defaultdict(list)
        by_kind: defaultdict[str, list[int]] = defaultdict(list)
        add, place = known.append, 0
        for event in events:
            get = event.get
            node, kind = get("node"), get("event")
            if node.__class__ is str and kind.__class__ is str:
                by_node[node].append(event)
                by_kind[kind].append(place)
                add(event)
                place += 1
        since = began if isinstance(began, int) else None
        return cls(tuple(known), since, dict(by_node), dict(by_kind))

    def of_kinds(self, *kinds: str) -> list[Event]:
        """The events of these names, in order of time: few checkers need more."""
        events = self.events
        return [events[place] for place in self.places(*kinds)]

    def with_kinds(self, places: Iterable[int], *kinds: str) -> list[Event]:
        """The events at these places, and those of these names, in order of time."""
        more = [self.by_kind.get(kind, []) for kind in kinds]
        return [self.events[place] for place in sorted(chain(places, *more))]

    def places(self, *kinds: str) -> list[int]:
        """Where the events of these names are."""
        found = [self.by_kind.get(kind, []) for kind in dict.fromkeys(kinds)]
        return found[0] if len(found) == 1 else sorted(chain.from_iterable(found))

    def of_node(self, node: str, *kinds: str) -> list[Event]:
        """The events of these names of one node, in order of time: what is asked of each write must
        not go through all events."""
        if kinds not in self._derived:
            grouped: dict[str, list[Event]] = defaultdict(list)
            for event in self.of_kinds(*kinds):
                grouped[event["node"]].append(event)
            self._derived[kinds] = dict(grouped)
        found: list[Event] = self._derived[kinds].get(node, [])
        return found

    def once(self, derive: Callable[[Logs], T]) -> T:
        """What a function derives from these logs; computed when first asked for, by whichever
        checker that is. Must not be changed."""
        if derive not in self._derived:
            self._derived[derive] = derive(self)
        found: T = self._derived[derive]
        return found

    def _stamps(self, node: str) -> list[int]:
        """When each event of a node was logged (ns); of few nodes it is asked."""
        if node not in self._derived:
            events = self.by_node.get(node, ())
            self._derived[node] = [event.get("mono", 0) for event in events]
        found: list[int] = self._derived[node]
        return found

    def starts(self, node: str) -> list[int]:
        """When each life of a node began (ns)."""
        return [event.get("mono", 0) for event in self.of_node(node, "start")]

    def whole(self, node: str, since: int, mono: int) -> bool:
        """Whether all that a node logged between two instants (ns) is certainly in its log: it
        lived through them, and the next line there is of the same life."""
        if any(since < start <= mono for start in self.starts(node)):
            return False
        events = self.by_node.get(node, [])
        place = bisect_right(self._stamps(node), mono)
        return place < len(events) and events[place]["event"] != "start"

    def when(self, event: Event) -> str:
        """When a line was logged, as a clause; empty where that is not known."""
        if self.began is None or "mono" not in event:
            return ""
        return f" at {(event['mono'] - self.began) / 1e9:.3f} s"

    def row_at(self, h: History, mono: int) -> int | None:
        """The last row of the history before this instant; None where that is not known."""
        if self.began is None:
            return None
        return max(0, int(h.time.searchsorted(mono - self.began)) - 1)

    def mono_at(self, h: History, row: int) -> int | None:
        """When a row was written, by the logs' clock."""
        return None if self.began is None else self.began + int(h.time[row])


def names(fault: Fault) -> set[str]:
    """The nodes that a fault names."""
    value = fault.fields
    lists = [value.get(field) for field in ("nodes", "node", "leaves", "removes")]
    found: set[str] = set()
    for each in lists:
        found.update([each] if isinstance(each, str) else each if isinstance(each, list) else ())
    return found


def surely_down(
    h: History, timeline: Timeline, logs: Logs, node: str, since: int, until: int
) -> bool:
    """Whether a fault had ended a node's process for certain from one instant to another."""
    first, last = logs.row_at(h, since), logs.row_at(h, until)
    return (
        first is not None
        and last is not None
        and any(
            fault.kind == "kill"
            and node in names(fault)
            and fault.begun is not None
            and fault.begun < first
            and (fault.stopping is None or last < fault.stopping)
            for fault in timeline.faults
        )
    )


def partition_of(event: Event) -> int | None:
    """The partition that an event names."""
    partition = event.get("partition")
    return partition if isinstance(partition, int) else None
