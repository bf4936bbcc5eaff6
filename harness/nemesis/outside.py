"""Nemeses of a user's own: FILE.py:NAME, or an entry point `dynamesis.nemeses`. Each is a Package,
or a Member, named after the family whose handler injects it, such as cut.mine."""

from __future__ import annotations

from importlib.metadata import entry_points

from dynamesis.cluster.plugins.objects import absolute, is_file_name, load_object
from dynamesis.harness.nemesis.packages import Member, Package

GROUP = "dynamesis.nemeses"


def outside_nemesis(name: str) -> Package | None:
    """The nemesis; None for a name that no package brings. Raises ValueError."""
    if is_file_name(name):
        return _package(load_object(absolute(name), _is_nemesis, "a Package or a Member"))
    for point in entry_points(group=GROUP):
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
