"""The whole verdict on a test: model dynamo, and what its workload alone can judge."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from dynamesis.checkers.evidence.vacuity import with_evidence
from dynamesis.checkers.history.history import History
from dynamesis.checkers.history.timeline import timeline
from dynamesis.checkers.models.dynamo import check
from dynamesis.checkers.models.explain import with_faults
from dynamesis.checkers.verdict import Results, check_safely
from dynamesis.workloads import WORKLOADS


def judge(history: History, test: Mapping[str, Any]) -> Results:
    """Judge a history by the checkers that test.json names (all, if none), and by the own
    check of the workload that it names. Never raises, as `checkers.check` does not."""
    results = with_evidence(check(history, test, test.get("checkers")), history, test)
    workload = WORKLOADS.get(str(test.get("workload")))
    if workload is None or workload.check is None or "history" in results.verdicts:
        return results
    own = check_safely(workload.name, partial(workload.check, history))
    return with_faults(Results({**results.verdicts, workload.name: own}), timeline(history))
