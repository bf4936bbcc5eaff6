"""Whether a file of a failure can be run, before anything is run."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path

from dynamesis.harness.failures.failure import Failure
from dynamesis.harness.failures.folder import load, schedule_of
from dynamesis.harness.failures.schedules import checked_beside, checked_schedule
from dynamesis.harness.results.results import SCHEDULE
from dynamesis.harness.usage.exits import UsageError
from dynamesis.harness.worlds.options import SIMULATED, plan_test


def checked(file: Path) -> Failure:
    """The failure in a file, of which it is known that it can be run. Raises UsageError."""
    failure = load(file)
    text = file.read_text(encoding="utf-8")
    if failure.world == SIMULATED:
        checked_schedule(text, str(file))
        return failure
    checked_beside(text, str(file))
    with tempfile.TemporaryDirectory() as scratch:
        schedule = Path(scratch) / SCHEDULE
        schedule.write_text(schedule_of(file), encoding="utf-8")
        try:
            spec = replace(failure.test, nemesis=None, schedule=schedule)
            plan_test(replace(spec, world=failure.world))
        except UsageError as wrong:
            message = str(wrong).removeprefix("--schedule: ").replace(str(schedule), str(file))
            raise UsageError(message if str(file) in message else f"{file}: {message}") from wrong
    return failure
