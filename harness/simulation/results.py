"""What a run of many schedules has found, as plain data: the file of `--json`.

    {"schedules", "per_minute", "valid", "invalid", "unknown", "situations": {name: count},
     "failures": [{"seed", "token", "anomalies", "operations", "faults", "folder"}]}

`invalid` counts every schedule that failed. A failure is listed for each anomaly that no earlier
one shows: one bug fails in a thousand ways, and the shortest proof of each kind is what helps.
`operations` and `faults` are those of the shrunk schedule. One that was not shrunk, since a second
ctrl-C ended that, has its own, and `folder` is null; as it is where the store took no more.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dynamesis.checkers.history.op import JsonObject
from dynamesis.checkers.verdict import Verdict
from dynamesis.harness.processes.limits import shortage
from dynamesis.harness.report.words import counted
from dynamesis.harness.simulation.minimal import Minimal
from dynamesis.harness.simulation.play import Played
from dynamesis.harness.simulation.swarm import Unfinished
from dynamesis.harness.targets.system import EnvironmentFailed
from dynamesis.harness.usage.exits import INVALID, UNKNOWN, VALID, UsageError

#: Reasons for an unknown verdict that are shown, and the evidence that a run needs as a whole:
#: acknowledged operations and writes, as one test does (checkers.evidence.figures).
SHOWN = 5
_LEAST, _LEAST_WRITES = 50, 20


@dataclass(frozen=True)
class FailedSchedule:
    """A schedule that failed, shrunk. `token`: None where none names it, as of another version;
    `folder`: None where shrinking was stopped before its turn, which leaves it as it was, or where
    the store does not take it (`unsaved`); `drawn`: how many operations it had, where they are not
    given one by one; `kept`: its file in the database, where it came from there."""

    seed: int
    token: str | None
    minimal: Minimal
    folder: Path | None
    drawn: int = 0
    unsaved: str = ""
    kept: Path | None = None

    def to_dict(self) -> JsonObject:
        """As in the file."""
        schedule = self.minimal.schedule
        return {
            "seed": self.seed,
            "token": self.token,
            "anomalies": list(self.minimal.anomalies),
            "operations": self.drawn if schedule.operations is None else len(schedule.operations),
            "faults": schedule.fault_count,
            "folder": None if self.folder is None else str(self.folder),
        }


@dataclass
class Tally:
    """The outcomes so far."""

    verdicts: Counter[Verdict] = field(default_factory=Counter)
    situations: Counter[str] = field(default_factory=Counter)
    anomalies: Counter[str] = field(default_factory=Counter)
    operations: list[int] = field(default_factory=list)
    faults: list[int] = field(default_factory=list)
    acknowledged: int = 0
    writes: int = 0
    effective: int = 0
    unknown: list[tuple[int, str]] = field(default_factory=list)
    seconds: float = 0.0
    #: the seeds that were drawn from: what finds nothing shows no other
    seeds: range = range(0)
    #: whether it was interrupted before all had been played
    stopped: bool = False
    #: what was under way then, a line each
    unfinished: list[str] = field(default_factory=list)
    #: what ended it, or keeps it from being kept: to be raised once what was found is reported
    broke: UsageError | EnvironmentFailed | None = None

    @contextmanager
    def until_stopped(self, named: Callable[[Any], str | None]) -> Iterator[None]:
        """An interrupt ends what is done within, and not the run: what it has found is reported.
        So does what breaks once something has been played. `named`: as of `stop`."""
        try:
            yield
        except Unfinished as stopped:
            self.stop(stopped, named)
        except KeyboardInterrupt:
            self.stopped = True
        except (UsageError, EnvironmentFailed) as failure:
            if not self.schedules:
                raise
            self.stopped = True
            self.broke = self.broke or failure

    def not_kept(self, failure: OSError) -> str:
        """The store does not take what was found; the reason."""
        why = shortage(failure) or str(failure)
        self.broke = self.broke or EnvironmentFailed(f"--store: {why}")
        return why

    def stop(self, by: Unfinished, named: Callable[[Any], str | None]) -> None:
        """A user ended it. `named`: what a task is that was under way; None where it is not
        shown."""
        self.stopped = True
        where = f": {by}" if str(by) else ""
        for task, seconds in by.tasks:
            if (name := named(task)) is not None:
                self.unfinished.append(f"{name}, after {seconds:.1f} s{where}")

    def add(self, seed: int, played: Played) -> None:
        """Count one more."""
        self.verdicts[played.verdict] += 1
        self.situations.update(played.situations)
        self.anomalies.update(list(played.anomalies))
        self.operations.append(played.operations)
        self.faults.append(played.faults)
        self.acknowledged += played.acknowledged
        self.writes += played.writes
        self.effective += played.effective
        if played.verdict is Verdict.UNKNOWN:
            self.unknown.append((seed, "; ".join(played.reasons[:2]) or "no reason is given"))

    @property
    def schedules(self) -> int:
        """How many have been played."""
        return self.verdicts.total()

    @property
    def per_minute(self) -> float:
        """How many in a minute."""
        return round(60 * self.schedules / self.seconds, 1) if self.seconds else 0.0

    @property
    def lacking(self) -> str | None:
        """What keeps the run as a whole from being valid: most of all, too little evidence."""
        if self.stopped:
            return "it was stopped before all had been played"
        if self.acknowledged < _LEAST or self.writes < _LEAST_WRITES:
            return (
                "too little was acknowledged in all schedules together: "
                f"{counted(self.acknowledged, 'operation')}, {self.writes} of them writes; "
                f"the floor is {_LEAST} and {_LEAST_WRITES}"
            )
        if sum(self.faults) and not self.effective:
            return f"none of {counted(sum(self.faults), 'fault')} is known to have taken effect"
        return None

    @property
    def exit_code(self) -> int:
        """Invalid outranks unknown, unknown outranks valid."""
        if self.verdicts[Verdict.INVALID]:
            return INVALID
        return UNKNOWN if self.verdicts[Verdict.UNKNOWN] or self.lacking else VALID

    def to_dict(self, failures: Sequence[FailedSchedule]) -> JsonObject:
        """As in the file."""
        return {
            "schedules": self.schedules,
            "per_minute": self.per_minute,
            "valid": self.verdicts[Verdict.VALID],
            "invalid": self.verdicts[Verdict.INVALID],
            "unknown": self.verdicts[Verdict.UNKNOWN],
            "situations": dict(sorted(self.situations.items())),
            "failures": [each.to_dict() for each in failures],
        }
