"""Model `dynamo`: siblings, contexts, tombstones, replicas that must agree in the end.

The meaning of each anomaly is docs/checkers.md; this module only lists the checkers of
the model. All of them share one Run.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from dynamesis.checkers.dynamo.cart import check_cart
from dynamesis.checkers.dynamo.causal_cycle import check_order
from dynamesis.checkers.dynamo.deadlines import check_deadlines
from dynamesis.checkers.dynamo.dots import check_dots
from dynamesis.checkers.dynamo.leaks import check_leaks
from dynamesis.checkers.dynamo.lost_writes import check_final
from dynamesis.checkers.dynamo.nodes import (
    check_bounds,
    check_crashes,
    check_hints,
    check_membership,
)
from dynamesis.checkers.dynamo.quorum import check_ledger
from dynamesis.checkers.dynamo.reads import check_reads
from dynamesis.checkers.dynamo.replicas import check_replicas, check_stuck
from dynamesis.checkers.dynamo.session_guarantees import check_coverage
from dynamesis.checkers.evidence.vacuity import check_evidence
from dynamesis.checkers.graph.run import Run
from dynamesis.checkers.history.harness_rules import first_unknown_node
from dynamesis.checkers.history.history import History
from dynamesis.checkers.history.wellformed import first_problem
from dynamesis.checkers.measure.staleness import check_staleness
from dynamesis.checkers.measure.stats import check_stats
from dynamesis.checkers.models.explain import with_faults
from dynamesis.checkers.models.operations import not_understood
from dynamesis.checkers.verdict import CheckerResult, Results, Verdict, check_safely

Checker = Callable[[Run], CheckerResult]

#: name -> checker, in the order in which they are reported
CHECKERS: dict[str, Checker] = {
    "reads": check_reads,
    "final": check_final,
    "replicas": check_replicas,
    "stuck": check_stuck,
    "cart": check_cart,
    "coverage": check_coverage,
    "ledger": check_ledger,
    "deadlines": check_deadlines,
    "membership": check_membership,
    "bounds": check_bounds,
    "hints": check_hints,
    "leaks": check_leaks,
    "crashes": check_crashes,
    "dots": check_dots,
    "order": check_order,
    "evidence": check_evidence,
    "stats": check_stats,
    "staleness": check_staleness,
}


def check(
    history: History, test: Mapping[str, Any] | None = None, names: Sequence[str] | None = None
) -> Results:
    """Judge a history. `test` is test.json, if there is one; `names` chooses checkers (all).
    Never raises: what is malformed or crashes a checker is unknown, with the reason."""
    return check_run(Run(history, test), names)


def check_run(run: Run, names: Sequence[str] | None = None) -> Results:
    """As `check`, for a run."""
    history, test = run.history, run.test
    wanted = list(CHECKERS) if names is None else list(names)
    try:
        problem = first_problem(history) or first_unknown_node(history, test)
        if problem is not None:
            reason = f"{history.path}, index {problem.row}, {problem.field}: {problem.message}"
            return Results({"history": CheckerResult(Verdict.UNKNOWN, reasons=(reason,))})
        strange = not_understood(history, "dynamo")
        if strange:
            return Results({"history": CheckerResult(Verdict.UNKNOWN, reasons=tuple(strange))})
        _, timeline = run.order, run.timeline
    except Exception as error:
        reason = f"the history could not be understood: {error!r}"
        return Results({"history": CheckerResult(Verdict.UNKNOWN, reasons=(reason,))})
    found = {name: check_safely(name, partial(CHECKERS[name], run)) for name in wanted}
    return with_faults(Results(found), timeline)
