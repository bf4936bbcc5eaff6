"""A hunt: what is known is replayed, then tests are drawn until it is stopped.

A round has every combination of the campaign, many times in simulation, where a test takes a
moment, then once on processes. A failure is compared with those that are known. One that is new is
saved immediately, so that no kill loses it, then shrunk and saved again; a known one is
counted.
"""

from __future__ import annotations

import logging
from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from importlib.metadata import version

from dynamesis.harness.failures.failure import Failure, load_faults
from dynamesis.harness.failures.fingerprint import fingerprint, proof
from dynamesis.harness.failures.folder import FailureFolder
from dynamesis.harness.hunt.draws import Draws
from dynamesis.harness.hunt.replay import Replayed, replay
from dynamesis.harness.hunt.runs import HuntRuns
from dynamesis.harness.hunt.shrink import ShrinkLimits, shrunk
from dynamesis.harness.hunt.trials import INVALID, VALID, Trial, TrialOutcome, TrialWorld
from dynamesis.harness.report.summary import reasons
from dynamesis.harness.report.words import counted, times
from dynamesis.harness.worlds.test_spec import command

log = logging.getLogger(__name__)

#: how often a failure was met in a hunt when that is shown
_SHOWN = frozenset(10**digits for digits in range(9))


@dataclass
class Hunter:
    """One hunt. `worlds`: in the order in which each round goes through them; `times`: trials of
    each combination in a round, by world; `say` is called with each line to show."""

    failures: FailureFolder
    draws: Draws
    worlds: Mapping[str, TrialWorld]
    times: Mapping[str, int]
    runs: HuntRuns
    limits: ShrinkLimits = field(default_factory=ShrinkLimits)
    say: Callable[[str, str], None] = lambda verdict, line: None
    doing: str = ""
    #: by the name of a failure, how often it was met in this hunt
    struck: Counter[str] = field(default_factory=Counter)
    fresh: list[str] = field(default_factory=list)
    replayed: dict[str, Replayed] = field(default_factory=dict)
    _to_shrink: deque[Failure] = field(default_factory=deque)

    def run(self) -> None:
        """Until the budget is spent, or an interrupt. Raises UsageError for a file of a failure
        that cannot be used, EnvironmentFailed."""
        self._replay_known()
        number = 0
        while self.runs.may_begin:
            number += 1
            for name in self.times:
                self.doing = f"round {number}, {name}"
                self._trials(name, self.draws.round(number, name, self.times[name]))

    def interrupt(self) -> None:
        """Begin nothing more, and have the running tests end."""
        self.runs.interrupted = True
        for world in self.worlds.values():
            world.stop()

    def _replay_known(self) -> None:
        for failure in self.failures.all():
            if not self.runs.may_begin:
                return
            self.doing = f"replay of {failure.name}"
            if failure.rate is None:  # the hunt that found it was killed before it was shrunk
                self._shrink(failure)
                continue
            self._rated(replay(self.runs, self.worlds, failure, self.limits.replays))

    def _trials(self, world: str, trials: Iterator[Trial]) -> None:
        """All of them, but whenever something new was found, that is shrunk first."""
        doing = self.doing
        while self.runs.may_begin:
            before = self.runs.begun
            each = self.runs.each(self.worlds[world], trials, lambda: not self._to_shrink)
            for tried, outcome in each:
                if outcome.verdict == INVALID:
                    self._found(world, tried, outcome)
                elif outcome.verdict != VALID:
                    self._unsure(world, tried, outcome)
            while self._to_shrink and self.runs.may_begin:
                self._shrink(self._to_shrink.popleft())
            self._to_shrink.clear()
            self.doing = doing
            if self.runs.begun == before:
                return

    def _unsure(self, world: str, tried: Trial, outcome: TrialOutcome) -> None:
        """Shows what keeps a run from a verdict, and the command that repeats it: one in memory
        leaves nothing else."""
        known = reasons(outcome.results) if outcome.results else list(outcome.output[-1:])
        why = known or ["no reason is known"]
        line = f"{outcome.verdict}   {why[0]}: {command(replace(tried.spec, world=world))}"
        log.warning("%s", line)
        self.say(outcome.verdict, line)

    def _found(self, world: str, tried: Trial, outcome: TrialOutcome) -> None:
        shown = fingerprint(outcome.results)
        found = Failure(
            name=shown.name,
            anomalies=shown.anomalies[:1],
            symptoms=shown.principal,
            test=tried.spec,
            faults=load_faults(tried.schedule or self.worlds[world].faults(outcome)),
            world=world,
            why=proof(outcome.results, shown),
            found=datetime.now(UTC).date().isoformat(),
            version=version("dynamesis"),
        )
        kept, new = self.failures.strike(found, shown)
        self.struck[kept.name] += 1
        self.runs.keep(kept.name, outcome.number)
        if (met := self.struck[kept.name]) in _SHOWN:
            again = "new" if new else f"met {times(met)}" if met > 1 else "known"
            self.say(INVALID, f"{again}   {kept.name}: {found.why}")
        if new:
            self.fresh.append(kept.name)
            self._to_shrink.append(kept)
        elif kept.rate is not None and not kept.rate.failed:
            # its own schedule shows it no longer: this one takes its place
            self._to_shrink.append(self.failures.rescheduled(kept, found))

    def _shrink(self, failure: Failure) -> None:
        self.doing = f"shrinking {failure.name}"

        def tried(faults: int, operations: int | None, fails: bool) -> None:
            size = counted(faults, "fault")
            size += "" if operations is None else f", {counted(operations, 'operation')}"
            self.doing = f"shrinking {failure.name}: {size}: {'fails' if fails else 'holds'}"

        done, line = shrunk(self.runs, self.worlds, failure, self.limits, tried)
        self.say("", f"shrunk  {failure.name}: {enough(failure, done.failure)}")
        if line:
            self.say("", f"shrunk  {failure.name}: {line}")
        self._rated(done)

    def _rated(self, done: Replayed) -> None:
        """Keeps what runs of its own schedule have shown of a failure."""
        failure = done.failure.learned(done.shown)
        if done.rate.runs:
            failure = replace(failure, rate=done.rate)
        if done.runs and (not self.runs.interrupted or done.shown):
            self.replayed[failure.name] = done
            self.say(done.verdict, f"replay  {done}")
        self.failures.update(failure)


def enough(before: Failure, after: Failure) -> str:
    """What is left of a failure."""
    faults = f"{len(after.faults)} of {counted(len(before.faults), 'fault')} will do"
    if after.operations is None:
        return faults
    return f"{faults}, with {counted(len(after.operations), 'operation')}"
