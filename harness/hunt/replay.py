"""Replays failures: does each still fail, and how often?

One run may be lucky, so each is run several times; in simulation one run is all runs. One of
processes that shows in simulation too is run there as well.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from dynamesis.harness.failures.failure import Failure, dump_faults
from dynamesis.harness.failures.fingerprint import Fingerprint, fingerprint
from dynamesis.harness.failures.interval import Rate
from dynamesis.harness.failures.schedules import schedule_beside, schedule_of
from dynamesis.harness.hunt.runs import HuntRuns
from dynamesis.harness.hunt.trials import (
    ERROR,
    INVALID,
    UNKNOWN,
    VALID,
    Trial,
    TrialOutcome,
    TrialWorld,
)
from dynamesis.harness.report.words import counted
from dynamesis.harness.results.documents import JsonObject
from dynamesis.harness.worlds.options import SIMULATED


@dataclass(frozen=True)
class Replayed:
    """What the runs of one failure have shown. `shown`: the fingerprint of each that was this
    failure; `others`: of each that was another one; `valid`, `unknown`, `errors` count runs;
    `simulated`: of one of processes, the verdict of its schedule in simulation, if it has one."""

    failure: Failure
    simulated: str | None = None
    shown: tuple[Fingerprint, ...] = ()
    others: tuple[Fingerprint, ...] = ()
    valid: int = 0
    unknown: int = 0
    errors: int = 0
    folder: Path | None = None

    @property
    def rate(self) -> Rate:
        """How often it was this failure, of the runs of which that is known."""
        failed = len(self.shown)
        return Rate(failed, failed + len(self.others) + self.valid)

    @property
    def runs(self) -> int:
        """How many runs there were, in simulation beside it too."""
        known = self.rate.runs + self.unknown + self.errors
        return known + (self.simulated is not None)

    @property
    def verdict(self) -> str:
        """The worst of its runs; unknown if there were none."""
        if self.shown or self.others or self.simulated == INVALID:
            return INVALID
        if self.errors:
            return ERROR
        return VALID if self.valid and not self.unknown else UNKNOWN

    def with_run(self, outcome: TrialOutcome) -> Replayed:
        """With one run more."""
        if outcome.verdict == VALID:
            return replace(self, valid=self.valid + 1)
        if outcome.verdict == UNKNOWN:
            return replace(self, unknown=self.unknown + 1)
        if outcome.verdict == ERROR:
            return replace(self, errors=self.errors + 1, folder=self.folder or outcome.folder)
        shown = fingerprint(outcome.results)
        if same(self.failure, shown):
            return replace(self, shown=(*self.shown, shown), folder=outcome.folder)
        return replace(self, others=(*self.others, shown), folder=self.folder or outcome.folder)

    def to_dict(self) -> JsonObject:
        """Plain data."""
        others = sorted({each.anomalies[0] for each in self.others})
        return {
            "name": self.failure.name,
            "world": self.failure.world,
            "anomalies": list(self.failure.anomalies),
            "verdict": self.verdict,
            **self.rate.to_dict(),
            "simulated": self.simulated,
            "unknown": self.unknown,
            "errors": self.errors,
            "other_anomalies": others,
            "folder": None if self.folder is None else str(self.folder),
        }

    def __str__(self) -> str:
        word = {INVALID: "still fails", VALID: "passes"}.get(self.verdict, self.verdict)
        if self.others and not self.shown:
            word = f"fails otherwise ({', '.join(sorted({e.anomalies[0] for e in self.others}))})"
        unsure = f", {self.unknown} unknown" * bool(self.unknown)
        unsure += f", {counted(self.errors, 'error')}" * bool(self.errors)
        rate = str(self.rate)
        if self.failure.world == SIMULATED and self.rate.runs:
            rate = "as always: it is simulated"
        beside = {None: "", INVALID: ", fails in simulation", VALID: ", passes in simulation"}
        unsure += beside.get(self.simulated, f", {self.simulated} in simulation")
        return f"{self.failure.name}: {word}, {rate}{unsure}"


def same(failure: Failure, shown: Fingerprint) -> bool:
    """Whether a run of a failure's own schedule has shown it: one of its anomalies is enough."""
    return not set(failure.anomalies).isdisjoint(shown.anomalies)


def trial(failure: Failure) -> Trial:
    """The test of a failure, with its faults; in simulation with its operations. Raises
    UsageError."""
    if failure.world == SIMULATED:
        schedule = schedule_of(failure)
        return Trial(schedule.spec, simulated=schedule)
    return Trial(replace(failure.test, world=failure.world), dump_faults(failure.faults))


def replay(
    runs: HuntRuns, worlds: Mapping[str, TrialWorld], failure: Failure, times: int
) -> Replayed:
    """Runs a failure so many times, once where a run is like any other."""
    world = worlds[failure.world]
    done = Replayed(failure)
    repeated = [trial(failure)] * (1 if world.deterministic else times)
    for _, outcome in runs.each(world, repeated):
        done = done.with_run(outcome)
        if outcome.verdict == INVALID:
            runs.keep(failure.name, outcome.number)
    return replace(done, simulated=_beside(runs, worlds, failure))


def _beside(runs: HuntRuns, worlds: Mapping[str, TrialWorld], failure: Failure) -> str | None:
    """The verdict of the schedule that shows a failure of processes in simulation."""
    schedule = schedule_beside(failure) if SIMULATED in worlds else None
    if schedule is None:
        return None
    tried = [Trial(schedule.spec, simulated=schedule)]
    for _, outcome in runs.each(worlds[SIMULATED], tried):
        if outcome.verdict == INVALID:
            runs.keep(failure.name, outcome.number)
        return outcome.verdict
    return UNKNOWN
