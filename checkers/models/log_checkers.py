"""The checkers that judge by the nodes' event logs as well: what no client can see.

A history judged alone has none of them. A log that is missing, or lacks what one of
them needs, leaves it skipped, never valid by itself.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from dynamesis.checkers.graph.run import Run
from dynamesis.checkers.history.gc_pause import gc_paused
from dynamesis.checkers.logs.changes import check_changes
from dynamesis.checkers.logs.copies import check_places
from dynamesis.checkers.logs.durability import check_durability
from dynamesis.checkers.logs.handoffs import check_handoffs
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
    "durability": check_durability,
    "merges": check_merges,
    "reaping": check_reaping,
    "trees": check_tree_drift,
    "wire": check_wire,
    "rows": check_rows,
}


def check_logs(run: Run, logs: Logs) -> Results:
    """Judges a well-formed history with the logs of its nodes. Never raises."""
    try:
        _, timeline = run.order, run.timeline
    except Exception as error:
        reason = f"the history could not be understood: {error!r}"
        return Results({"logs": CheckerResult(Verdict.UNKNOWN, reasons=(reason,))})
    with gc_paused():  # what they gather of each line is large, and has no cycles
        found = {
            name: check_safely(name, partial(checker, run, logs))
            for name, checker in LOG_CHECKERS.items()
        }
    return with_faults(Results(found), timeline)
