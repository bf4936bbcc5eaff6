"""How a schedule is made up of all that there is to be drawn.

`SWARM` is what swarms use (swarm testing, Groce et al. 2012), but for one schedule in ten, which
leaves nothing out: what needs much at a time is met by those. The others are there to be compared
with it (tests/bench/strategies.py): `RANDOM` leaves nothing out, as usual random testing does, and
`PRIORITIES` adds to that what PCT does (Burckhardt et al. 2010): some links are far behind all
others, and which these are changes a few times.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from dynamesis.harness.simulation.schedules.features import SHARES

#: What of the simulated world itself is drawn: nothing, priorities of links only, or some of all.
World = Literal["steady", "priorities", "some"]


@dataclass(frozen=True)
class Strategy:
    """Which part of all features a schedule has.

    features: how likely each parameter and each option is: one of these, each so likely
    families: how likely each family of faults is, likewise
    members: how likely each member of such a family is
    world: what of the network and the disks is drawn
    whole: how likely a schedule leaves nothing out instead, as RANDOM does
    """

    features: Mapping[float, int]
    families: Mapping[float, int]
    members: float
    world: World
    whole: float = 0.0


SWARM = Strategy(SHARES, {0.15: 2, 0.3: 4, 0.45: 2}, 0.5, "some", 0.1)
RANDOM = Strategy({0.5: 1}, {1.0: 1}, 1.0, "steady")
PRIORITIES = Strategy({0.5: 1}, {1.0: 1}, 1.0, "priorities")

STRATEGIES = {"swarm": SWARM, "random": RANDOM, "priorities": PRIORITIES}
