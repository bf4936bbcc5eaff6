"""tree-drift, by the nodes' event logs: the hash trees of a node are not those of its records.

Trees change with the records, in one step, and are made anew now and then by reading all records;
what is written meanwhile goes into both. A node whose new trees differ from those that served until
then logs that (`tree-drift`): one of the two was not true to the records, and where it shows that
replicas are equal they are never compared. A disk that rots, or takes a write back, does that to
a sound node; nothing else does.
"""

from __future__ import annotations

from dynamesis.checkers.dynamo.ring import CheckedRing
from dynamesis.checkers.explain.describe import listed
from dynamesis.checkers.graph.run import Run
from dynamesis.checkers.logs.logs import Event, Logs
from dynamesis.checkers.verdict import DESCRIBED, Anomaly, CheckerResult, judge, skip

#: lines of a node that explain a drift: rows changed below its feet
_ROTTEN = ("row-damaged", "undone", "storage-error", "rebuild-failed")


def check_tree_drift(run: Run, logs: Logs) -> CheckerResult:
    """Judge that trees made anew are as those that served."""
    rebuilt = [event for event in logs.of_kinds("trees-rebuilt") if not event.get("boot")]
    if not rebuilt:
        return skip("no node made its hash trees anew")
    rotten = {event["node"] for event in logs.of_kinds(*_ROTTEN)} | _failing(run, logs)
    found = [event for event in logs.of_kinds("tree-drift") if event["node"] not in rotten]
    anomalies = [_anomaly(run, logs, event) for event in found[:DESCRIBED]]
    more = {"tree-drift": len(found) - DESCRIBED} if len(found) > DESCRIBED else {}
    return judge(anomalies, (), {"rebuilt": len(rebuilt)}, more)


def _failing(run: Run, logs: Logs) -> set[str]:
    """The nodes whose disks may have failed: all where disks do at random, or a fault of disks
    does not name them."""
    every = set(logs.by_node)
    unsteady = (run.test or {}).get("unsteady")
    if unsteady is True or (isinstance(unsteady, list) and "storage" in unsteady):
        return every
    found: set[str] = set()
    for fault in run.timeline.faults:
        if fault.kind == "disk" or fault.family == "disk":
            found |= set(fault.nodes) or every
    return found


def _anomaly(run: Run, logs: Logs, event: Event) -> Anomaly:
    node, partitions = event["node"], event.get("partitions") or []
    ring = CheckedRing.of(run.test)
    h = run.order.history
    keys = [key for key in h.keys if ring is not None and ring.partition(key) in partitions]
    why = (
        f"{node} made its hash trees anew, and{logs.when(event)} they differed from those that had "
        f"served, in partitions {listed([str(p) for p in partitions])}. Its disk had not failed: "
        "the trees do not follow the records, and replicas that differ may count as equal."
        + (f" Keys of these: {listed(keys[:5])}." if keys else "")
    )
    row = logs.row_at(h, event.get("mono", 0))
    data = {"node": node, "partitions": list(partitions), "line": dict(event)}
    return Anomaly("tree-drift", why, None, (), data, () if row is None else (row,))
