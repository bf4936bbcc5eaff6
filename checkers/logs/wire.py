"""not-understood, by the nodes' event logs: a node cannot read what another sends it.

Links may lose, delay, cut off and reorder what nodes send, but change no byte of a frame. So a
whole frame of a peer that is not a message (`bad-frame`) was written so: the two speak differently,
as nodes of two versions in a rolling upgrade may, although each has greeted the other as one of its
own."""

from __future__ import annotations

from dynamesis.checkers.explain.describe import times
from dynamesis.checkers.graph.run import Run
from dynamesis.checkers.logs.logs import Event, Logs
from dynamesis.checkers.verdict import DESCRIBED, Anomaly, CheckerResult, judge, skip

#: what a node logs of a whole frame, and not of one that was cut off or is too large
_WHOLE = "is not a message"


def check_wire(run: Run, logs: Logs) -> CheckerResult:
    """Judge that nodes can read each other's frames."""
    if not logs.events:
        return skip("the nodes logged nothing")
    frames: dict[tuple[str, str], list[Event]] = {}
    for event in logs.of_kinds("bad-frame"):
        if event.get("peer") and _WHOLE in str(event.get("reason")):
            frames.setdefault((event["node"], str(event["peer"])), []).append(event)
    anomalies = [_anomaly(run, logs, pair, events) for pair, events in frames.items()]
    rest = len(anomalies) - DESCRIBED
    more = {"not-understood": rest} if rest > 0 else {}
    return judge(anomalies[:DESCRIBED], (), {"frames": sum(map(len, frames.values()))}, more)


def _anomaly(run: Run, logs: Logs, pair: tuple[str, str], events: list[Event]) -> Anomaly:
    node, peer = pair
    first, h = events[0], run.order.history
    row = logs.row_at(h, first.get("mono", 0))
    upgrades = [f.started for f in run.timeline.faults if f.kind.partition(".")[0] == "upgrade"]
    near = tuple(start for start in upgrades if row is None or start <= row)[-1:]
    versions = " An upgrade of nodes to another version had begun." if near else ""
    why = (
        f"{node} could not read what {peer} had sent it{logs.when(first)}, {times(len(events))} in "
        f"all: {first.get('reason')}. Both are nodes of this cluster, and no link changes a "
        f"frame.{versions}"
    )
    data = {"node": node, "peer": peer, "frames": len(events), "first": dict(first)}
    return Anomaly("not-understood", why, None, near, data, () if row is None else (row,))
