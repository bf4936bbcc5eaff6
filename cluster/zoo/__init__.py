"""Planted bugs: each replaces one method of a freshly built node, and nothing else.

None of this is imported by a node that was not told to (`bugs` in its configuration).
To add a bug, write a function that takes a node and replaces a method, and add a line
to the table.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from cluster.core.node import Node

from . import versions

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


def plant(names: Iterable[str], node_class: type[Node]) -> type[Node]:
    """A node class with the named bugs planted. Raises ValueError for a name that is not
    in the table."""
    bugs = []
    for name in names:
        if name not in BUGS:
            raise ValueError(f"no bug is called {name!r}; there are {', '.join(BUGS)}")
        bugs.append(BUGS[name])

    class Planted(node_class):  # type: ignore[misc, valid-type]
        def __init__(self, *args: object, **kwargs: object) -> None:
            super().__init__(*args, **kwargs)
            for bug in bugs:
                bug.plant(self)

    return Planted
