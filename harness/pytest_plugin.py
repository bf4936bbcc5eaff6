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
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from dynamesis.checkers.verdict import JsonVerdict

#: s after which a test counts as stuck, and is killed
_PATIENCE = 600.0
#: wrong usage, and an environment that failed: no verdict, whatever the test asserts
_NO_VERDICT = (2, 4)


@dataclass(frozen=True)
class TestResult:
    """How a test ended: its exit code, the folder with all that it left, results.json, and
    what it printed on the terminal. It has no truth value itself; assert its `valid`."""

    exit_code: int
    folder: Path
    output: str = field(repr=False)
    results: dict[str, Any] = field(repr=False)

    @property
    def valid(self) -> JsonVerdict:
        """True only where the evidence was there to say otherwise. An unknown verdict equals
        "unknown" and cannot be asserted, nor can its negation: `bool` raises NoTruthValue."""
        found: JsonVerdict = self.results["valid"]
        return found

    def __bool__(self) -> bool:
        from dynamesis.checkers.verdict import no_truth_value

        no_truth_value(self)

    @property
    def anomalies(self) -> dict[str, int]:
        """How often each anomaly was found."""
        found: dict[str, int] = self.results["anomalies"]
        return found


Run = Callable[..., TestResult]


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.getgroup("dynamesis").addoption(
        "--dynamesis-store",
        metavar="DIR",
        help="keep what the tests of the fixture dynamesis leave in this folder, for CI to "
        "publish, and not in the temporary folder of the test",
    )


@pytest.fixture
def dynamesis(request: pytest.FixtureRequest, tmp_path: Path) -> Run:
    """Run `dynamesis test`: `dynamesis(workload, nemesis, **flags)`, where each flag is one of
    the command line, with underscores for hyphens (`time_limit="10s"`). `patience` is how
    many seconds it may take in all. Fails the test where there is no verdict: wrong usage,
    an environment that failed, a test that had to be killed."""
    kept = request.config.getoption("--dynamesis-store")
    base = Path(kept) / re.sub(r"[^\w.-]+", "-", request.node.nodeid) if kept else tmp_path
    numbers = count()

    def run(
        workload: str, nemesis: str = "none", *, patience: float = _PATIENCE, **flags: Any
    ) -> TestResult:
        store = base / f"dynamesis-{next(numbers)}"
        store.mkdir(parents=True)
        options = {"workload": workload, "nemesis": nemesis, "store": store, **flags}
        arguments = (f"--{name.replace('_', '-')}={value}" for name, value in options.items())
        return _run(("test", *arguments), store, patience)

    return run


def _run(arguments: tuple[str, ...], store: Path, patience: float) -> TestResult:
    from dynamesis.harness.campaign.worker_pool import Task, worker_pool

    said = store / "output.txt"
    with worker_pool(1) as crew:
        crew.give(Task(0, arguments, said, patience))
        while not (ended := crew.ended(1.0)):
            pass
    code, output = ended[0].code, said.read_text("utf-8", "replace") if said.exists() else ""
    if code is None:
        pytest.fail(f"the test did not end within {patience:g} s\n{output}", pytrace=False)
    if code < 0 or code in _NO_VERDICT:
        pytest.fail(f"dynamesis {' '.join(arguments)}: exit code {code}\n{output}", pytrace=False)
    folder = (store / "latest").resolve()
    results = json.loads((folder / "results.json").read_bytes(), object_hook=_asserted)
    if results["valid"] == "unknown":
        print(output)  # pytest shows it where the assertion of an unknown verdict fails
    return TestResult(code, folder, output, results)


def _asserted(decoded: dict[str, Any]) -> dict[str, Any]:
    """An object of results.json, with a `valid` that is unknown as what has no truth value."""
    from dynamesis.checkers.verdict import Unknown

    if decoded.get("valid") == "unknown":
        decoded["valid"] = Unknown.UNKNOWN
    return decoded
