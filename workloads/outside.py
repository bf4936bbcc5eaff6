"""Workloads of a user's own: by FILE.py:NAME, or by an entry point of another package."""

from __future__ import annotations

from importlib.metadata import entry_points

from dynamesis.cluster.plugins.objects import absolute, is_file_name, load_object
from dynamesis.workloads.base import Workload

GROUP = "dynamesis.workloads"


def outside(name: str) -> Workload | None:
    """The workload, an instance of a class or the class; None for a name that no package
    brings. Raises ValueError."""
    if is_file_name(name):
        return _instance(load_object(absolute(name), _is_workload, "a Workload"))
    for point in entry_points(group=GROUP):
        if point.name == name:
            try:
                loaded = point.load()
            except Exception as error:
                raise ValueError(f"{name}: {point.value} cannot be loaded: {error!r}") from error
            if _is_workload(loaded):
                return _instance(loaded)
            raise ValueError(f"{name}: {point.value} is not a Workload")
    return None


def _is_workload(value: object) -> bool:
    if isinstance(value, type):
        return issubclass(value, Workload) and value is not Workload
    return isinstance(value, Workload)


def _instance(found: object) -> Workload:
    made = found() if isinstance(found, type) else found
    assert isinstance(made, Workload)
    return made
