"""Plays one schedule again: of a token, of a simulated test, or near a test on processes."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import yaml
from dynamesis.harness.failures.failure import BESIDE
from dynamesis.harness.failures.schedules import checked_beside
from dynamesis.harness.nemesis.faults import FaultStart
from dynamesis.harness.report.summary import print_results
from dynamesis.harness.results.documents import JsonObject
from dynamesis.harness.run.progress_view import Mode, console
from dynamesis.harness.simulation.approximate import of_folder
from dynamesis.harness.simulation.minimal import Minimal
from dynamesis.harness.simulation.play import outcome
from dynamesis.harness.simulation.pytest_file import pytest_file
from dynamesis.harness.simulation.results import FailedSchedule, Tally
from dynamesis.harness.simulation.run_simulation import SIMULATIONS, Asked
from dynamesis.harness.simulation.saved import SIMULATED, save_schedule, story
from dynamesis.harness.simulation.schedules.draw import SwarmScope, draw
from dynamesis.harness.simulation.schedules.text import Written, load
from dynamesis.harness.simulation.schedules.token import decode
from dynamesis.harness.simulation.schedules.word_schedules import (
    is_word,
    schedule_of,
    token,
    word_of,
)
from dynamesis.harness.usage.exits import UsageError, exit_code
from dynamesis.harness.usage.values import results_folder, write_files
from dynamesis.harness.worlds.options import PROCESSES


@dataclass(frozen=True)
class Again:
    """A schedule to be replayed. `missing`: what of the original it cannot have, in sentences."""

    written: Written
    missing: tuple[str, ...] = ()

    def lacking(self) -> Iterator[str]:
        """What of all that was written will not be in the test."""
        yield from self.missing
        schedule = self.written.schedule
        limit = schedule.spec.time_limit
        late = [
            f"the {op.op.f} at {op.at / 1e9:g} s"
            for op in schedule.operations or ()
            if op.at > limit * 1e9
        ]
        late += [
            f"{event.action.member} at {event.at / 1000:g} s"
            for event in schedule.faults
            if isinstance(event.action, FaultStart) and event.at > limit * 1000
        ]
        for each in late:
            yield f"not played: {each}: the load ends after {limit:g} s (time_limit)"


def run_replay(source: str, asked: Asked) -> int:
    """Play it, with its story, into a folder of its own; the exit code of the verdict. Raises
    UsageError, EnvironmentFailed."""
    again = find(source, asked.wanted)
    began = time.monotonic()
    folder = results_folder(asked.store, f"{SIMULATIONS}-replayed").path
    test, results = save_schedule(folder, again.written)
    screen = console(asked.mode)
    if asked.mode is not Mode.QUIET:
        for each in again.lacking():
            screen.print(each, markup=False)
        for line in story(test):
            screen.print(line)
    print_results(screen, results, short=asked.mode is Mode.QUIET)
    screen.print(f"folder  {folder}")
    _write(asked, again.written, results, folder, time.monotonic() - began)
    return exit_code(results["valid"])


def _write(
    asked: Asked, written: Written, results: JsonObject, folder: Path, seconds: float
) -> None:
    """The files of a swarm's flags, as of a run of this schedule alone."""
    seed, played, tally = written.schedule.spec.seed or 0, outcome(results), Tally(seconds=seconds)
    tally.add(seed, played)
    failures = []
    if anomalies := tuple(results["anomalies"]):
        small = Minimal(written.schedule, anomalies[0], anomalies, 1, seconds)
        failures.append(FailedSchedule(seed, written.token, small, folder, played.operations))
    text = json.dumps(tally.to_dict(failures), indent=2) + "\n"
    tests = pytest_file(failures, asked.pytest)
    write_files(("--json", asked.json, text), ("--pytest", asked.pytest, tests))


def find(source: str, beside: SwarmScope) -> Again:
    """The schedule of a token, of a file, or of the folder of a simulated or of another test.
    Raises UsageError."""
    if not source.strip():
        raise UsageError("--replay: names nothing; give a token, or the folder of a test")
    path = Path(source)
    if path.is_dir() and (path / SIMULATED).is_file():
        path = path / SIMULATED
    if path.exists():
        _alone(beside)
    if path.is_file():
        return _file(path)
    if path.is_dir():
        written, missing = of_folder(path)
        return Again(written, tuple([f"not carried over: {each}" for each in missing]))
    if is_word(source):
        _alone(replace(beside, bug=()))
        word = word_of(source)
        return Again(Written(schedule_of(word, beside.bug), (), token(word)))
    seed, wanted = decode(source, beside)
    return Again(Written(draw(seed, wanted), (), source))


def _alone(beside: SwarmScope) -> None:
    """Raises UsageError for what the schedule has of its own."""
    given = {"workload": beside.workloads, "nemesis": beside.nemeses, "bug": beside.bug}
    for name, names in given.items():
        if names:
            raise UsageError(f"--{name}: what is replayed has its own; leave it out")


def _file(path: Path) -> Again:
    """The schedule in a file. A failure of processes has one near it, where that is known."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as failure:
        raise UsageError(
            f"--replay: {path} cannot be read ({failure}); name the folder of a failure"
        ) from failure
    written = load(text, str(path), BESIDE)
    if yaml.safe_load(text).get("world") != PROCESSES:
        return Again(written)
    near = checked_beside(text, str(path))
    if near is None:
        return Again(written, ("not carried over: what its clients did on processes",))
    return Again(replace(written, schedule=near), ("what shows the same in simulation is played",))
