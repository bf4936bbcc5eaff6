"""The fixture `dynamesis`, in a pytest session of its own, which finds it as installed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

pytestmark = pytest.mark.cluster
pytest_plugins = ["pytester"]


def session(pytester: pytest.Pytester, body: str, *options: str) -> pytest.RunResult:
    pytester.makepyfile(body)
    return pytester.runpytest_subprocess("-p", "no:cacheprovider", *options)


def test_a_verdict_is_there_to_be_asserted(pytester: pytest.Pytester) -> None:
    result = session(
        pytester,
        """
        def run(dynamesis, **more):
            return dynamesis("register", time_limit="2s", nodes=3, links="direct", seed=1, **more)

        def test_clean(dynamesis):
            outcome = run(dynamesis)
            assert outcome.valid, outcome.output
            assert (outcome.exit_code, outcome.anomalies) == (0, {})

        def test_planted(dynamesis):
            outcome = run(dynamesis, bug="ctx-only-increment")
            assert outcome.anomalies["lost-write"]
            assert outcome.valid, outcome.output
        """,
        "--dynamesis-store=kept",
    )
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(["*lost-write: *", "*again *ctx-only-increment*"])
    folders = sorted(Path(pytester.path, "kept").glob("*/dynamesis-0/latest/results.json"))
    verdicts = [json.loads(path.read_bytes())["valid"] for path in folders]
    assert verdicts == [True, False]


def test_what_ends_without_a_verdict_fails_with_its_message(pytester: pytest.Pytester) -> None:
    result = session(
        pytester,
        """
        def test_wrong(dynamesis):
            dynamesis("registre")

        def test_stuck(dynamesis):
            dynamesis("register", time_limit="60s", nodes=3, links="direct", patience=3)
        """,
    )
    result.assert_outcomes(failed=2)
    result.stdout.fnmatch_lines(["*exit code 2*", "*register*", "*did not end within 3 s*"])
