"""Which code a node runs: an interpreter, and where it finds the package.

By default ours. A node of another version runs in another virtual environment, or with another
checkout.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

_ROOT = Path(__file__).resolve().parent.parent


@dataclass(frozen=True)
class NodeRuntime:
    """`label`: the version, as it is shown; `path`: folders that are looked in first; `other`:
    whether it is another version than ours, for which our own variables do not count."""

    label: str = ""
    python: str = sys.executable
    path: tuple[str, ...] = ()
    other: bool = False

    def arguments(self, config: Path) -> list[str]:
        """The command line of a node."""
        return self.module("dynamesis.cluster", "--config", str(config))

    def module(self, name: str, *arguments: str) -> list[str]:
        """The command line of a module of the package."""
        return [self.python, "-P", "-m", name, *arguments]

    def environment(self, ours: Mapping[str, str]) -> dict[str, str]:
        """The variables of a node: `ours`, with its path for Python."""
        inherited = "" if self.other else ours.get("PYTHONPATH", "")
        first = self.path if self.other else (str(_ROOT),)
        path = os.pathsep.join(filter(None, [*first, inherited]))
        rest = {name: value for name, value in ours.items() if name != "PYTHONPATH"}
        return rest | ({"PYTHONPATH": path} if path else {})
