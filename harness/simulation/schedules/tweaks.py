"""What of the simulated world itself is drawn: its Tweaks, as plain data.

Three strategies beside the faults: networks and disks of another speed, rare delays at named
points ("buggify"), and links of which a few are far behind all others (PCT). A schedule has
some of them or none.
"""

from __future__ import annotations

from dynamesis.checkers.history.op import JsonObject
from dynamesis.harness.simulation.schedules.dice import Dice
from dynamesis.harness.worlds.simulated.tweaks import POINTS, Tweaks

#: s; least and most that a message, and a batch of a disk, takes
_LATENCIES = ((0.0002, 0.002), (0.0001, 0.02), (0.001, 0.1), (0.02, 0.03))
_FSYNCS = ((0.0001, 0.001), (0.001, 0.02), (0.01, 0.15))
#: how likely each of these differs from the default
_SPEED, _POINTS, _PRIORITIES = 0.4, 0.3, 0.15
#: how likely a point is one of a schedule's, and how often it strikes then
_POINT, _OFTEN = 0.15, (0.005, 0.2)


def draw_tweaks(dice: Dice) -> JsonObject:
    """Fields of Tweaks that are not the default, as `Tweaks.to_dict` has them."""
    given: JsonObject = {}
    if dice.chance(_SPEED):
        given["latency"] = dice.choice(_LATENCIES)
    if dice.chance(_SPEED):
        given["fsync"] = dice.choice(_FSYNCS)
    if dice.chance(_POINTS):
        named = dice.some(tuple(POINTS), _POINT)
        given["points"] = {name: dice.magnitude(*_OFTEN) for name in named}
    if dice.chance(_PRIORITIES):
        given["priorities"] = dice.between(1, 4)
    return Tweaks(**given).to_dict()
