"""Shrinks failures in operations too, with the shrinker of the swarm
(harness.simulation.schedules): each schedule that it tries is a trial in virtual time, where one
run decides.

A failure of the simulated world becomes the smallest schedule found. One of processes keeps its own
faults, since how messages were timed there is not known; but where a schedule near the test
(harness.simulation.approximate) shows the same in simulation, the smallest such is kept beside.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace

from dynamesis.harness.failures.failure import Failure
from dynamesis.harness.failures.fingerprint import fingerprint
from dynamesis.harness.failures.schedules import as_rows, schedule_of, with_schedule
from dynamesis.harness.hunt.replay import Replayed, replay, same
from dynamesis.harness.hunt.runs import HuntRuns
from dynamesis.harness.hunt.trials import INVALID, Trial, TrialOutcome, TrialWorld
from dynamesis.harness.report.words import counted
from dynamesis.harness.simulation.approximate import approximation
from dynamesis.harness.simulation.schedules.schedule import SimulatedSchedule
from dynamesis.harness.simulation.schedules.shrink import shrink
from dynamesis.harness.usage.exits import UsageError
from dynamesis.harness.worlds.options import SIMULATED

#: called with how many faults and operations were tried, and whether that fails
OnTry = Callable[[int, int | None, bool], None]


class _Ended(Exception):
    """The hunt begins nothing more."""


@dataclass
class _Schedules:
    """Whether schedules fail as a failure does. `best`: the last one that did, which is the
    smallest, since each is smaller than the one before."""

    runs: HuntRuns
    world: TrialWorld
    failure: Failure
    on_try: OnTry
    best: SimulatedSchedule | None = None

    def fails(self, schedule: SimulatedSchedule) -> bool:
        """Whether the schedule shows the failure; not where it makes no sense. Raises _Ended."""
        outcome = self.run(schedule)
        failed = outcome is not None
        count = None if schedule.operations is None else len(schedule.operations)
        self.on_try(schedule.fault_count, count, failed)
        return failed

    def run(self, schedule: SimulatedSchedule) -> TrialOutcome | None:
        """How it ended, where it shows the failure. Raises _Ended."""
        if not self.runs.may_begin:
            raise _Ended
        try:
            schedule.options  # noqa: B018 - planned here: what makes no sense is not an error
        except UsageError:
            return None
        tried = [Trial(schedule.spec, simulated=schedule)]
        for _, outcome in self.runs.each(self.world, tried):
            if outcome.verdict == INVALID and same(self.failure, fingerprint(outcome.results)):
                self.best = schedule
                return outcome
        return None


def shrunk_schedule(
    runs: HuntRuns,
    worlds: Mapping[str, TrialWorld],
    failure: Failure,
    most: int,
    on_try: OnTry,
) -> Replayed:
    """A failure of the simulated world with the smallest schedule found in at most `most` runs."""
    found = _smallest(runs, worlds, failure, schedule_of(failure), most, on_try)
    return replay(runs, worlds, failure if found is None else with_schedule(failure, found), 1)


def with_near_schedule(
    runs: HuntRuns,
    worlds: Mapping[str, TrialWorld],
    done: Replayed,
    most: int,
    on_try: OnTry,
) -> tuple[Replayed, str]:
    """A failure of processes with the smallest schedule that shows the same in simulation; else as
    it was. With a line about it."""
    if done.folder is None or not done.shown or SIMULATED not in worlds or most == 0:
        return done, ""
    try:
        near = approximation(done.folder)[0].schedule
        near.options  # noqa: B018 - planned here
    except UsageError as impossible:
        why = str(impossible).removeprefix("--replay: ")
        return done, f"shrunk in faults only: it cannot be simulated ({why})"
    found = _smallest(runs, worlds, done.failure, near, most, on_try)
    if found is None:
        return done, "shrunk in faults only: a schedule near it does not fail in simulation"
    failure = replace(done.failure, simulated=as_rows(found))
    count = len(found.operations or ())
    line = f"fails in simulation too: {counted(count, 'operation')}, "
    line += counted(found.fault_count, "fault")
    return replace(done, failure=failure, simulated=INVALID), line


def _smallest(
    runs: HuntRuns,
    worlds: Mapping[str, TrialWorld],
    failure: Failure,
    schedule: SimulatedSchedule,
    most: int,
    on_try: OnTry,
) -> SimulatedSchedule | None:
    """The smallest schedule found; None where the first one does not fail. Its operations are given
    one by one, unless it only fails as the workload draws them."""
    tried = _Schedules(runs, worlds[SIMULATED], failure, on_try)
    with suppress(_Ended):
        outcome = tried.run(schedule)
        if outcome is None:
            return None
        explicit = outcome.simulated
        if schedule.operations is None and explicit is not None and tried.fails(explicit):
            schedule = explicit
        shrink(schedule, tried.fails, most)
    return tried.best
