"""stuck, by the nodes' event logs: what was asked of the membership comes about, or is passed over.

A change of the membership that a node accepts (`change-proposed`) travels with gossip to the node
that makes the next layout. It is in the next layout once nothing moves any more, or it became
impossible meanwhile, which is logged (`change-passed-over`). So a cluster that has been whole and
still for some time has no change that waits.

Judged is only what has no other explanation: the cluster got quiet, so that all its links are
well; the node that accepted the change has lived ever since and is a member; no other change of
the same node was asked for; no node is in doubt about the members, and no partition has moved for
as long as a change may take.
"""

from __future__ import annotations

from collections.abc import Iterator

from dynamesis.checkers.dynamo.nodes import members_answered
from dynamesis.checkers.graph.pace import spreading
from dynamesis.checkers.graph.run import Run
from dynamesis.checkers.logs.logs import Event, Logs
from dynamesis.checkers.verdict import DESCRIBED, Anomaly, CheckerResult, judge, skip

#: ns that a change may take to be in a layout, where nothing moves: what the harness waits for all
#: changes together is half as much again; more where nodes gossip seldom
_PATIENCE = 10_000_000_000
_KINDS = {"join": "join", "leave": "leave", "remove": "be removed"}


def check_changes(run: Run, logs: Logs) -> CheckerResult:
    """Judge that accepted changes of the membership come about."""
    asked = [event for event in logs.of_kinds("change-proposed") if event.get("kind") in _KINDS]
    if not asked:
        return skip("no node logged that it was asked for a change of the membership")
    timeline, h = run.timeline, run.order.history
    answers = members_answered(h, timeline)
    heal = timeline.phases.get("heal")
    if not timeline.quiet or heal is None or logs.began is None or not answers:
        return skip("the cluster did not get quiet, or was not asked for its members then")
    until = logs.began + int(h.time[min(row for row, _, _ in answers)])
    settled = max(logs.began + int(h.time[heal]), _last_moved(logs))
    patience = _PATIENCE + int(spreading(run.test) * 1e9)
    found = list(_waiting(asked, logs, answers)) if until - settled >= patience else []
    found = [event for event in found if until - event.get("mono", until) >= patience]
    anomalies = [_anomaly(run, logs, event, settled) for event in found[:DESCRIBED]]
    more = {"stuck": len(found) - DESCRIBED} if len(found) > DESCRIBED else {}
    return judge(anomalies, (), {"asked": len(asked)}, more)


def _last_moved(logs: Logs) -> int:
    """When the last layout was logged (ns of the logs' clock)."""
    return max((event.get("mono", 0) for event in logs.of_kinds("layout")), default=0)


def _waiting(
    asked: list[Event], logs: Logs, answers: list[tuple[int, str, frozenset[str]]]
) -> Iterator[Event]:
    """The changes that are in no node's view of the members, and that nothing explains."""
    layouts = logs.of_kinds("layout")
    last = max(layouts, key=lambda event: event.get("version", 0), default=None)
    views = {members for _, _, members in answers}
    if len(views) != 1 or (last is not None and "target" in last):
        return
    (members,) = views
    passed = {event.get("change") for event in logs.of_kinds("change-passed-over")}
    kinds: dict[object, set[object]] = {}
    for event in asked:
        kinds.setdefault(event.get("of"), set()).add(event.get("kind"))
    for event in asked:
        node, of = event["node"], event.get("of")
        lived = not any(start > event.get("mono", 0) for start in logs.starts(node))
        alone = len(kinds[of]) == 1 and event.get("change") not in passed
        done = (of in members) == (event["kind"] == "join")
        if lived and alone and not done and node in members:
            yield event


def _anomaly(run: Run, logs: Logs, event: Event, settled: int) -> Anomaly:
    node, of, kind = event["node"], event.get("of"), _KINDS[event["kind"]]
    still = max(settled, event.get("mono", 0)) - (logs.began or 0)
    why = (
        f"{node} accepted{logs.when(event)} that {of} is to {kind}. Since {still / 1e9:.3f} s the "
        "cluster is whole and no partition moves, and when it was quiet all nodes had the members "
        "of before; no node logged that the change was passed over."
    )
    faults = [f.started for f in run.timeline.faults if f.kind == "membership"]
    row = logs.row_at(run.order.history, event.get("mono", 0))
    near = tuple(start for start in faults if row is None or start <= row)[-1:]
    data = {"node": node, "of": of, "kind": event["kind"], "change": event.get("change")}
    during = (*near, *(() if row is None else (row,)))
    return Anomaly("stuck", why, None, near, data, during)
