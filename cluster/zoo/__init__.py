"""Planted bugs: each replaces one method of a freshly built node, and nothing else.

None of this is imported by a node that was not told to (`bugs` in its configuration).
To add a bug, write a function that takes a node and replaces a method, and add a line
to the table.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from difflib import get_close_matches

from cluster.core.node import Node

from . import outside, versions

Plant = Callable[[Node], None]


@dataclass(frozen=True)
class Bug:
    """A bug, what it breaks, and the test that should show it."""

    plant: Plant
    mechanism: str
    nemesis: str
    workload: str
    anomalies: tuple[str, ...]


BUGS: dict[str, Bug] = {
    "ctx-only-increment": Bug(
        versions.ctx_only_increment,
        "the event is the context's plus 1; the local clock is ignored",
        nemesis="none",
        workload="register",
        anomalies=("lost-write",),
    ),
    "merged-clock-siblings": Bug(
        versions.merged_clock_siblings,
        "siblings share one merged clock: a write replaces all of them or none",
        nemesis="none",
        workload="register",
        anomalies=("false-sibling",),
    ),
    "repair-overwrites": Bug(
        versions.repair_overwrites,
        "read repair overwrites a replica's record instead of syncing into it",
        nemesis="cut",
        workload="register",
        anomalies=("lost-write",),
    ),
}


def resolve(name: str) -> Plant:
    """What plants the bug of this name in the table, or of FILE.py:NAME outside of it.
    Raises ValueError with what is wrong and what is allowed."""
    if ":" in name:
        return outside.load(name)
    if name not in BUGS:
        near = get_close_matches(name, BUGS, n=1)
        hint = f" (did you mean {near[0]}?)" if near else ""
        raise ValueError(
            f"there is no {name!r}{hint}; allowed: FILE.py:NAME, {', '.join(sorted(BUGS))}"
        )
    return BUGS[name].plant


def plant(names: Iterable[str], node_class: type[Node]) -> type[Node]:
    """A node class with the named bugs planted. Raises ValueError as `resolve` does."""
    plants = [resolve(name) for name in names]

    class Planted(node_class):  # type: ignore[misc, valid-type]
        def __init__(self, *args: object, **kwargs: object) -> None:
            super().__init__(*args, **kwargs)
            for each in plants:
                each(self)

    return Planted
