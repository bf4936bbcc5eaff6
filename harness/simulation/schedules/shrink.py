"""Makes a failing schedule smaller as long as it fails with the same anomaly.

A run in virtual time is repeatable, so that one run decides, and the result is the same each
time. The passes go from coarse to fine and are repeated until none makes anything smaller:
faults and operations by delta debugging (Zeller and Hildebrandt, "Simplifying and isolating
failure-inducing input", 2002), nodes, pauses, parameters, tweaks, clients, and times. What makes
every further run cheaper comes first. What a pass
tries that makes no sense (fewer nodes than copies) counts as a schedule that does not fail.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeVar

from dynamesis.harness.simulation.schedules import smaller
from dynamesis.harness.simulation.schedules.explicit import without
from dynamesis.harness.simulation.schedules.schedule import SimulatedSchedule

T = TypeVar("T")
#: Runs of schedules that one shrinking may take.
MOST = 300

#: Whether a schedule fails with the anomaly that matters.
Fails = Callable[[SimulatedSchedule], bool]


class _Spent(Exception):
    """No run is left."""


@dataclass
class _Search:
    """The smallest schedule so far, and how many runs are left. No schedule is run twice."""

    best: SimulatedSchedule
    fails: Fails
    left: int
    _tried: set[str] = field(default_factory=set)

    def better(self, candidate: SimulatedSchedule) -> bool:
        """Whether the candidate fails; it is the best then. Raises _Spent."""
        name = repr((candidate.spec, candidate.faults, candidate.tweaks, candidate.operations))
        if name in self._tried:
            return False
        self._tried.add(name)
        if self.left == 0:
            raise _Spent
        self.left -= 1
        if not self.fails(candidate):
            return False
        self.best = candidate
        return True

    def first(self, candidates: Iterator[SimulatedSchedule]) -> bool:
        """Whether one of the candidates fails."""
        return any(self.better(candidate) for candidate in candidates)


def shrink(schedule: SimulatedSchedule, fails: Fails, most: int = MOST) -> SimulatedSchedule:
    """A smaller schedule for which `fails` was true, or the same. `fails` is called at most `most`
    times, and `schedule` is taken to fail."""
    search = _Search(schedule, fails, most)
    try:
        while sum(run(search) for run in _PASSES):  # all of them, each time
            continue
    except _Spent:
        pass
    return search.best


def _faults(search: _Search) -> bool:
    return _fewer(search, lambda: _numbers(search.best), _without_faults)


def _operations(search: _Search) -> bool:
    def kept() -> list[int]:
        return list(range(len(search.best.operations or ())))

    return _fewer(search, kept, _without_operations)


def _fewer(
    search: _Search,
    items: Callable[[], list[int]],
    drop: Callable[[SimulatedSchedule, set[int]], SimulatedSchedule],
) -> bool:
    """Delta debugging: drops ever smaller parts. After a success it continues at the same place,
    since what lies before has been tried."""
    changed = False
    size = len(items())
    while size >= 1:
        at = 0
        while at < len(items()):
            part = set(items()[at : at + size])
            if search.better(drop(search.best, part)):
                changed = True
            else:
                at += size
        size = math.ceil(size / 2) if size > 1 else 0
    return changed


def _numbers(schedule: SimulatedSchedule) -> list[int]:
    return list(dict.fromkeys(event.action.number for event in schedule.faults))


def _without_faults(schedule: SimulatedSchedule, dropped: set[int]) -> SimulatedSchedule:
    kept = [event for event in schedule.faults if event.action.number not in dropped]
    return replace(schedule, faults=tuple(kept))


def _without_operations(schedule: SimulatedSchedule, dropped: set[int]) -> SimulatedSchedule:
    return replace(schedule, operations=without(schedule.operations or (), dropped))


def _each(
    candidates: Callable[[SimulatedSchedule], Sequence[SimulatedSchedule]],
) -> Callable[[_Search], bool]:
    """A pass that takes the first candidate that fails, until none does."""

    def work(search: _Search) -> bool:
        changed = False
        while search.first(iter(candidates(search.best))):
            changed = True
        return changed

    return work


#: What is tried, in this order.
_PASSES: tuple[Callable[[_Search], bool], ...] = (
    _faults,
    _each(smaller.nodes),
    _each(smaller.keys),
    _operations,
    _each(smaller.gaps),
    _each(smaller.settings),
    _each(smaller.clients),
    _each(smaller.requests),
    _each(smaller.lengths),
    _each(smaller.rounded),
)
