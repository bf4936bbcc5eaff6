"""Runs a campaign: chooses the next test, notes its result, and stops at the budget.

Every cell is run once before anything is run again; then what failed is run again with the
same seed and the very same faults, until it is known how often it fails. Nothing new begins when
a budget is used up, or after an interrupt; what was not run then is named.
"""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from dynamesis.harness.campaign.journal import CellRun, Journal
from dynamesis.harness.campaign.matrix import Cell
from dynamesis.harness.campaign.rates import due
from dynamesis.harness.campaign.spec import Campaign
from dynamesis.harness.campaign.worker_pool import OUTPUT, Ended, Pool, Task
from dynamesis.harness.report.summary import described, reasons
from dynamesis.harness.report.words import counted
from dynamesis.harness.results.results import RESULTS, SCHEDULE, Folder
from dynamesis.harness.worlds.test_spec import TestSpec, command

log = logging.getLogger(__name__)

_VERDICTS = {0: "valid", 1: "invalid", 3: "unknown"}
#: seconds that a test may take beside twice its time limit, before it counts as stuck
_PATIENCE = 180.0
#: seconds between two looks at the clock
_LOOK = 0.25
#: proofs or reasons that are kept of a run
_MOST_WHY = 5
#: how an error begins that ended a test
_ERROR = "dynamesis "


@dataclass(frozen=True)
class _Job:
    cell: Cell
    spec: TestSpec
    rerun: bool = False


@dataclass
class Scheduler:
    """One campaign in its folder. `on_run` is called with each run that has ended, and now and then
    with None; `wanted` decides, when its turn has come, whether a cell is still run; `room` makes
    room in the store, and returns why nothing more may be written, None if it may."""

    campaign: Campaign
    folder: Path
    journal: Journal
    pool: Pool
    on_run: Callable[[CellRun | None], None] = lambda run: None
    wanted: Callable[[Cell], bool] = lambda cell: True
    room: Callable[[], str | None] = lambda: None
    interrupted: bool = False
    #: what of the budget was used up before everything had been run
    ended_by: str | None = None
    _due: deque[_Job] = field(default_factory=deque)
    _jobs: dict[int, _Job] = field(default_factory=dict)
    _began: float = field(default_factory=time.monotonic)
    _before: float = 0.0

    def run(self) -> None:
        """Until nothing is left, or may begin."""
        self._before = max((run.at for run in self.journal.runs), default=0.0)
        self._plan()
        while self._hand_out() or self.pool.running:
            for ended in self.pool.ended(_LOOK):
                self._note(ended)
            self.on_run(None)

    def interrupt(self) -> None:
        """Begin nothing more, and have the running tests end."""
        self.interrupted = True
        self.pool.stop()

    @property
    def running(self) -> list[str]:
        """The names of the cells that run now."""
        return [self._jobs[task.number].cell.name for task in self.pool.running]

    def elapsed(self) -> float:
        """Seconds, with those before an interruption."""
        return self._before + time.monotonic() - self._began

    def left(self) -> float | None:
        """About how many seconds are left, by how long tests have lasted so far; None as long as
        none has ended. What fails meanwhile is run again, which takes longer; a bug that is caught
        before its last turn less."""
        runs = self.journal.runs
        if not runs or self.interrupted:
            return None
        mean = sum(run.seconds for run in runs) / len(runs)
        due = sum(1 for job in list(self._due) if self.wanted(job.cell))
        guess = mean * (due + len(self.pool.running) / 2) / self.pool.size
        budget = self.campaign.budget.time
        return guess if budget is None else min(guess, max(0.0, budget - self.elapsed()))

    def omitted(self) -> dict[str, str]:
        """By their names, why cells were not run that should have been."""
        why = self.ended_by or ("the campaign was interrupted" if self.interrupted else "")
        done = {run.cell for run in self.journal.runs}
        left = (cell for cell in self.campaign.cells if cell.name not in done)
        return {cell.name: why for cell in left} if why else {}

    def _plan(self) -> None:
        done: dict[str, list[CellRun]] = {}
        for run in self.journal.runs:
            done.setdefault(run.cell, []).append(run)
        for cell in self.campaign.cells:
            if cell.name not in done:
                self._due.append(_Job(cell, self.campaign.spec(cell)))
        for cell in self.campaign.cells:
            if runs := done.get(cell.name):
                self._repeat(cell, runs)

    def _repeat(self, cell: Cell, runs: Sequence[CellRun]) -> None:
        """Add as many reruns as can run concurrently, at the end, so that a budget which ends has
        rates of all that failed: the same world and seed, and the same faults, which the folder
        of the first run has kept."""
        first = runs[0]
        if first.verdict != "invalid" or first.folder is None:
            return
        schedule = (self.folder / first.folder / SCHEDULE).resolve()
        spec = replace(self.campaign.spec(cell), nemesis=None, schedule=schedule)
        waiting = sum(1 for job in self._due if job.rerun and job.cell == cell)
        waiting += sum(1 for each in self.pool.running if self._jobs[each.number].cell == cell)
        more = min(due(runs, self.campaign.budget), self.pool.size) - waiting
        self._due.extend([_Job(cell, spec, rerun=True)] * max(0, more))

    def _hand_out(self) -> bool:
        """Give free workers what is due; whether any of it still is."""
        while self._due and self.pool.free and self._may_begin():
            job, number = self._due.popleft(), self._next_number()
            if not self.wanted(job.cell) or (job.rerun and not self._still(job.cell)):
                continue
            self._jobs[number] = job
            store = self.folder / "runs" / f"{number:04}"
            store.mkdir(parents=True, exist_ok=True)
            patience = 2 * self.campaign.seconds + _PATIENCE
            self.pool.give(Task(number, job.spec, store, patience))
        return bool(self._due) and self._may_begin()

    def _still(self, cell: Cell) -> bool:
        """Whether the rate of a cell is yet to be known better."""
        return due(self._of(cell), self.campaign.budget) > 0

    def _of(self, cell: Cell) -> list[CellRun]:
        return [run for run in self.journal.runs if run.cell == cell.name]

    def _next_number(self) -> int:
        return max([*self._jobs, *(run.number for run in self.journal.runs)], default=0) + 1

    def _may_begin(self) -> bool:
        """Whether the budget has room; notes in `ended_by` what of it was used up."""
        if not self.interrupted and self.ended_by is None:
            self.ended_by = self._used_up()
        return not self.interrupted and self.ended_by is None

    def _used_up(self) -> str | None:
        budget = self.campaign.budget
        runs = len(self.journal.runs) + len(self.pool.running)
        if budget.time is not None and self.elapsed() >= budget.time:
            return f"the budget of {budget.time:g} s was used up"
        if budget.runs is not None and runs >= budget.runs:
            return f"the budget of {counted(budget.runs, 'run')} was used up"
        return self.room()

    def _note(self, ended: Ended) -> None:
        job = self._jobs[ended.number]
        run = self._judged(ended, job)
        if self.interrupted and run.verdict != "invalid":
            log.info("run %d was interrupted and counts for nothing", run.number)
            return
        self.journal.add(run)
        self.on_run(run)
        self._repeat(job.cell, self._of(job.cell))

    def _judged(self, ended: Ended, job: _Job) -> CellRun:
        store = self.folder / "runs" / f"{ended.number:04}"
        latest = store / "latest"
        folder = Folder(latest.resolve()) if latest.exists() else None
        results = folder.peek_json(RESULTS) if folder else {}
        why = _why(results) if results else _last_lines(store / OUTPUT)
        return CellRun(
            number=ended.number,
            cell=job.cell.name,
            arguments=("test", *job.spec.arguments()),
            rerun=job.rerun,
            verdict=_VERDICTS.get(-1 if ended.code is None else ended.code, "error"),
            code=ended.code,
            seconds=ended.seconds,
            at=round(self.elapsed(), 1),
            output=str((store / OUTPUT).relative_to(self.folder)),
            folder=str(folder.path.relative_to(self.folder.resolve())) if folder else None,
            command=command(job.spec),
            anomalies=results.get("anomalies", {}),
            why=tuple(dict.fromkeys(why))[:_MOST_WHY],
            measures=measures(results),
        )


def _why(results: Mapping[str, Any]) -> list[str]:
    """The first proof of each anomaly, or, where there is none, why nothing is known."""
    first = {each["name"]: each["why"] for each in reversed(described(results))}
    return list(reversed(first.values())) or reasons(results)


def measures(results: Mapping[str, Any]) -> dict[str, float]:
    """What trends are made of, as far as a run has it."""
    by_f = (results.get("stats") or {}).get("by_f") or {}
    slowest = [(each.get("latency_ms") or {}).get("p99") for each in by_f.values()]
    staleness = (results.get("checkers") or {}).get("staleness") or {}
    found = {
        "p99_ms": max((ms for ms in slowest if ms is not None), default=None),
        "converged_s": (staleness.get("details") or {}).get("converged_s"),
    }
    return {name: value for name, value in found.items() if isinstance(value, int | float)}


def _last_lines(output: Path) -> list[str]:
    """The error with which a test ended, or what it wrote last, where it was killed."""
    try:
        lines = output.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return []
    return [line for line in lines if line.startswith(_ERROR)][-3:] or lines[-3:]
