"""What the fixture `dynamesis` returns: a verdict that is unknown passes no assertion."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from dynamesis.checkers.verdict import NoTruthValue
from dynamesis.harness.worlds.test_result import TestResult


@pytest.fixture
def outcome(tmp_path: Path) -> Callable[[object], TestResult]:
    def load(valid: object) -> TestResult:
        stored = {"valid": valid, "anomalies": {}, "checkers": {"set": {"valid": valid}}}
        (tmp_path / "results.json").write_text(json.dumps(stored))
        return TestResult.load(tmp_path)

    return load


def test_an_unknown_outcome_passes_neither_assertion(
    outcome: Callable[[object], TestResult],
) -> None:
    unknown = outcome("unknown")
    assert unknown.valid == "unknown"
    for holder in (unknown, unknown.valid, unknown.results["checkers"]["set"]["valid"]):
        with pytest.raises(NoTruthValue):
            assert holder
        with pytest.raises(NoTruthValue):
            assert not holder
    assert json.loads(json.dumps(unknown.results))["valid"] == "unknown"


@pytest.mark.parametrize("valid", [True, False])
def test_a_verdict_is_a_truth_value(valid: bool, outcome: Callable[[object], TestResult]) -> None:
    assert outcome(valid).valid is valid
    with pytest.raises(NoTruthValue):
        bool(outcome(valid))
