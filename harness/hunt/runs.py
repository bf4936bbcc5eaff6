"""The runs of a hunt: numbered, handed out, counted, and deleted when nothing is to be seen in
them.

A hunt has no end, so what it leaves must have one: of tests that were valid nothing stays; of
each bug the first run does, and the last few.
"""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

from dynamesis.harness.hunt.trials import ERROR, INVALID, VALID, Trial, TrialOutcome, TrialWorld
from dynamesis.harness.targets.system import EnvironmentFailed

#: seconds between two looks at the clock
_LOOK = 0.25
#: runs that are kept of one bug beside the first, and of what was unknown or an error
_MOST_KEPT = 3
_MOST_UNSURE = 10
#: errors in a row, of which each may be an accident, after which the machine is at fault
_MOST_ERRORS = 5


@dataclass(frozen=True)
class HuntBudget:
    """What a hunt may take: s, and runs of any kind. None: no end."""

    time: float | None = None
    runs: int | None = None


@dataclass
class HuntRuns:
    """`on_tick` is called now and then; `forget` deletes what a run has left."""

    budget: HuntBudget
    forget: Callable[[int], None]
    on_tick: Callable[[], None] = lambda: None
    interrupted: bool = False
    #: by world and verdict
    counts: Counter[tuple[str, str]] = field(default_factory=Counter)
    _began: float = field(default_factory=time.monotonic)
    _number: int = 0
    _errors: int = 0
    _kept: dict[str, deque[int]] = field(default_factory=dict)

    @property
    def elapsed(self) -> float:
        """Seconds."""
        return time.monotonic() - self._began

    @property
    def begun(self) -> int:
        """How many runs have begun."""
        return self._number

    @property
    def may_begin(self) -> bool:
        """Whether the budget has one more run, and nothing has ended the hunt."""
        spent = self.budget.time is not None and self.elapsed >= self.budget.time
        most = self.budget.runs
        return not (self.interrupted or spent or (most is not None and self._number >= most))

    def each(
        self,
        world: TrialWorld,
        trials: Iterable[Trial],
        more: Callable[[], bool] = lambda: True,
    ) -> Iterator[tuple[Trial, TrialOutcome]]:
        """Trials as they end, in any order; none begins once `more` is false. What was interrupted
        counts for nothing, unless it was invalid. Raises EnvironmentFailed when one after the
        other ends in an error."""
        waiting, pending = iter(trials), dict[int, Trial]()
        while True:
            while world.free and self.may_begin and more():
                trial = next(waiting, None)
                if trial is None:
                    break
                self._number += 1
                pending[self._number] = trial
                world.begin(self._number, trial)
            if not pending:
                return
            for outcome in world.ended(_LOOK):
                trial = pending.pop(outcome.number)
                if self.interrupted and outcome.verdict != INVALID:
                    self.forget(outcome.number)
                    continue
                self._note(world, outcome)
                yield trial, outcome
            self.on_tick()

    def keep(self, name: str, number: int) -> None:
        """Keeps a run in which the bug of this name showed: the first, and the last few."""
        if name not in self._kept:
            self._kept[name] = deque()
            return
        self._keep(name, number, _MOST_KEPT)

    def _note(self, world: TrialWorld, outcome: TrialOutcome) -> None:
        self.counts[world.name, outcome.verdict] += 1
        self._errors = self._errors + 1 if outcome.verdict == ERROR else 0
        if outcome.verdict == VALID:
            self.forget(outcome.number)
        elif outcome.verdict != INVALID:
            self._keep("", outcome.number, _MOST_UNSURE)
        if self._errors >= _MOST_ERRORS:
            last = outcome.output[-1] if outcome.output else "it had to be killed"
            raise EnvironmentFailed(f"{self._errors} tests in a row ended in an error: {last}")

    def _keep(self, name: str, number: int, most: int) -> None:
        kept = self._kept.setdefault(name, deque())
        kept.append(number)
        if len(kept) > most:
            self.forget(kept.popleft())
