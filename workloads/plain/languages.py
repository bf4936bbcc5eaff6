"""Which workload a name means, where two languages have one of that name.

A target lists what its clients speak (Target.workloads). `register` there is the workload without
contexts, `dynamo/register` the one with get, put, delete and contexts. What a user gives as
`--workload` is looked up among these: first as it is listed, then by what comes after the slash.
So `register` means with each target what that target can do, and with one that speaks both
languages the one without contexts.
"""

from __future__ import annotations

from collections.abc import Iterable

from dynamesis.workloads import WORKLOADS
from dynamesis.workloads.base import DYNAMO, Workload
from dynamesis.workloads.plain import PLAIN

#: Every workload, by the name that Target.workloads has.
EVERY: dict[str, Workload] = {
    **{f"{DYNAMO}/{name}": workload for name, workload in WORKLOADS.items()},
    **PLAIN,
}


def spoken(listed: Iterable[str]) -> dict[str, Workload]:
    """By what `--workload` takes, the workloads that a target lists: full names, and short ones
    where they are free. Raises ValueError for a name that there is not."""
    names = tuple(listed)
    for name in names:
        if name not in EVERY:
            raise ValueError(f"unknown workload {name!r}: known are {', '.join(EVERY)}")
    short = {name.partition("/")[2]: EVERY[name] for name in names if "/" in name}
    return {**short, **{name: EVERY[name] for name in names}}


def named(workload: str, model: str) -> Workload | None:
    """The workload that test.json names, with its model; None if it is of a user's own."""
    return (WORKLOADS if model == DYNAMO else PLAIN).get(workload)
