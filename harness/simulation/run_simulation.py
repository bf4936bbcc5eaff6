"""Runs a swarm with everything around it: what failed before, folders, progress, results."""

from __future__ import annotations

import itertools
import json
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from dynamesis.checkers.verdict import Verdict
from dynamesis.harness.run.progress_view import Mode, console
from dynamesis.harness.simulation import page
from dynamesis.harness.simulation.failures import FAILURES, Failures, KeptFailure
from dynamesis.harness.simulation.minimal import Minimal, minimal
from dynamesis.harness.simulation.play import Played, play
from dynamesis.harness.simulation.pytest_file import pytest_file
from dynamesis.harness.simulation.results import FailedSchedule, Tally
from dynamesis.harness.simulation.saved import save_schedule
from dynamesis.harness.simulation.schedules.draw import SwarmScope, draw
from dynamesis.harness.simulation.schedules.schedule import SimulatedSchedule
from dynamesis.harness.simulation.schedules.text import Written
from dynamesis.harness.simulation.schedules.token import beside, encode, is_current
from dynamesis.harness.simulation.swarm import play_seed, spread
from dynamesis.harness.simulation.view import SwarmView
from dynamesis.harness.usage.values import results_folder, write_files
from rich.console import Console
from rich.text import Text

#: Where the results of simulations go, in the store.
SIMULATIONS = "simulations"


@dataclass(frozen=True)
class Asked:
    """What was asked for. `schedules`: how many, None: as many as come about in `seconds`;
    `seed`: that of the first, each other one has the next."""

    wanted: SwarmScope
    seed: int
    schedules: int | None
    seconds: float | None
    jobs: int
    store: Path
    json: Path | None = None
    pytest: Path | None = None
    mode: Mode = Mode.AUTO


@dataclass(frozen=True)
class _Found:
    """The first schedule that shows an anomaly. `kept`: None where it is drawn from the seed."""

    seed: int
    token: str | None
    anomaly: str
    played: Played
    kept: KeptFailure | None

    def schedule(self, wanted: SwarmScope) -> SimulatedSchedule:
        return draw(self.seed, wanted) if self.kept is None else self.kept.written.schedule

    def failed(
        self, small: Minimal, folder: Path | None, drawn: int = 0, unsaved: str = ""
    ) -> FailedSchedule:
        """As it is listed."""
        kept = None if self.kept is None else self.kept.file
        return FailedSchedule(self.seed, self.token, small, folder, drawn, unsaved, kept)

    def unshrunk(self, wanted: SwarmScope) -> FailedSchedule:
        """As it was drawn."""
        anomalies, played = tuple(self.played.anomalies), self.played
        whole = Minimal(self.schedule(wanted), self.anomaly, anomalies, runs=0, seconds=0.0)
        return self.failed(whole, None, played.operations)


@dataclass
class _Run:
    """One run. `found`: by anomaly, what is to be shrunk for it."""

    asked: Asked
    tally: Tally = field(default_factory=Tally)
    found: dict[str, _Found] = field(default_factory=dict)
    began: float = field(default_factory=time.monotonic)

    @property
    def left(self) -> int | None:
        """How many schedules are still wanted."""
        most = self.asked.schedules
        return None if most is None else max(0, most - self.tally.schedules)

    def named(self, task: object) -> str | None:
        """A schedule that was under way; shrinking is another matter."""
        if isinstance(task, SimulatedSchedule):
            return f"seed {task.spec.seed}, which failed before"
        if not isinstance(task, int):
            return None
        return f"seed {task} ({encode(task, self.asked.wanted)})"

    def go_on(self) -> bool:
        """Whether there is time for another one."""
        seconds = self.asked.seconds
        return seconds is None or time.monotonic() - self.began < seconds

    def add(self, seed: int, token: str | None, played: Played, kept: KeptFailure | None) -> None:
        """Count an outcome, and keep what fails in a new way. `kept`: None where it is drawn from
        the seed."""
        self.tally.add(seed, played)
        self.tally.seconds = time.monotonic() - self.began
        if played.verdict is Verdict.INVALID:
            for name in played.anomalies:
                self.found.setdefault(name, _Found(seed, token, name, played, kept))

    @property
    def batch(self) -> list[_Found]:
        """Of what is to be shrunk, each schedule once: for one of its anomalies. A small schedule
        mostly shows the others too, and only what it does not show is shrunk for."""
        return list({id(each.played): each for each in reversed(self.found.values())}.values())[
            ::-1
        ]

    def shrunk(self, found: _Found, small: Minimal) -> None:
        """What this schedule shows, now that it is small, is not to be shrunk for any more."""
        for name in (found.anomaly, *small.anomalies):
            self.found.pop(name, None)


def run_simulation(asked: Asked) -> int:
    """The exit code: 1 when a schedule failed, 3 when none did and one is unknown, else 0. Raises
    UsageError, EnvironmentFailed."""
    draw(asked.seed, asked.wanted)  # what makes no sense is refused before a folder is made
    kept = Failures(asked.store / SIMULATIONS / FAILURES)
    folder = results_folder(asked.store, SIMULATIONS).path
    screen, run = console(asked.mode), _Run(asked)
    failures: list[FailedSchedule] = []
    with SwarmView(screen, run.tally, asked.schedules, asked.mode, asked.seconds) as shown:
        with run.tally.until_stopped(run.named):
            _replay(run, kept, shown.show, screen)
            _swarm(run, shown.show)
        stopped = run.tally.stopped
        with run.tally.until_stopped(run.named):
            for each in _shrunk(run, folder, kept, shown.shrinking):
                failures.append(each)
        run.tally.stopped = stopped  # what was not shrunk has been played
    # those that a second ctrl-C left as they were are named all the same
    failures += [each.unshrunk(asked.wanted) for each in run.batch]
    results = run.tally.to_dict(failures)
    text = json.dumps(results, indent=2) + "\n"
    try:
        (folder / "simulation.json").write_text(text, encoding="utf-8")
    except OSError as failure:
        run.tally.not_kept(failure)
    _conclude(screen, run.tally, failures, asked)
    tests = pytest_file(failures, asked.pytest)
    write_files(("--json", asked.json, text), ("--pytest", asked.pytest, tests))
    if run.tally.broke is not None:
        raise run.tally.broke
    return run.tally.exit_code


def _replay(run: _Run, kept: Failures, show: Callable[[], None], screen: Console) -> None:
    """What failed before comes first. What does not fail any more is taken out."""

    def say(text: str) -> None:
        if run.asked.mode is not Mode.QUIET:
            screen.print(text, markup=False, highlight=False, soft_wrap=True)

    def skip(why: str) -> None:
        say(f"not played again: {why}")

    for each in list(kept.matching(run.asked.wanted, skip))[: run.left]:
        if not run.go_on():
            return
        schedule = each.written.schedule
        [played] = spread(play, iter((schedule,)), 1, lambda: True)
        seed = schedule.spec.seed or 0
        run.add(seed, _current(each.written.token, run.asked.wanted), played, each)
        if played.verdict is Verdict.VALID:  # what is unknown now may fail again
            each.forget()
            named = ", ".join(each.written.anomalies)
            say(f"{each.file.stem} ({named}) does not fail any more")
        show()


def _current(token: str | None, wanted: SwarmScope) -> str | None:
    """The token that a failure was kept with, if it names a schedule in this version, and in a run
    of this."""
    return token if token is not None and is_current(token, wanted) else None


def _swarm(run: _Run, show: Callable[[], None]) -> None:
    asked = run.asked
    seeds: Iterator[int] = itertools.count(asked.seed)
    if run.left is not None:
        seeds = itertools.islice(seeds, run.left)
    work = partial(play_seed, wanted=asked.wanted)
    for outcome in spread(work, seeds, asked.jobs, run.go_on, gaps=True):
        run.add(outcome.seed, encode(outcome.seed, asked.wanted), outcome.played, None)
        run.tally.seeds = range(asked.seed, outcome.seed + 1)
        show()


def _shrunk(
    run: _Run, folder: Path, kept: Failures, show: Callable[[int, int], None]
) -> Iterator[FailedSchedule]:
    """Each of the failures, shrunk, in a folder of its own, and kept for the next run. `show` gets
    how many are done, and of how many."""
    done = 0
    while batch := run.batch:
        work = [(each.schedule(run.asked.wanted), each.anomaly) for each in batch]
        jobs = min(run.asked.jobs, len(work))
        of = done + len(work)
        show(done, of)
        smallest = spread(_minimal, iter(work), jobs, lambda: True)
        for found, small in zip(batch, smallest, strict=True):
            done += 1
            yield _saved(run, found, small, folder / f"{done}-{found.anomaly}", kept)
            run.shrunk(found, small)  # an interrupt before that has it named as it was drawn
            show(done, of)


def _saved(run: _Run, found: _Found, small: Minimal, path: Path, kept: Failures) -> FailedSchedule:
    written = Written(small.schedule, small.anomalies, found.token)
    try:
        _, results = save_schedule(path, written)
        kept.keep(written, results, run.asked.wanted)
    except OSError as failure:
        return found.failed(small, None, unsaved=run.tally.not_kept(failure))
    return found.failed(small, path)


def _minimal(task: tuple[SimulatedSchedule, str]) -> Minimal:
    return minimal(*task)


def _conclude(
    screen: Console, tally: Tally, failures: Sequence[FailedSchedule], asked: Asked
) -> None:
    quiet = asked.mode is Mode.QUIET
    lines = [*page.lines(tally, failures, beside(asked.wanted))]
    for style, text in lines[-1:] if quiet else lines:
        screen.print(Text(text, style), soft_wrap=True)
