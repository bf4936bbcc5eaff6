"""Trials in virtual time: forked workers that simulate and judge one after another, in memory.

Nothing is written, so a trial costs what the simulation and the checkers take. What fails is run
again when a folder with a report is wanted: it is the same, event by event.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import tempfile
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path

from dynamesis.checkers.verdict import Verdict
from dynamesis.harness.hunt.trials import (
    ERROR,
    INVALID,
    UNKNOWN,
    VALID,
    Trial,
    TrialOutcome,
    TrialWorld,
    folder_of,
)
from dynamesis.harness.nemesis.schedule_file import dump
from dynamesis.harness.processes.lifeline import end_with
from dynamesis.harness.processes.standstill import NeverEnds
from dynamesis.harness.results.documents import JsonObject
from dynamesis.harness.results.results import SCHEDULE
from dynamesis.harness.simulation.play import outcome as played_outcome
from dynamesis.harness.simulation.play import run
from dynamesis.harness.simulation.saved import save_schedule
from dynamesis.harness.simulation.schedules.explicit import operations_of
from dynamesis.harness.simulation.schedules.schedule import SimulatedSchedule
from dynamesis.harness.simulation.schedules.text import Written
from dynamesis.harness.targets.system import EnvironmentFailed
from dynamesis.harness.worlds.options import SIMULATED, plan_test
from dynamesis.harness.worlds.simulated.run import judge

_VERDICTS = {Verdict.VALID: VALID, Verdict.INVALID: INVALID, Verdict.UNKNOWN: UNKNOWN}
#: proofs that are kept of each checker
_MOST = 50


@dataclass
class _Worker:
    process: BaseProcess
    pipe: Connection
    number: int | None = None


class SimulatedWorld:
    """Runs trials in virtual time. Make it with `simulated_world`."""

    name = SIMULATED
    deterministic = True

    def __init__(self, workers: list[_Worker]) -> None:
        self._workers = workers
        self._stopped = False

    @property
    def free(self) -> bool:
        if not self._workers:
            raise EnvironmentFailed("no worker of the simulation is left; see hunt.log")
        return any(each.number is None for each in self._workers)

    def begin(self, number: int, trial: Trial) -> None:
        worker = next(each for each in self._workers if each.number is None)
        worker.number = number
        worker.pipe.send((number, trial))

    def ended(self, timeout: float) -> list[TrialOutcome]:
        by_pipe = {each.pipe: each for each in self._workers if each.number is not None}
        readable = wait(list(by_pipe), timeout)
        return [self._receive(by_pipe[pipe]) for pipe in readable if isinstance(pipe, Connection)]

    def faults(self, outcome: TrialOutcome) -> str:
        assert outcome.simulated is not None
        return dump(outcome.simulated.faults)

    def stop(self) -> None:
        """What runs ends by itself in a moment, or is ended where it never would; a second time,
        immediately."""
        for each in self._workers:
            if self._stopped:
                each.process.kill()
            elif each.process.pid is not None and each.process.is_alive():
                os.kill(each.process.pid, signal.SIGURG)
        self._stopped = True

    def _receive(self, worker: _Worker) -> TrialOutcome:
        number, worker.number = worker.number, None
        assert number is not None
        try:
            received: TrialOutcome = worker.pipe.recv()
        except (EOFError, OSError):
            self._workers.remove(worker)
            return TrialOutcome(number, ERROR, 0.0, output=("the simulation ended by a signal",))
        return received


@contextmanager
def simulated_world(jobs: int, root: Path | None = None) -> Iterator[TrialWorld]:
    """A world with so many workers. They are forked first, before anything else has threads. What
    is invalid leaves a folder below `root`, where one is given."""
    context = multiprocessing.get_context("fork")
    workers = []
    for number in range(jobs):
        ours, theirs = context.Pipe()
        process = context.Process(
            target=_work, args=(theirs, os.getpid(), root), name=f"simulation-{number + 1}"
        )
        process.start()
        theirs.close()
        workers.append(_Worker(process, ours))
    try:
        yield SimulatedWorld(list(workers))
    finally:
        for worker in workers:
            with suppress(OSError):
                worker.pipe.send(None)
            worker.process.join(10.0)
            worker.process.kill()
            worker.process.join()


def play(number: int, trial: Trial, root: Path | None = None) -> TrialOutcome:
    """Simulates and judges."""
    began = time.monotonic()
    schedule = _drawn(trial) if trial.simulated is None else trial.simulated
    results: JsonObject = {}
    explicit: SimulatedSchedule | None = None
    output: tuple[str, ...] = ()
    try:
        test = run(schedule)
        results = judge(test)
        verdict = verdict_of(results, schedule)
        if verdict == INVALID:
            given = schedule.operations or operations_of(test.history, schedule.spec.concurrency)
            explicit = replace(schedule, operations=given)
    except NeverEnds as endless:
        verdict, output = UNKNOWN, (str(endless),)
    except EnvironmentFailed as failure:
        verdict, output = UNKNOWN, (f"it did not run: {failure}",)
    folder = None
    if verdict == INVALID and root is not None:
        folder = folder_of(root, number)
        save_schedule(folder, Written(schedule, tuple(results["anomalies"])))
    seconds = round(time.monotonic() - began, 3)
    short = _short(results) if results else results
    return TrialOutcome(number, verdict, seconds, short, folder, output, simulated=explicit)


def verdict_of(results: JsonObject, schedule: SimulatedSchedule) -> str:
    """The verdict. A schedule whose operations are given was made small, so that smallness alone
    does not leave it unknown."""
    if schedule.operations is None:
        return {True: VALID, False: INVALID}.get(results["valid"], UNKNOWN)
    return _VERDICTS[played_outcome(results).verdict]


def _drawn(trial: Trial) -> SimulatedSchedule:
    """The schedule of a test whose faults are drawn, or in a file."""
    with tempfile.TemporaryDirectory() as scratch:
        spec = replace(trial.spec, world=SIMULATED)
        if trial.schedule is not None:
            file = Path(scratch) / SCHEDULE
            file.write_text(trial.schedule, encoding="utf-8")
            spec = replace(spec, nemesis=None, schedule=file)
        options = plan_test(spec)
    return SimulatedSchedule(replace(spec, nemesis=None, schedule=None), options.faults)


def _short(results: JsonObject) -> JsonObject:
    """What a hunt wants to know."""
    checkers = {
        name: {
            "anomalies": each.get("anomalies", [])[:_MOST],
            "reasons": each.get("reasons", [])[:_MOST],
        }
        for name, each in results["checkers"].items()
        if each.get("anomalies") or each.get("reasons")
    }
    return {"valid": results["valid"], "anomalies": results["anomalies"], "checkers": checkers}


def _work(pipe: Connection, parent: int, root: Path | None) -> None:
    """A worker's life. A ctrl-C in the terminal is the hunt's."""
    end_with(parent)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    while (given := pipe.recv()) is not None:
        try:
            run_number, trial = given
            answer = play(run_number, trial, root)
        except Exception as failure:
            last = traceback.extract_tb(failure.__traceback__)[-1]
            why = (f"{last.filename}:{last.lineno}", f"{type(failure).__name__}: {failure}")
            answer = TrialOutcome(given[0], ERROR, 0.0, output=why)
        pipe.send(answer)
