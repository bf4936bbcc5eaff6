"""What `dynamesis simulate` was asked for, checked before anything starts."""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from pathlib import Path

from dynamesis.cluster.plugins.objects import absolute, is_file_name
from dynamesis.cluster.zoo import BUGS, plant
from dynamesis.harness.nemesis.catalogue import PACKAGES
from dynamesis.harness.run.progress_view import Mode
from dynamesis.harness.simulation.pytest_file import pytest_file
from dynamesis.harness.simulation.run_simulation import Asked
from dynamesis.harness.simulation.schedules.draw import SwarmScope
from dynamesis.harness.usage.exits import UsageError
from dynamesis.harness.usage.values import duration, one_of, within, writable_files
from dynamesis.harness.worlds.extensions import outside_nemesis
from dynamesis.harness.worlds.options import SIMULATED, plan_test
from dynamesis.harness.worlds.test_spec import TestSpec
from dynamesis.workloads import WORKLOADS
from dynamesis.workloads.base import DYNAMO
from dynamesis.workloads.outside import outside

#: Schedules, where neither a number nor a time is given.
SCHEDULES = 1000
_MOST_JOBS = 64


@dataclass(frozen=True)
class SimulateFlags:
    """The flags as they were typed."""

    schedules: int | None
    time: str | None
    seed: int | None
    jobs: int | None
    workload: str | None
    nemesis: str | None
    bug: tuple[str, ...]
    store: Path
    json: Path | None
    pytest: Path | None
    mode: Mode


def asked(given: SimulateFlags) -> Asked:
    """What is to be done. Raises UsageError for the first flag that makes no sense."""
    if given.schedules is not None and given.time is not None:
        raise UsageError("--time: takes the place of --schedules; give one of them")
    schedules = SCHEDULES if given.schedules is None else given.schedules
    within("--schedules", schedules, 1, 1_000_000_000)
    seconds = None
    if given.time is not None:
        seconds = duration("--time", given.time, 0.1, 30 * 24 * 3600)
    seed = secrets.randbelow(2**32) if given.seed is None else given.seed
    within("--seed", seed, 0, 2**62)
    jobs = cores() if given.jobs is None else given.jobs
    within("--jobs", jobs, 1, _MOST_JOBS)
    wanted = _wanted(given)
    writable_files(("--json", given.json), ("--pytest", given.pytest))
    pytest_file((), given.pytest)  # what cannot take tests is refused before anything is played
    return Asked(
        wanted,
        seed,
        None if given.time is not None else schedules,
        seconds,
        jobs,
        given.store,
        given.json,
        given.pytest,
        given.mode,
    )


def one(given: SimulateFlags) -> Asked:
    """The same for a single schedule, which has its own seed. Raises UsageError."""
    for name in ("schedules", "time", "seed", "jobs"):
        if getattr(given, name) is not None:
            raise UsageError(f"--{name}: does not go with --replay, which plays one; leave it out")
    return asked(given)


def cores() -> int:
    """How many processes this machine runs concurrently, as far as this one may use it."""
    return max(1, min(_MOST_JOBS, len(os.sched_getaffinity(0))))


def _wanted(given: SimulateFlags) -> SwarmScope:
    workloads = _names("--workload", given.workload, WORKLOADS, f"{DYNAMO}/")
    nemeses = _names("--nemesis", given.nemesis, PACKAGES)
    _loaded("--workload", workloads, WORKLOADS, outside)
    _loaded("--nemesis", nemeses, PACKAGES, outside_nemesis)
    if nemeses is not None and "none" in nemeses and len(nemeses) > 1:
        raise UsageError("--nemesis: none excludes every other; write none alone, or leave it out")
    for name in nemeses or ():
        _simulable(name)
    bugs = _names("--bug", ",".join(given.bug) if given.bug else None, BUGS) or ()
    try:
        _ = bugs and plant(bugs)
    except ValueError as unknown:
        raise UsageError(f"--bug: {unknown}") from unknown
    return SwarmScope(workloads, nemeses, bugs)


def _simulable(nemesis: str) -> None:
    """Raises UsageError for what can be done in no simulated world: it would never be drawn."""
    if nemesis in PACKAGES:
        try:
            plan_test(TestSpec(world=SIMULATED, nemesis=(nemesis,), seed=1))
        except UsageError as impossible:
            raise UsageError(
                f"--nemesis: {nemesis} cannot be simulated; leave it out"
            ) from impossible


def _loaded(
    flag: str,
    names: Iterable[str] | None,
    known: Collection[str],
    load: Callable[[str], object],
) -> None:
    """Loads each name that is of a user's own. Raises UsageError where that fails."""
    for name in names or ():
        try:
            _ = name in known or load(name)
        except ValueError as wrong:
            raise UsageError(f"{flag}: {wrong}") from wrong


def _names(
    flag: str, given: str | None, known: Collection[str], language: str = ""
) -> tuple[str, ...] | None:
    """The names, short or with the `language` before them that they all have."""
    if given is None:
        return None
    words = [word.strip() for word in given.split(",")]
    words = [short if (short := word.removeprefix(language)) in known else word for word in words]
    return tuple(
        [absolute(word) if is_file_name(word) else one_of(flag, word, known) for word in words]
    )
