"""Where the tests of a hunt run: on processes, several concurrently.

A world takes trials and gives back how they ended. What runs them (processes, virtual time) is
behind it, so that drawing, shrinking and replaying are written once.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Protocol

from dynamesis.harness.campaign.worker_pool import Ended, Task, WorkerPool
from dynamesis.harness.results.documents import JsonObject
from dynamesis.harness.results.results import RESULTS, SCHEDULE, Folder
from dynamesis.harness.simulation.schedules.schedule import SimulatedSchedule
from dynamesis.harness.worlds.options import PROCESSES
from dynamesis.harness.worlds.test_spec import TestSpec

VALID, INVALID, UNKNOWN, ERROR = "valid", "invalid", "unknown", "error"
VERDICTS = (INVALID, ERROR, UNKNOWN, VALID)
_VERDICTS = {0: VALID, 1: INVALID, 3: UNKNOWN}
#: seconds that a test may take beside twice its time limit, before it counts as stuck
_PATIENCE = 180.0


@dataclass(frozen=True)
class Trial:
    """A test to run. `schedule`: its faults as YAML; None where they are drawn for its nemesis;
    `simulated`: all of it, for the simulated world."""

    spec: TestSpec
    schedule: str | None = None
    simulated: SimulatedSchedule | None = None


@dataclass(frozen=True)
class TrialOutcome:
    """How a trial ended. `results` as in results.json, empty where there are none; `folder` is
    that of the test, where it left one; `simulated`: of one in the simulated world that was
    invalid, the test with its operations one by one."""

    number: int
    verdict: str
    seconds: float
    results: JsonObject = field(repr=False, default_factory=dict)
    folder: Path | None = None
    #: the last lines of its output, where it ended in an error or did not run
    output: tuple[str, ...] = ()
    simulated: SimulatedSchedule | None = None


class TrialWorld(Protocol):
    """Runs trials, some concurrently."""

    @property
    def name(self) -> str: ...

    @property
    def deterministic(self) -> bool:
        """Whether two runs of a trial end alike."""
        ...

    @property
    def free(self) -> bool:
        """Whether one more may begin."""
        ...

    def begin(self, number: int, trial: Trial) -> None: ...

    def ended(self, timeout: float) -> list[TrialOutcome]:
        """Those that have ended, of which there may be none after `timeout` s."""
        ...

    def faults(self, outcome: TrialOutcome) -> str:
        """The schedule of a trial that failed, as YAML."""
        ...

    def stop(self) -> None:
        """Have every trial end in order; a second time, immediately."""
        ...


class ProcessWorld:
    """Each trial is a process `dynamesis test`, with nodes and proxies of its own, and a folder
    below `root`."""

    name = PROCESSES
    deterministic = False

    def __init__(self, pool: WorkerPool, root: Path) -> None:
        self._pool = pool
        self._root = root

    @property
    def free(self) -> bool:
        return self._pool.free

    def begin(self, number: int, trial: Trial) -> None:
        store = self._store(number)
        store.mkdir(parents=True)
        spec = replace(_spec(trial, store), world=PROCESSES)
        self._pool.give(Task(number, spec, store, patience(spec)))

    def ended(self, timeout: float) -> list[TrialOutcome]:
        return [outcome(each, self._store(each.number)) for each in self._pool.ended(timeout)]

    def faults(self, outcome: TrialOutcome) -> str:
        assert outcome.folder is not None
        return (outcome.folder / SCHEDULE).read_text(encoding="utf-8")

    def stop(self) -> None:
        self._pool.stop()

    def forget(self, number: int) -> None:
        """Deletes all that a trial left."""
        shutil.rmtree(self._store(number), ignore_errors=True)

    def _store(self, number: int) -> Path:
        return folder_of(self._root, number)


def folder_of(root: Path, number: int) -> Path:
    """Where a trial leaves what it leaves."""
    return root / f"{number:06}"


def patience(spec: TestSpec) -> float:
    """s after which a test counts as stuck."""
    return 2 * spec.time_limit + _PATIENCE


def _spec(trial: Trial, store: Path) -> TestSpec:
    if trial.schedule is None:
        return trial.spec
    file = store.resolve() / SCHEDULE
    file.write_text(trial.schedule, encoding="utf-8")
    return replace(trial.spec, nemesis=None, schedule=file)


def outcome(ended: Ended, store: Path) -> TrialOutcome:
    """What a test has left in its store."""
    latest = store / "latest"
    folder = Folder(latest.resolve()) if latest.exists() else None
    results = folder.peek_json(RESULTS) if folder else {}
    verdict = _VERDICTS.get(-1 if ended.code is None else ended.code, ERROR)
    if verdict == INVALID and not results.get("anomalies"):
        verdict = ERROR  # a verdict without its files
    last = () if verdict != ERROR else _last_lines(store / "output.txt")
    return TrialOutcome(
        ended.number, verdict, ended.seconds, results, folder.path if folder else None, last
    )


def _last_lines(output: Path) -> tuple[str, ...]:
    try:
        lines = output.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return ()
    return tuple(lines[-3:])
