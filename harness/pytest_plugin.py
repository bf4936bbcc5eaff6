"""A pytest plugin: the fixture `dynamesis` runs a whole test from within a test.

    def test_a_majority_loses_nothing(dynamesis):
        outcome = dynamesis("register", "cut,kill", r=2, w=2, time_limit="10s", seed=7)
        assert outcome.valid, outcome.output

Nothing is imported before the fixture is used: the plugin is loaded wherever Dynamesis is
installed, also in test suites that have nothing to do with it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from contextlib import suppress
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from dynamesis.harness.worlds.test_result import TestResult
    from dynamesis.harness.worlds.test_spec import TestSpec

#: s after which a test counts as stuck, and is killed
_PATIENCE = 600.0
#: wrong usage, and an environment that failed: no verdict, whatever the test asserts
_NO_VERDICT = (2, 4)
#: characters of a folder's name; a file system takes 255 bytes
_LONGEST = 200

Run = Callable[..., "TestResult"]


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.getgroup("dynamesis").addoption(
        "--dynamesis-store",
        metavar="DIR",
        help="keep what the tests of the fixture dynamesis leave in this folder, for CI to "
        "publish, and not in the temporary folder of the test",
    )


@pytest.fixture
def dynamesis(request: pytest.FixtureRequest, tmp_path: Path) -> Run:
    """Run a test: `dynamesis(workload, nemesis, **options)`, where each option is a field of
    TestSpec, written as in Python or as on the command line (`time_limit="10s"`). `patience`
    is how many seconds it may take in all, where it runs on processes; `junit` is a second file
    for the verdict, as JUnit XML. Fails the test where there is no verdict: wrong usage, an
    environment that failed, a test that had to be killed."""
    kept = request.config.getoption("--dynamesis-store")
    began = request.config.invocation_params.dir  # a test may go elsewhere
    base = began / kept / _named(request.node.nodeid) if kept else tmp_path

    def run(
        workload: str,
        nemesis: str = "none",
        *,
        patience: float = _PATIENCE,
        junit: Path | None = None,
        **flags: Any,
    ) -> TestResult:
        from dynamesis.harness.usage.exits import UsageError
        from dynamesis.harness.worlds.test_spec import TestSpec

        store = _unused(base)
        try:
            spec = TestSpec.of({"workload": workload, "nemesis": nemesis, **flags})
        except UsageError as wrong:
            pytest.fail(f"dynamesis: {wrong}", pytrace=False)
        if spec.world == "simulated":
            return _simulate(spec, store, junit)
        return _run(spec, store, patience, junit)

    return run


def _named(node: str) -> str:
    """A folder's name for a test; what is different about two tests is mostly at the end."""
    return re.sub(r"[^\w.-]+", "-", node, flags=re.ASCII)[-_LONGEST:]


def _unused(base: Path) -> Path:
    """A new folder for a test: the first that neither this session has made, nor an earlier one
    with the same --dynamesis-store."""
    for number in count():
        with suppress(FileExistsError):
            (folder := base / f"dynamesis-{number}").mkdir(parents=True)
            break
    return folder


def _simulate(spec: TestSpec, store: Path, junit: Path | None) -> TestResult:
    """The test in virtual time, in this process: there is nothing that it could harm. Raises
    KeyboardInterrupt after a ctrl-C, which had the test end in order."""
    from dynamesis.harness.targets.system import EnvironmentFailed
    from dynamesis.harness.usage.exits import UsageError
    from dynamesis.harness.worlds.run_test import run_test

    wrong, result = "", None
    try:
        result = run_test(spec, store=store, junit=junit)
    except (UsageError, EnvironmentFailed) as failure:
        wrong = str(failure)
    if _interrupted(store / "latest" / "test.json"):
        raise KeyboardInterrupt
    if result is None:
        pytest.fail(f"dynamesis: {wrong}", pytrace=False)
    if result.results["valid"] == "unknown":
        print(result.explain())
    return result


def _interrupted(file: Path) -> bool:
    """Whether a user ended the test of this test.json; one that never began has none."""
    return file.is_file() and bool(json.loads(file.read_text("utf-8")).get("interrupted"))


def _run(spec: TestSpec, store: Path, patience: float, junit: Path | None) -> TestResult:
    """The test in a process of its own."""
    from dynamesis.harness.campaign.worker_pool import Task, worker_pool
    from dynamesis.harness.worlds.test_result import TestResult
    from dynamesis.harness.worlds.test_spec import command

    task = Task(0, spec, store, patience, junit)
    with worker_pool(1, warm=False) as pool:
        pool.give(task)
        while not (ended := pool.ended(1.0)):
            pass
    code = ended[0].code
    output = task.output.read_text("utf-8", "replace") if task.output.exists() else ""
    if code is None:
        pytest.fail(f"the test did not end within {patience:g} s\n{output}", pytrace=False)
    if code < 0 or code in _NO_VERDICT:
        pytest.fail(f"{command(spec, store)}: exit code {code}\n{output}", pytrace=False)
    result = TestResult.load((store / "latest").resolve(), output)
    if result.results["valid"] == "unknown":
        print(output)  # pytest shows it where the assertion of an unknown verdict fails
    return result
