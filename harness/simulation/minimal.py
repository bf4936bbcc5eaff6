"""From the seed of a failing schedule to the smallest one that still fails."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace

from dynamesis.checkers.verdict import Verdict
from dynamesis.harness.simulation.play import play, run
from dynamesis.harness.simulation.schedules.explicit import operations_of
from dynamesis.harness.simulation.schedules.schedule import SimulatedSchedule
from dynamesis.harness.simulation.schedules.shrink import MOST, shrink
from dynamesis.harness.usage.exits import UsageError


@dataclass(frozen=True)
class Minimal:
    """A schedule that fails with `anomaly`, among `anomalies`; found in so many `runs` and
    `seconds`."""

    schedule: SimulatedSchedule
    anomaly: str
    anomalies: tuple[str, ...]
    runs: int
    seconds: float


@dataclass
class _Fails:
    """Whether a schedule shows the anomaly, counting runs. `paired`: and is valid without the bugs
    that are planted."""

    anomaly: str
    paired: bool = False
    runs: int = 0

    def __call__(self, schedule: SimulatedSchedule) -> bool:
        self.runs += 1
        try:
            played = play(schedule)
        except UsageError:
            return False
        if played.verdict is not Verdict.INVALID or self.anomaly not in played.anomalies:
            return False
        return not self.paired or _valid_without_bugs(schedule)


def _valid_without_bugs(schedule: SimulatedSchedule) -> bool:
    clean = replace(schedule, spec=replace(schedule.spec, bug=()))
    return play(clean).verdict is Verdict.VALID


def minimal(schedule: SimulatedSchedule, anomaly: str, most: int = MOST) -> Minimal:
    """The smallest schedule found in at most `most` runs that shows the anomaly, as `schedule`
    does. Its operations are given one by one, unless it only fails as the workload draws
    them. Where bugs are planted, what is left must be valid without them, as `schedule` is."""
    began = time.monotonic()
    paired = bool(schedule.spec.bug) and _valid_without_bugs(schedule)
    fails = _Fails(anomaly)
    start = explicit(schedule)
    if start is not schedule and not fails(start):
        start = schedule
    found = shrink(start, fails, most)
    if paired and not _valid_without_bugs(
        found
    ):  # seldom: pairs are as dear as what they belong to
        fails.paired = True
        found = shrink(start, fails, most)
    anomalies = tuple(play(found).anomalies)
    return Minimal(found, anomaly, anomalies, fails.runs, time.monotonic() - began)


def explicit(schedule: SimulatedSchedule) -> SimulatedSchedule:
    """The same with its operations given one by one."""
    if schedule.operations is not None:
        return schedule
    history = run(schedule).history
    return replace(schedule, operations=operations_of(history, schedule.spec.concurrency))
