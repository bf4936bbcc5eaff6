"""What of the simulated world itself is drawn: its Tweaks, as plain data.

Three strategies beside the faults: networks and disks of another speed, rare delays at named
points ("buggify"), and links of which a few are far behind all others (PCT). A schedule has
some of them or none.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dynamesis.checkers.history.op import JsonObject
from dynamesis.harness.simulation.schedules.random_stream import RandomStream
from dynamesis.harness.simulation.schedules.strategies import World
from dynamesis.harness.worlds.simulated.tweaks import POINTS, Tweaks

#: what may be given
TWEAKS = tuple(Tweaks.__dataclass_fields__)

#: s; least and most that a message, and a batch of a disk, takes
_LATENCIES = ((0.0002, 0.002), (0.0001, 0.02), (0.001, 0.1), (0.02, 0.03))
_FSYNCS = ((0.0001, 0.001), (0.001, 0.02), (0.01, 0.15))
#: of these the first so many where each write is synced alone: by the last, some hundred keys to
#: be repaired would take minutes
_ALONE = 2
#: how likely each of these differs from the default
_SPEED, _POINTS, _PRIORITIES = 0.4, 0.3, 0.15
#: how often priorities change
_CHANGES = (1, 4)
#: how likely a point is one of a schedule's, and how often it strikes then
_POINT, _OFTEN = 0.15, (0.005, 0.2)
#: ... where a test has few occasions for it
_SELDOM = {"meta-late": (0.05, 0.8), "hints-late": (0.02, 0.5), "reap-held": (0.02, 0.5)}


def draw_tweaks(
    draws: RandomStream, hasty: bool, world: World, *, synced_alone: bool = False
) -> JsonObject:
    """Fields of Tweaks that are not the default. `hasty`: nodes do not wait long for each other, so
    that the network and the disks are as fast as always; `synced_alone`: each write waits for a
    sync of its own."""
    given: JsonObject = {}
    if hasty or world == "steady":
        return given
    if world == "priorities":
        return {"priorities": draws.between(*_CHANGES)}
    if draws.chance(_SPEED):
        given["latency"] = list(draws.choice(_LATENCIES))
    if draws.chance(_SPEED):
        given["fsync"] = list(draws.choice(_FSYNCS[:_ALONE] if synced_alone else _FSYNCS))
    if draws.chance(_POINTS):
        named = draws.some(tuple(POINTS), _POINT)
        given["points"] = {name: draws.magnitude(*_SELDOM.get(name, _OFTEN)) for name in named}
    if "latency" not in given and draws.chance(_PRIORITIES):
        given["priorities"] = draws.between(*_CHANGES)
    return given


def tweaks_of(given: Mapping[str, Any]) -> Tweaks:
    """From such fields. Raises ValueError for one that is not known, or makes no sense."""
    return Tweaks.of(given)
