"""Workloads by name, by entry point, and by FILE.py:NAME."""

from __future__ import annotations

from importlib.metadata import entry_points

from dynamesis.cluster.plugins.objects import absolute, is_file_name, load_object
from dynamesis.workloads import WORKLOADS, Workload
from dynamesis.workloads.plain import PLAIN
from dynamesis.workloads.plain.languages import EVERY

GROUP = "dynamesis.workloads"


def load_workload(spec: str) -> Workload:
    """The workload of this name, or of FILE.py:NAME. Raises ValueError."""
    known = {**WORKLOADS, **EVERY}
    if spec in known:
        return known[spec]
    if is_file_name(spec):
        found = load_object(absolute(spec), _is_workload, "a Workload")
        assert isinstance(found, Workload)
        return found
    for point in entry_points(group=GROUP):
        if point.name == spec:
            loaded = point.load()
            if isinstance(loaded, Workload):
                return loaded
            raise ValueError(f"{spec}: {point.value} is not a Workload")
    raise ValueError(
        f"there is no {spec!r}; allowed: FILE.py:NAME, {', '.join(sorted({**WORKLOADS, **PLAIN}))}"
    )


def _is_workload(value: object) -> bool:
    return isinstance(value, Workload)
