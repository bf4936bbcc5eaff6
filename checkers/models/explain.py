"""Evidence joined with what else is known: the faults, and what the nodes logged of a key.

The faults are those that were active while the cause must have worked (`Anomaly.during`).

A node's event log is JSON Lines of {"time", "node", "event", ...}; those of a key have
`key`, and `stored` has `why` (put, read-repair, hint, anti-entropy, transfer). The caller hands in
the events; a verdict does not depend on them. What they show of an anomaly
is worked out in `touches`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import partial

from dynamesis.checkers.dynamo.ring import CheckedRing
from dynamesis.checkers.explain.describe import concerned, listed
from dynamesis.checkers.graph.run import Run
from dynamesis.checkers.history.timeline import Timeline
from dynamesis.checkers.logs.beside import Beside
from dynamesis.checkers.logs.logs import Event, Logs
from dynamesis.checkers.logs.touches import explain
from dynamesis.checkers.verdict import Anomaly, CheckerResult, Results


def with_faults(results: Results, timeline: Timeline) -> Results:
    """The results with each anomaly's `why` and data extended by the faults active meanwhile."""
    return _each(results, partial(_with_faults, timeline))


def _with_faults(timeline: Timeline, anomaly: Anomaly) -> Anomaly:
    faults = timeline.active(anomaly.during or anomaly.ops)
    if not faults or "faults" in anomaly.data:
        return anomaly
    named = listed([concerned(fault) for fault in faults])
    data = {**anomaly.data, "faults": [fault.started for fault in faults]}
    return replace(anomaly, why=f"{anomaly.why} Faults active meanwhile: {named}.", data=data)


def touches(
    events: Iterable[Event] | Logs,
    results: Results,
    run: Run | None = None,
) -> Beside:
    """The events, and the run that they are of, if it is given: then an explanation holds nothing
    that came after what it explains. Only lines about the keys of these anomalies are kept, and
    those that are about no key."""
    keys = {anomaly.key for anomaly in results.anomalies}
    logs = events if isinstance(events, Logs) else Logs.of(events)
    ring = CheckedRing.of(run.test) if run is not None else None
    return Beside(logs, run, ring, frozenset(k for k in keys if k))


def with_touches(results: Results, beside: Beside) -> Results:
    """The results with each anomaly's `why` and data extended by what the logs show of it."""
    return _each(results, partial(_with_touches, beside))


def _with_touches(beside: Beside, anomaly: Anomaly) -> Anomaly:
    found = explain(beside, anomaly)
    return replace(anomaly, why=anomaly.why + found.why, data={**anomaly.data, **found.data})


def _each(results: Results, change: Callable[[Anomaly], Anomaly]) -> Results:
    def changed(verdict: CheckerResult) -> CheckerResult:
        if not verdict.anomalies:
            return verdict
        return replace(verdict, anomalies=tuple(map(change, verdict.anomalies)))

    return Results({name: changed(verdict) for name, verdict in results.verdicts.items()})
