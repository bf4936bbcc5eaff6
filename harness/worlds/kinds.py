"""The worlds that a test can run in: an explicit table, each imported when it is chosen."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module

from dynamesis.harness.results.documents import JsonObject
from dynamesis.harness.results.results import Folder
from dynamesis.harness.worlds.observer import Observer
from dynamesis.harness.worlds.options import PROCESSES, SIMULATED, TestOptions

#: Runs all phases of a test into its folder, and completes test.json; False when the test was
#: stopped so hard that it is not to be judged.
Phases = Callable[[TestOptions, Folder, JsonObject, Observer], bool]


@dataclass(frozen=True)
class WorldKind:
    """A world. `phases`: module:NAME of its Phases beneath `dynamesis`."""

    description: str
    phases: str

    def load(self) -> Phases:
        """Its Phases."""
        module, _, name = self.phases.partition(":")
        found: Phases = getattr(import_module(f"dynamesis.{module}"), name)
        return found


WORLDS: dict[str, WorldKind] = {
    PROCESSES: WorldKind(
        "processes on this machine, sockets, and the time of its clock",
        "harness.worlds.processes:phases",
    ),
    SIMULATED: WorldKind(
        "nodes as values, a simulated network and virtual time: target dynamo only",
        "harness.worlds.simulated.in_folder:phases",
    ),
}
