"""Workloads by name, by entry point, and by FILE.py:NAME; and which of them a target speaks."""

from __future__ import annotations

from dynamesis.harness.targets.target import Target
from dynamesis.workloads import Workload
from dynamesis.workloads.outside import outside
from dynamesis.workloads.plain.languages import EVERY, spoken


def workload_for(name: str, target: Target) -> Workload:
    """The workload of this name, or of FILE.py:NAME, that the target speaks. Raises ValueError,
    with what it speaks."""
    known = spoken(each for each in target.workloads if each in EVERY)
    if name in known:
        return known[name]
    workload = outside(name)
    performs = {f for each in known.values() for f in each.operations}
    if workload is not None and (
        workload.name in target.workloads or performs.issuperset(workload.operations)
    ):
        return workload
    speaks = ", ".join(target.workloads) or "none"
    if workload is None and not any(name in (each, each.partition("/")[2]) for each in EVERY):
        raise ValueError(
            f"there is no {name!r}; target {target.name} speaks: {speaks}; or give FILE.py:NAME"
        )
    shown = name if workload is None else workload.name
    raise ValueError(f"target {target.name} does not speak {shown}; it speaks: {speaks}")
