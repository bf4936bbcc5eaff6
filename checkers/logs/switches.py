"""early-ownership, by the nodes' event logs: under one layout a partition moves once.

A partition goes from its owners to the coming ones when the last newcomer is ready, and under that
layout it never goes back: what is known to be ready only grows. A node logs which partitions it
begins and ceases to serve (`serves`: gained, lost), after the layout under which it does
(`layout`). One that serves again what it had given up, or gives up again what it had taken
over, without another layout between, serves what others took writes for meanwhile: it lacks
these, or the next ones will.

A life of a node, and a change of what is gone from the cluster (which is in the line of the
layout), begin anew. The first line after that of a layout is not judged: a node that learns of a
layout late logs there what the layouts before it have changed.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from dynamesis.checkers.dynamo.ring import CheckedRing
from dynamesis.checkers.explain.describe import listed
from dynamesis.checkers.graph.run import Run
from dynamesis.checkers.logs.logs import Event, Logs
from dynamesis.checkers.verdict import DESCRIBED, Anomaly, CheckerResult, judge, skip


@dataclass(frozen=True)
class Reversal:
    """A node does the opposite, in the line `then`, of what it did with a partition in `first`."""

    partition: int
    first: Event
    then: Event
    serves: bool


def check_switches(run: Run, logs: Logs) -> CheckerResult:
    """Judge that partitions do not go back."""
    ring = CheckedRing.of(run.test)
    if ring is None:
        return skip("needs the ring in test.json")
    lines = len(logs.of_kinds("serves"))
    if not lines:
        return skip("no node logged which partitions it serves")
    found: dict[tuple[str, int], Reversal] = {}
    for reversal in _reversals(logs):
        found.setdefault((reversal.then["node"], reversal.partition), reversal)
    used = {ring.partition(key) for key in run.order.history.keys}
    first = sorted(found.values(), key=lambda one: one.partition not in used)
    anomalies = [_anomaly(run, ring, logs, one) for one in first[:DESCRIBED]]
    more = {"early-ownership": len(found) - DESCRIBED} if len(found) > DESCRIBED else {}
    return judge(anomalies, (), {"lines": lines}, more)


def _reversals(logs: Logs) -> Iterator[Reversal]:
    by_node: dict[str, list[Event]] = {}
    for event in logs.of_kinds("start", "layout", "serves"):
        by_node.setdefault(event["node"], []).append(event)
    for events in by_node.values():
        #: partition -> whether it is served now, and the line that made it so
        known: dict[int, tuple[bool, Event]] = {}
        first = True
        for event in events:
            if event["event"] in ("start", "layout"):
                known, first = {}, True
            elif event["event"] == "serves" and first:
                first = False
            elif event["event"] == "serves":
                for serves, name in ((True, "gained"), (False, "lost")):
                    for partition in _numbers(event, name):
                        before = known.get(partition)
                        if before is not None and before[0] != serves:
                            yield Reversal(partition, before[1], event, serves)
                        known[partition] = serves, event


def _anomaly(run: Run, ring: CheckedRing, logs: Logs, reversal: Reversal) -> Anomaly:
    h, then, first = run.order.history, reversal.then, reversal.first
    keys = [key for key in h.keys if ring.partition(key) == reversal.partition]
    did, does = "had ceased to serve", "served it again"
    if not reversal.serves:
        did, does = "had begun to serve", "ceased to"
    why = (
        f"{then['node']} {does}{logs.when(then)} what it {did}{logs.when(first)}, partition "
        f"{reversal.partition}, both under layout {then.get('layout')}: under one layout a "
        "partition moves once. What was written there meanwhile is not where it is read now. "
        f"Keys of it: {listed(keys)}."
    )
    row = logs.row_at(h, then.get("mono", 0))
    changes = [f.started for f in run.timeline.faults if f.kind == "membership"]
    near = tuple(start for start in changes if row is None or start <= row)[-1:]
    data = {
        "node": then["node"],
        "partition": reversal.partition,
        "layout": then.get("layout"),
        "first": dict(first),
        "then": dict(then),
    }
    during = (*near, *(() if row is None else (row,)))
    return Anomaly("early-ownership", why, None, near, data, during)


def _numbers(event: Event, name: str) -> list[int]:
    value = event.get(name)
    return [n for n in value if isinstance(n, int)] if isinstance(value, list) else []
