"""Workloads that a target speaks, and nemeses of a user's own: by name, by entry point
(`dynamesis.workloads`, `dynamesis.nemeses`), and by FILE.py:NAME."""

from __future__ import annotations

from difflib import get_close_matches
from importlib.metadata import entry_points

from dynamesis.cluster.plugins.objects import absolute, is_file_name, load_object
from dynamesis.harness.nemesis.packages import Member, Package
from dynamesis.harness.targets.target import Target
from dynamesis.workloads import Workload
from dynamesis.workloads.outside import outside
from dynamesis.workloads.plain.languages import EVERY, spoken

NEMESES = "dynamesis.nemeses"


def workload_for(name: str, target: Target) -> Workload:
    """The workload of this name, or of FILE.py:NAME, that the target speaks. Raises ValueError,
    with what it speaks."""
    known = spoken(each for each in target.workloads if each in EVERY)
    if name in known:
        return known[name]
    workload = outside(name)
    if workload is None and name in target.workloads and name not in EVERY:
        near = get_close_matches(name, EVERY, n=1)
        hint = f" (did you mean {near[0]}?)" if near else ""
        raise ValueError(
            f"target {target.name}: workloads has {name!r}, which does not exist{hint}; allowed: "
            f"{', '.join(sorted(EVERY))}"
        )
    performs = {f for each in known.values() for f in each.operations}
    if workload is not None and (
        workload.name in target.workloads or performs.issuperset(workload.operations)
    ):
        return workload
    names = [*known, *(each for each in target.workloads if each not in EVERY)]
    speaks = ", ".join(names) or "none"
    if workload is None and not any(name in (each, each.partition("/")[2]) for each in EVERY):
        near = get_close_matches(name, names, n=1)
        hint = f" (did you mean {near[0]}?)" if near else ""
        raise ValueError(
            f"there is no {name!r}{hint}; target {target.name} speaks: {speaks}; "
            "or give FILE.py:NAME"
        )
    shown = name if workload is None else workload.name
    raise ValueError(f"target {target.name} does not speak {shown}; it speaks: {speaks}")


def outside_nemesis(name: str) -> Package | None:
    """The nemesis; None for a name that no package brings. Raises ValueError."""
    if is_file_name(name):
        return _package(load_object(absolute(name), _is_nemesis, "a Package or a Member"))
    for point in entry_points(group=NEMESES):
        if point.name == name:
            try:
                found = point.load()
            except Exception as error:
                raise ValueError(f"{name}: {point.value} cannot be loaded: {error!r}") from error
            if _is_nemesis(found):
                return _package(found)
            raise ValueError(f"{name}: {point.value} is not a Package or a Member")
    return None


def _is_nemesis(value: object) -> bool:
    return isinstance(value, Package | Member)


def _package(found: object) -> Package:
    if isinstance(found, Member):
        return Package(found.name, found.description, (found,))
    assert isinstance(found, Package)
    return found
