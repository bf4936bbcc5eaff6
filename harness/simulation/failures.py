"""The database of failures: schedules that failed once, to be played first the next time.

A folder of failures (harness.failures), as a hunt keeps one: a bug is one file, by its anomaly and
the evidence for it, and of one that was met again the schedule stays: if a run that keeps to the
same would play it. What another planted bug, or another workload, shows in the same way is a
failure of its own, or the next such run would have nothing to play. One that does not fail any
more is taken out, as Hypothesis does; a regression test (`--pytest`) stays.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from dynamesis.harness.failures.failure import Failure
from dynamesis.harness.failures.fingerprint import fingerprint, proof
from dynamesis.harness.failures.folder import FailureFolder, load
from dynamesis.harness.failures.schedules import schedule_of, with_schedule
from dynamesis.harness.nemesis.catalogue import PACKAGES
from dynamesis.harness.results.documents import JsonObject
from dynamesis.harness.simulation.schedules.draw import SwarmScope
from dynamesis.harness.simulation.schedules.schedule import SimulatedSchedule
from dynamesis.harness.simulation.schedules.text import Written
from dynamesis.harness.usage.exits import UsageError
from dynamesis.harness.worlds.extensions import outside_nemesis
from dynamesis.harness.worlds.options import SIMULATED

FAILURES = "failures"


@dataclass(frozen=True)
class KeptFailure:
    """A schedule that failed; `file` holds it."""

    file: Path
    written: Written

    def forget(self) -> None:
        """Take it out."""
        self.file.unlink(missing_ok=True)


class Failures:
    """The failures that are kept in a folder."""

    def __init__(self, folder: Path) -> None:
        """Raises UsageError where a file is in its place: nothing that is found could be kept."""
        if folder.exists() and not folder.is_dir():
            raise UsageError(f"--store: {folder} is not a folder; move it, or name another folder")
        self._folder = FailureFolder(folder)

    def keep(self, written: Written, results: JsonObject, wanted: SwarmScope) -> Path:
        """Write a failure of such a swarm down, with what its results prove; the file. A bug that
        is known is counted."""
        shown = fingerprint(results)
        found = Failure(
            name=shown.name,
            anomalies=shown.anomalies,
            symptoms=shown.symptoms,
            test=written.schedule.spec,
            faults=(),
            world=SIMULATED,
            token=written.token,
            why=proof(results, shown),
            found=datetime.now(UTC).date().isoformat(),
            version=version("dynamesis"),
        )

        def alike(known: Failure) -> bool:
            with suppress(UsageError):
                return known.world == SIMULATED and _matches(schedule_of(known), wanted)
            return False

        kept, _ = self._folder.strike(with_schedule(found, written.schedule), shown, alike)
        return self._folder.file(kept.name)

    def matching(self, wanted: SwarmScope, skip: Callable[[str], None]) -> Iterator[KeptFailure]:
        """The failures of a swarm that keeps to the same, by name. What cannot be read any more is
        passed over; `skip` gets the reason."""
        for file in self._folder.files():
            try:
                failure = load(file)
                if failure.world != SIMULATED:
                    continue
                schedule = schedule_of(failure)
            except UsageError as unreadable:
                skip(str(unreadable))
                continue
            if _matches(schedule, wanted):
                written = Written(schedule, failure.anomalies, failure.token)
                yield KeptFailure(file, written)


def _matches(schedule: SimulatedSchedule, wanted: SwarmScope) -> bool:
    spec = schedule.spec
    if set(spec.bug) != set(wanted.bug):
        return False
    if wanted.workloads is not None and spec.workload not in wanted.workloads:
        return False
    if wanted.nemeses is None:
        return True
    struck = {event.action.member or "" for event in schedule.faults}
    own = filter(None, [outside_nemesis(name) for name in wanted.nemeses if name not in PACKAGES])
    names = {*wanted.nemeses, *(member.name for package in own for member in package.members)}
    return "storm" in names or all(
        member in names or member.partition(".")[0] in names for member in struck
    )
