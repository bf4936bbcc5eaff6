"""Failures shrunk in operations, in the simulated world as it is."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from dynamesis.harness.cli.app import run
from dynamesis.harness.failures.failure import Failure, read
from dynamesis.harness.failures.fingerprint import fingerprint
from dynamesis.harness.failures.folder import FailureFolder
from dynamesis.harness.failures.schedules import schedule_beside, schedule_of
from dynamesis.harness.hunt.operations import shrunk_schedule, with_near_schedule
from dynamesis.harness.hunt.replay import Replayed
from dynamesis.harness.hunt.runs import HuntBudget, HuntRuns
from dynamesis.harness.hunt.simulated import play
from dynamesis.harness.hunt.trials import INVALID, VALID, Trial, TrialOutcome
from dynamesis.harness.usage.exits import USAGE
from dynamesis.harness.worlds.options import PROCESSES, SIMULATED
from dynamesis.harness.worlds.test_spec import TestSpec

SPEC = TestSpec(
    workload="register", nemesis=("none",), nodes=3, keys=2, rate=30.0, time_limit=1.0, seed=1,
    bug=("self-merge",),
)  # fmt: skip
MOST = 60


class Here:
    """The simulated world in this process. `root`: where what fails leaves a folder."""

    name = SIMULATED
    deterministic = True
    free = True

    def __init__(self, root: Path | None = None) -> None:
        self._root = root
        self._ended: list[TrialOutcome] = []

    def begin(self, number: int, trial: Trial) -> None:
        self._ended.append(play(number, trial, self._root))

    def ended(self, timeout: float) -> list[TrialOutcome]:
        ended, self._ended = self._ended, []
        return ended

    def faults(self, outcome: TrialOutcome) -> str:
        raise NotImplementedError

    def stop(self) -> None:
        """Nothing runs."""


def runs(most: int = 1000) -> HuntRuns:
    return HuntRuns(HuntBudget(runs=most), lambda number: None)


def on_try(faults: int, operations: int | None, fails: bool) -> None:
    """Nothing is shown."""


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> tuple[Failure, TrialOutcome]:
    """A drawn test that fails, and its folder."""
    root = tmp_path_factory.mktemp("root")
    outcome = play(1, Trial(SPEC), root)
    assert outcome.verdict == INVALID
    shown = fingerprint(outcome.results)
    failure = Failure(shown.name, shown.anomalies[:1], shown.principal, SPEC, (), world=SIMULATED)
    return failure, outcome


def test_a_simulated_failure_is_left_with_a_few_operations_in_its_file(
    found: tuple[Failure, TrialOutcome], tmp_path: Path
) -> None:
    failure, outcome = found
    before = outcome.simulated
    assert before is not None
    assert len(before.operations or ()) > 10
    done = shrunk_schedule(runs(), {SIMULATED: Here()}, failure, MOST, on_try)
    assert done.verdict == INVALID
    assert 1 <= len(done.failure.operations or ()) <= 5
    folder = FailureFolder(tmp_path)
    folder.strike(done.failure, fingerprint(outcome.results))
    [kept] = folder.all()
    assert kept == done.failure
    again = Trial(SPEC, simulated=schedule_of(kept))
    assert play(1, again).verdict == INVALID
    mended = replace(kept, test=replace(kept.test, bug=()))
    assert play(2, Trial(SPEC, simulated=schedule_of(mended))).verdict == VALID


def test_a_hunt_that_is_ended_keeps_the_smallest_so_far(
    found: tuple[Failure, TrialOutcome],
) -> None:
    failure, _ = found
    done = shrunk_schedule(runs(4), {SIMULATED: Here()}, failure, MOST, on_try)
    assert done.failure.operations is not None


def test_a_failure_of_processes_gets_a_schedule_that_is_near_it(
    found: tuple[Failure, TrialOutcome], tmp_path: Path
) -> None:
    """From the folder of its test, whichever world wrote that."""
    failure, outcome = found
    shown = (fingerprint(outcome.results),)
    failure = replace(failure, world=PROCESSES)
    tested = Replayed(failure, shown=shown, folder=outcome.folder)
    done, line = with_near_schedule(runs(), {SIMULATED: Here()}, tested, MOST, on_try)
    assert line.startswith("fails in simulation too: ")
    assert done.failure.operations is None
    kept = read(done.failure.dump("a"), failure.name, "a")
    assert kept == done.failure
    schedule = schedule_beside(kept)
    assert schedule is not None
    assert 1 <= len(schedule.operations or ()) <= 5
    assert play(1, Trial(SPEC, simulated=schedule)).verdict == INVALID


def test_what_does_not_fail_in_simulation_keeps_its_faults_alone(
    found: tuple[Failure, TrialOutcome],
) -> None:
    failure, outcome = found
    other = replace(failure, world=PROCESSES, anomalies=("divergence",))
    tested = Replayed(other, shown=(fingerprint(outcome.results),), folder=outcome.folder)
    done, line = with_near_schedule(runs(), {SIMULATED: Here()}, tested, MOST, on_try)
    assert done == tested
    assert line == "shrunk in faults only: a schedule near it does not fail in simulation"


def test_what_is_invalid_leaves_a_folder_and_a_swarms_own_file_is_a_failure(
    found: tuple[Failure, TrialOutcome], capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    _, outcome = found
    assert outcome.folder is not None
    assert (outcome.folder / "report.html").is_file()
    file = outcome.folder / "simulated.yaml"
    assert run(["replay", str(file), "--store", str(tmp_path)]) == 1
    assert "still fails, as always: it is simulated" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "world: simulated\noperations:\n- {at: 0.1, get: k0}\n",
            "line 6: operations: there is no",
        ),
        ("world: simulated\noperations: 3\n", "line 5: operations: should be a list"),
        ("world: simulated\ntweaks: {colour: 1}\n", "line 5: colour: no such key here"),
        ("simulated: {faults: []}\n", "line 4: simulated: there is no key 'test'"),
        ("simulated: {test: {seed: 1, nodes: 0}}\n", "line 4"),
        ("simulated: {test: {seed: 1}, speed: 1}\n", "line 4: speed: no such key"),
    ],
)
def test_a_schedule_that_cannot_be_is_named_by_its_line(
    text: str, expected: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "bad.yaml"
    file.write_text(
        f"anomalies: [lost-write]\ntest: {{workload: register, seed: 3}}\nfaults: []\n{text}"
    )
    assert run(["replay", str(file), "--store", str(tmp_path / "store")]) == USAGE
    shown = capsys.readouterr().err
    assert f"{file}, {expected}" in shown
    assert shown.count("\n") == 1
