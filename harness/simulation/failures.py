"""The database of failures: schedules that failed once, to be played first the next time.

A folder of YAML files (harness.simulation.schedules.text), each named after what it holds. One
that does not fail any more is taken out, as Hypothesis does; a regression test (`--pytest`)
stays.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from dynamesis.harness.simulation.schedules.draw import SwarmScope
from dynamesis.harness.simulation.schedules.schedule import SimulatedSchedule
from dynamesis.harness.simulation.schedules.text import Written, dump, load
from dynamesis.harness.usage.exits import UsageError

log = logging.getLogger(__name__)

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
        self._folder = folder

    def keep(self, written: Written) -> Path:
        """Write a failure down; the file. The same is not written twice."""
        text = dump(written.schedule, written.anomalies, written.token)
        name = hashlib.sha256(text.encode()).hexdigest()[:16]
        self._folder.mkdir(parents=True, exist_ok=True)
        file = self._folder / f"{name}.yaml"
        part = file.with_suffix(".part")
        part.write_text(text, encoding="utf-8")
        part.replace(file)
        return file

    def matching(self, wanted: SwarmScope) -> Iterator[KeptFailure]:
        """The failures of a swarm that keeps to the same, by name. What cannot be read any more is
        passed over."""
        for file in sorted(self._folder.glob("*.yaml")):
            try:
                written = load(file.read_text(encoding="utf-8"), str(file))
            except (OSError, UnicodeDecodeError, UsageError) as unreadable:
                log.warning("%s: %s", file, unreadable)
                continue
            if _matches(written.schedule, wanted):
                yield KeptFailure(file, written)


def _matches(schedule: SimulatedSchedule, wanted: SwarmScope) -> bool:
    spec = schedule.spec
    if set(spec.bug) != set(wanted.bug):
        return False
    if wanted.workloads is not None and spec.workload not in wanted.workloads:
        return False
    if wanted.nemeses is None:
        return True
    members = {event.action.member or "" for event in schedule.faults}
    names = set(wanted.nemeses)
    return "storm" in names or all(
        member in names or member.partition(".")[0] in names for member in members
    )
