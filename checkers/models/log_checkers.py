"""The checkers that judge by the nodes' event logs as well: what no client can see.

A history judged alone has none of them. A log that is missing, or lacks what one of
them needs, leaves it skipped, never valid by itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

from dynamesis.checkers.evidence.figures import is_run
from dynamesis.checkers.evidence.gaps import members
from dynamesis.checkers.graph.run import Run
from dynamesis.checkers.history.gc_pause import gc_paused
from dynamesis.checkers.logs.changes import check_changes
from dynamesis.checkers.logs.copies import check_places
from dynamesis.checkers.logs.durability import check_durability
from dynamesis.checkers.logs.handoffs import check_handoffs, check_recovered
from dynamesis.checkers.logs.logs import Logs
from dynamesis.checkers.logs.merges import check_merges
from dynamesis.checkers.logs.ownership import check_ownership
from dynamesis.checkers.logs.reaping import check_reaping
from dynamesis.checkers.logs.row_formats import check_rows
from dynamesis.checkers.logs.switches import check_switches
from dynamesis.checkers.logs.tree_drift import check_tree_drift
from dynamesis.checkers.logs.wire import check_wire
from dynamesis.checkers.logs.zones import check_newcomers, check_zones
from dynamesis.checkers.models.explain import with_faults
from dynamesis.checkers.verdict import CheckerResult, Results, Verdict, check_safely

LogChecker = Callable[[Run, Logs], CheckerResult]

#: name -> checker, in the order in which they are reported
LOG_CHECKERS: dict[str, LogChecker] = {
    "ownership": check_ownership,
    "switches": check_switches,
    "changes": check_changes,
    "places": check_places,
    "zones": check_zones,
    "newcomers": check_newcomers,
    "handoffs": check_handoffs,
    "recovered": check_recovered,
    "durability": check_durability,
    "merges": check_merges,
    "reaping": check_reaping,
    "trees": check_tree_drift,
    "wire": check_wire,
    "rows": check_rows,
}


def check_logs(run: Run, logs: Logs) -> Results:
    """Judges a well-formed history with the logs of its nodes; unknown where these are not whole:
    most of these checkers go by what a log has not. Never raises."""
    try:
        _, timeline = run.order, run.timeline
        lacking = list(_lacking(run, logs)) if is_run(run.test) else []
    except Exception as error:
        reason = f"the history could not be understood: {error!r}"
        return Results({"logs": CheckerResult(Verdict.UNKNOWN, reasons=(reason,))})
    if lacking:
        return Results({"logs": CheckerResult(Verdict.UNKNOWN, reasons=tuple(lacking))})
    with gc_paused():  # what they gather of each line is large, and has no cycles
        found = {
            name: check_safely(name, partial(checker, run, logs))
            for name, checker in LOG_CHECKERS.items()
        }
    return with_faults(Results(found), timeline)


def _lacking(run: Run, logs: Logs) -> Iterator[str]:
    """What the logs of a test that the harness ran lack: the instant at which the history begins
    by their clock, the log of a member, its end. Each node that lives until the end of a test is
    stopped then, and logs it. Where the cluster did not get quiet, it is not known which did."""
    timeline = run.timeline
    if logs.began is None:
        yield "test.json, field began: expected when the history begins by the clock of the logs"
    if not timeline.quiet or not timeline.healed or "stop" not in timeline.phases:
        return
    for node in sorted(members(run.history, timeline)):
        events = logs.by_node.get(node)
        if not events:
            yield f"{node} has no event log"
        elif events[-1]["event"] != "stop":
            yield (
                f"the event log of {node} is cut off: its last line is {events[-1]['event']}, not "
                "the stop with which each ends"
            )
