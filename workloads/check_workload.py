"""The whole verdict on a test: model dynamo, and what its workload alone can judge."""

from __future__ import annotations

from functools import partial

from dynamesis.checkers.evidence.vacuity import with_evidence
from dynamesis.checkers.graph.run import Run
from dynamesis.checkers.models.dynamo import check_run
from dynamesis.checkers.models.explain import with_faults
from dynamesis.checkers.models.models import ModelOptions, judge_run
from dynamesis.checkers.verdict import Results, check_safely
from dynamesis.workloads import WORKLOADS
from dynamesis.workloads.base import DYNAMO


def check_workload(run: Run) -> Results:
    """Judges a run by the checkers that its test.json names (all, if none), and by the own
    check of the workload that it names. Never raises, as `checkers.check` does not."""
    test = run.test or {}
    model = str(test.get("model", DYNAMO))
    if model == DYNAMO:
        results = with_evidence(check_run(run, test.get("checkers")), run)
    else:
        results = judge_run(model, run, ModelOptions(test=test))
    workload = WORKLOADS.get(str(test.get("workload")))
    if workload is None or workload.check is None or "history" in results.verdicts:
        return results
    own = check_safely(workload.name, partial(workload.check, run))
    return with_faults(Results({**results.verdicts, workload.name: own}), run.timeline)
