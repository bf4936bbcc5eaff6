"""Nemeses: what breaks the cluster, when, and how it is healed and proved.

arena = FaultContext.draw(nodes, links.kinds, seed)
source = Timeline(plan(["cut", "kill"], arena, seed, limit=10.0))
nemesis = Nemesis(system, links, folder / "ledger.jsonl")
"""

from dynamesis.harness.nemesis.catalogue import PACKAGES, possible
from dynamesis.harness.nemesis.libfaketime import CLOCKS
from dynamesis.harness.nemesis.nemesis import Nemesis
from dynamesis.harness.nemesis.packages import FaultContext, Impossible, Package
from dynamesis.harness.nemesis.schedule import Event, Timeline, newcomers, plan

__all__ = [
    "CLOCKS",
    "PACKAGES",
    "Event",
    "FaultContext",
    "Impossible",
    "Nemesis",
    "Package",
    "Timeline",
    "newcomers",
    "plan",
    "possible",
]
