"""Nemeses: what breaks the cluster, when, and how it is healed and proved.

context = FaultContext.draw(nodes, links.kinds, seed)
source = FaultTimeline(plan(["cut", "kill"], context, seed, limit=10.0))
nemesis = Nemesis(system, links, folder / "ledger.jsonl")
"""

from dynamesis.harness.nemesis.catalogue import PACKAGES, possible
from dynamesis.harness.nemesis.libfaketime import CLOCKS
from dynamesis.harness.nemesis.nemesis import Nemesis
from dynamesis.harness.nemesis.packages import FaultContext, Impossible, Package
from dynamesis.harness.nemesis.schedule import Event, FaultTimeline, aimed_keys, newcomers, plan

__all__ = [
    "CLOCKS",
    "PACKAGES",
    "Event",
    "FaultContext",
    "FaultTimeline",
    "Impossible",
    "Nemesis",
    "Package",
    "aimed_keys",
    "newcomers",
    "plan",
    "possible",
]
