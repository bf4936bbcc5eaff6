"""Shrinks a failure to the faults that it needs: delta debugging over its schedule
(harness/campaign/shrink.py), in the world where it was found.

On processes a schedule counts as failing once one of a few runs fails, and these run at the same
time where there are workers for it. What is left is run afresh, so that the rate which is noted is
not that of the runs by which it was chosen.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace

from dynamesis.harness.campaign.shrink import shrink
from dynamesis.harness.hunt.failure import Failure, dump_faults
from dynamesis.harness.hunt.fingerprint import fingerprint
from dynamesis.harness.hunt.replay import Replayed, replay, same
from dynamesis.harness.hunt.runs import HuntRuns
from dynamesis.harness.hunt.trials import INVALID, Trial, TrialWorld
from dynamesis.harness.results.documents import JsonObject


class _Spent(Exception):
    """No run is left for this failure."""


@dataclass(frozen=True)
class ShrinkLimits:
    """`tries`: runs in which a schedule may fail; `most`: runs for all schedules of a failure;
    `replays`: runs of what is left."""

    tries: int = 3
    most: int = 40
    replays: int = 5


@dataclass
class _Attempts:
    runs: HuntRuns
    world: TrialWorld
    failure: Failure
    limits: ShrinkLimits
    on_try: Callable[[int, bool], None]
    best: list[JsonObject] | None = None
    _spent: int = 0
    _failed: bool = False
    _seen: dict[str, bool] = field(default_factory=dict)

    def fails(self, faults: list[JsonObject]) -> bool:
        """Whether one of some runs with these faults shows the failure. Raises _Spent."""
        text = dump_faults(faults)
        if text not in self._seen:
            self._seen[text] = self._fails(text)
            self.on_try(len(faults), self._seen[text])
        if self._seen[text] and (self.best is None or len(faults) < len(self.best)):
            self.best = faults
        return self._seen[text]

    def _fails(self, schedule: str) -> bool:
        tries = 1 if self.world.deterministic else self.limits.tries
        trials = [Trial(replace(self.failure.test, world=self.failure.world), schedule)] * tries
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
    on_try: Callable[[int, bool], None],
) -> Replayed:
    """The failure with the fewest faults found, and how often it then fails. Where those do not
    fail again, it keeps all that it had."""
    attempts = _Attempts(runs, worlds[failure.world], failure, limits, on_try)
    with suppress(_Spent):
        shrink(failure.faults, attempts.fails)
    if attempts.best is not None and len(attempts.best) < len(failure.faults):
        smaller = replace(failure, faults=tuple(attempts.best))
        done = replay(runs, worlds, smaller, limits.replays)
        if done.shown or not runs.may_begin:
            return done
    return replay(runs, worlds, failure, limits.replays)
