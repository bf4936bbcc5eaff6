"""The whole verdict on a test: its model, and what its workload alone can judge."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from dynamesis.checkers.dynamo.replicas import check_replicas
from dynamesis.checkers.dynamo.ring import everywhere
from dynamesis.checkers.evidence.vacuity import with_evidence
from dynamesis.checkers.graph.run import Run
from dynamesis.checkers.measure.stats import check_stats
from dynamesis.checkers.models.dynamo import check_run
from dynamesis.checkers.models.explain import with_faults
from dynamesis.checkers.models.models import ModelOptions, judge_run
from dynamesis.checkers.verdict import Results, check_safely, judge
from dynamesis.workloads import WORKLOADS
from dynamesis.workloads.base import DYNAMO, Workload


def check_workload(run: Run, workload: Workload | None = None) -> Results:
    """Judges a run by the model that its test.json names (`dynamo`, if none): by all checkers of
    model dynamo that it names, or by the model with its options; and by the own check of the
    workload: of the given one, else of that which test.json names. Never raises."""
    test = run.test or {}
    model = str(test.get("model", DYNAMO))
    if workload is None and model == DYNAMO:
        workload = WORKLOADS.get(str(test.get("workload")))
    if model == DYNAMO:
        results = with_evidence(check_run(run, test.get("checkers")), run)
    else:
        results = _by_model(run, model, test)
    if workload is None or workload.check is None or "history" in results.verdicts:
        return results
    own = check_safely(workload.name, partial(workload.check, run))
    return with_faults(Results({**results.verdicts, workload.name: own}), run.timeline)


def _by_model(run: Run, model: str, test: Mapping[str, Any]) -> Results:
    """What the model finds, and figures that are not judged."""
    try:
        found = judge_run(model, run, _options(test))
    except (ValueError, TypeError) as senseless:
        return Results({model: judge((), [f"test.json: {senseless}"])})
    stats = check_safely("stats", partial(check_stats, run))
    found = Results({**found.verdicts, "stats": stats})
    if not everywhere(test) or "history" in found.verdicts:
        return found
    replicas = check_safely("replicas", partial(check_replicas, run))
    compared = with_faults(Results({"replicas": replicas}), run.timeline)
    return Results({**found.verdicts, **compared.verdicts})


def _options(test: Mapping[str, Any]) -> ModelOptions:
    """The options of the model that test.json has. Raises TypeError for one that there is not."""
    given: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value
        for name, value in (test.get("model_options") or {}).items()
    }
    return ModelOptions(**given, test=test)
