"""What the fixture `dynamesis` returns: a verdict that is unknown passes no assertion."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from dynamesis.checkers.verdict import NoTruthValue
from dynamesis.harness.pytest_plugin import TestResult, _asserted


def outcome(valid: object) -> TestResult:
    stored = json.dumps({"valid": valid, "anomalies": {}, "checkers": {"set": {"valid": valid}}})
    return TestResult(3, Path(), "", json.loads(stored, object_hook=_asserted))


def test_an_unknown_outcome_passes_neither_assertion() -> None:
    unknown = outcome("unknown")
    assert unknown.valid == "unknown"
    for holder in (unknown, unknown.valid, unknown.results["checkers"]["set"]["valid"]):
        with pytest.raises(NoTruthValue):
            assert holder
        with pytest.raises(NoTruthValue):
            assert not holder
    assert json.loads(json.dumps(unknown.results))["valid"] == "unknown"


@pytest.mark.parametrize("valid", [True, False])
def test_a_verdict_is_a_truth_value(valid: bool) -> None:
    assert outcome(valid).valid is valid
    with pytest.raises(NoTruthValue):
        bool(outcome(valid))
