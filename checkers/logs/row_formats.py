"""unreadable-record, by the nodes' event logs: a node cannot read what is on its own disk, after
nodes were started in another version.

A kill loses what was not synced and damages no row; only faults of the disk do that. So where the
test had none of these, a row that a node found damaged (`row-damaged`) was written so: two versions
differ in what they write to disk, and the one that came later, as a rule the older one after a
roll back, cannot read it. That replicas heal the row from others hides it from clients as long as
one copy is left."""

from __future__ import annotations

from dynamesis.checkers.explain.describe import counted
from dynamesis.checkers.graph.run import Run
from dynamesis.checkers.logs.logs import Event, Logs
from dynamesis.checkers.verdict import DESCRIBED, Anomaly, CheckerResult, judge, skip


def check_rows(run: Run, logs: Logs) -> CheckerResult:
    """Judge that nodes of both versions can read each other's rows."""
    if not logs.events:
        return skip("the nodes logged nothing")
    families = {fault.kind.partition(".")[0] for fault in run.timeline.faults}
    if "upgrade" not in families:
        return skip("no node was started in another version")
    if "disk" in families:
        return skip("disks failed, which damages rows")
    rows: dict[tuple[str, str], list[Event]] = {}
    for event in logs.of_kinds("row-damaged"):
        rows.setdefault((event["node"], str(event.get("table"))), []).append(event)
    anomalies = [_anomaly(run, logs, place, events) for place, events in rows.items()]
    rest = len(anomalies) - DESCRIBED
    more = {"unreadable-record": rest} if rest > 0 else {}
    return judge(anomalies[:DESCRIBED], (), {"rows": sum(map(len, rows.values()))}, more)


def _anomaly(run: Run, logs: Logs, place: tuple[str, str], events: list[Event]) -> Anomaly:
    node, table = place
    first = events[0]
    row = logs.row_at(run.order.history, first.get("mono", 0))
    upgrades = [f.started for f in run.timeline.faults if f.kind.partition(".")[0] == "upgrade"]
    near = tuple(start for start in upgrades if row is None or start <= row)[-1:]
    keys = sorted({str(event["key"]) for event in events if event.get("key") is not None})
    why = (
        f"{node} could not read {counted(len(events), 'row')} of its table {table}, the first"
        f"{logs.when(first)}. No disk failed; nodes were started in another version, which "
        "writes what this one cannot read."
    )
    data = {"node": node, "table": table, "rows": len(events), "keys": keys, "first": dict(first)}
    return Anomaly("unreadable-record", why, None, near, data, () if row is None else (row,))
