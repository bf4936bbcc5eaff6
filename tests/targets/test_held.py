"""Replicas of a user's own store are compared where its target can ask what each holds."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest
from dynamesis.harness.run.runner import RunnerParts
from dynamesis.harness.worlds import compose

import dynamesis
from tests.enough import run_enough

SPREAD = Path(__file__).with_name("spread.py")


def run(tmp_path: Path, name: str, seconds: int = 5) -> dynamesis.TestResult:
    return run_enough(
        tmp_path, seconds, target=f"{SPREAD}:{name}", nemesis="cut.one", links="embedded", seed=3
    )


@pytest.mark.cluster
def test_replicas_that_agree_are_counted(tmp_path: Path) -> None:
    result = run(tmp_path, "Spread")
    assert result.verdict is dynamesis.Verdict.VALID, result.explain()
    assert result.results["checkers"]["replicas"]["valid"] is True
    compared = result.results["evidence"]["compared"]
    assert compared["keys"] > 0
    assert compared["most_replicas"] == 3
    assert "dumps" not in result.results["skipped"]
    assert dynamesis.check(result.folder).verdict is dynamesis.Verdict.VALID


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """What never comes is waited for 3 s, not 20."""
    monkeypatch.setattr(compose, "RunnerParts", partial(RunnerParts, quiesce=3.0))


@pytest.mark.cluster
@pytest.mark.usefixtures("impatient")
def test_replicas_that_never_agree_are_a_divergence(tmp_path: Path) -> None:
    result = run(tmp_path, "SentOnce")
    assert result.verdict is dynamesis.Verdict.INVALID
    [first, *_] = result.results["checkers"]["replicas"]["anomalies"]
    assert first["name"] == "divergence"
    assert "the nodes of" in first["why"]
    assert "different versions although the cluster was quiet: n1 held [" in first["why"]
    assert "misplaced" not in result.results["anomalies"]


@pytest.mark.cluster
@pytest.mark.usefixtures("impatient")
def test_a_replica_that_does_not_answer_leaves_the_verdict_unknown(tmp_path: Path) -> None:
    result = run(tmp_path, "Mute", 2)
    assert result.verdict is dynamesis.Verdict.UNKNOWN
    assert "final dumps did not come back (n2)" in result.explain()
