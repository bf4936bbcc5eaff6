"""The simulated schedules that failures have, as values: to be run, and to be made smaller.

A file of a failure in the simulated world is a file of a simulated schedule with more beside
it, so both are read by harness.simulation.schedules.text. One of processes may have a schedule
that is near it under `simulated`.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import yaml
from dynamesis.harness.failures.failure import BESIDE, Failure
from dynamesis.harness.results.documents import JsonObject
from dynamesis.harness.results.yaml_document import YamlError, document
from dynamesis.harness.simulation.schedules.schedule import SimulatedSchedule
from dynamesis.harness.simulation.schedules.text import KEYS, dump, load, schedule_at
from dynamesis.harness.usage.exits import UsageError
from dynamesis.harness.worlds.options import PROCESSES, SIMULATED
from dynamesis.harness.worlds.test_spec import TestSpec

_BESIDE = "simulated"
_FLAG = "--replay: "


def schedule_of(failure: Failure) -> SimulatedSchedule:
    """The schedule of a failure of the simulated world. Raises UsageError."""
    return checked_schedule(failure.dump(failure.name), failure.name)


def schedule_beside(failure: Failure) -> SimulatedSchedule | None:
    """The schedule that shows a failure of processes in simulation, if one is known. Raises
    UsageError."""
    return checked_beside(failure.dump(failure.name), failure.name)


def checked_schedule(text: str, file: str) -> SimulatedSchedule:
    """The schedule in a file of a failure of the simulated world, planned. Raises UsageError with
    file and line."""
    try:
        return _planned(load(text, file, BESIDE).schedule)
    except UsageError as wrong:
        raise _located(wrong, file) from wrong


def checked_beside(text: str, file: str) -> SimulatedSchedule | None:
    """The schedule under `simulated`, planned; None where there is none. Raises UsageError with
    file and line."""
    places = document(text, file, "a failure").mapping((*BESIDE, *KEYS))
    if _BESIDE not in places:
        return None
    root = places[_BESIDE]
    try:
        return _planned(schedule_at(root, root.mapping(KEYS)))
    except YamlError as wrong:
        raise UsageError(str(wrong)) from wrong
    except UsageError as wrong:
        raise UsageError(str(root.wrong(str(wrong).removeprefix(_FLAG)))) from wrong


def with_schedule(failure: Failure, schedule: SimulatedSchedule) -> Failure:
    """A failure of the simulated world with another schedule."""
    rows, operations = as_rows(schedule), None
    if "operations" in rows:
        operations = tuple(rows["operations"])
    return replace(
        failure,
        test=replace(schedule.spec, nemesis=None, world=PROCESSES),  # the failure has the world
        faults=tuple(rows["faults"]),
        tweaks=rows.get("tweaks", {}),
        operations=operations,
    )


def as_rows(schedule: SimulatedSchedule) -> JsonObject:
    """A schedule as plain data: `test`, `tweaks`, `operations`, `faults`."""
    rows: dict[str, Any] = yaml.safe_load(dump(schedule))
    rows["test"].pop("world", None)
    return rows


def _planned(schedule: SimulatedSchedule) -> SimulatedSchedule:
    spec: TestSpec = replace(schedule.spec, world=SIMULATED, schedule=None, nemesis=None)
    found = replace(schedule, spec=spec)
    found.options  # noqa: B018 - planned here, where an error can be shown beside the file
    return found


def _located(wrong: UsageError, file: str) -> UsageError:
    message = str(wrong).removeprefix(_FLAG)
    return UsageError(message if file in message else f"{file}: {message}")
