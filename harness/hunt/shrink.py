"""Shrinks a failure: in simulation to the operations and faults that it needs (operations.py), on
processes to its faults, by delta debugging over its schedule (harness/campaign/shrink.py), and
then to a schedule in simulation, if one shows the same.

On processes a schedule counts as failing once one of a few runs fails, and these run at the same
time where there are workers for it. What is left is run afresh, so that the rate which is noted is
not that of the runs by which it was chosen.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace

from dynamesis.harness.campaign.shrink import shrink
from dynamesis.harness.failures.failure import Failure, dump_faults
from dynamesis.harness.failures.fingerprint import fingerprint
from dynamesis.harness.hunt.operations import OnTry, shrunk_schedule, with_near_schedule
from dynamesis.harness.hunt.replay import Replayed, replay, same
from dynamesis.harness.hunt.runs import HuntRuns
from dynamesis.harness.hunt.trials import INVALID, Trial, TrialWorld
from dynamesis.harness.results.documents import JsonObject
from dynamesis.harness.worlds.options import SIMULATED


class _Spent(Exception):
    """No run is left for this failure."""


@dataclass(frozen=True)
class ShrinkLimits:
    """`tries`: runs in which a schedule may fail; `most`: runs on processes for all schedules of
    a failure; `replays`: runs of what is left."""

    tries: int = 3
    most: int = 40
    replays: int = 5

    @property
    def simulated(self) -> int:
        """Runs in simulation, which take less each."""
        return 5 * self.most


@dataclass
class _Attempts:
    runs: HuntRuns
    world: TrialWorld
    failure: Failure
    limits: ShrinkLimits
    on_try: OnTry
    best: list[JsonObject] | None = None
    _spent: int = 0
    _failed: bool = False
    _seen: dict[str, bool] = field(default_factory=dict)

    def fails(self, faults: list[JsonObject]) -> bool:
        """Whether one of some runs with these faults shows the failure. Raises _Spent."""
        text = dump_faults(faults)
        if text not in self._seen:
            self._seen[text] = self._fails(text)
            self.on_try(len(faults), None, self._seen[text])
        if self._seen[text] and (self.best is None or len(faults) < len(self.best)):
            self.best = faults
        return self._seen[text]

    def _fails(self, schedule: str) -> bool:
        trials = [Trial(self.failure.test, schedule)] * self.limits.tries
        self._failed = False
        for _, outcome in self.runs.each(self.world, trials, self._more):
            self._spent += 1
            if outcome.verdict == INVALID:
                self._failed |= same(self.failure, fingerprint(outcome.results))
                self.runs.keep(self.failure.name, outcome.number)
        if not self._failed and (self._spent >= self.limits.most or not self.runs.may_begin):
            raise _Spent
        return self._failed

    def _more(self) -> bool:
        """Whether a schedule that has not failed yet has one more run."""
        return not self._failed and self._spent < self.limits.most


def shrunk(
    runs: HuntRuns,
    worlds: Mapping[str, TrialWorld],
    failure: Failure,
    limits: ShrinkLimits,
    on_try: OnTry,
) -> tuple[Replayed, str]:
    """The smallest form of a failure that was found, and how often it then fails; and a line about
    it."""
    if failure.world == SIMULATED:
        return shrunk_schedule(runs, worlds, failure, limits.simulated, on_try), ""
    done = _with_fewer_faults(runs, worlds, failure, limits, on_try)
    return with_near_schedule(runs, worlds, done, limits.simulated, on_try)


def _with_fewer_faults(
    runs: HuntRuns,
    worlds: Mapping[str, TrialWorld],
    failure: Failure,
    limits: ShrinkLimits,
    on_try: OnTry,
) -> Replayed:
    """The failure with the fewest faults found. Where those do not fail again, it keeps all that it
    had."""
    attempts = _Attempts(runs, worlds[failure.world], failure, limits, on_try)
    with suppress(_Spent):
        shrink(failure.faults, attempts.fails)
    if attempts.best is not None and len(attempts.best) < len(failure.faults):
        smaller = replace(failure, faults=tuple(attempts.best))
        done = replay(runs, worlds, smaller, limits.replays)
        if done.shown or not runs.may_begin:
            return done
    return replay(runs, worlds, failure, limits.replays)
