"""Draws small schedules from seeds: a cluster of 3 to 7 nodes, 30 to 160 operations, one to
four faults, each schedule without most of the features that there are (swarm testing).

The same seed gives the same schedule on every machine. Nothing here knows what is planted.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from dynamesis.cluster.zoo import BUGS
from dynamesis.harness.generators import Rng
from dynamesis.harness.nemesis.catalogue import FAMILIES, PACKAGES
from dynamesis.harness.nemesis.packages import FaultContext, Impossible
from dynamesis.harness.simulation.schedules.drawn_faults import draw_faults
from dynamesis.harness.simulation.schedules.features import (
    HASTY,
    KEYS,
    KEYS_OF_ONE_COPY,
    MANY_KEYS,
    MANY_NODES,
    MANY_NODES_SHARE,
    NODES,
    QUORUMS,
    WORKLOADS,
    params,
    tuned,
)
from dynamesis.harness.simulation.schedules.random_stream import RandomStream
from dynamesis.harness.simulation.schedules.schedule import SimulatedSchedule
from dynamesis.harness.simulation.schedules.strategies import RANDOM, SWARM, Strategy
from dynamesis.harness.simulation.schedules.tweaks import draw_tweaks
from dynamesis.harness.usage.exits import UsageError
from dynamesis.harness.worlds.options import SIMULATED, fault_context, plan_test
from dynamesis.harness.worlds.test_spec import TestSpec
from dynamesis.workloads import WORKLOADS as EVERY
from dynamesis.workloads import Workload
from dynamesis.workloads.delete import DELETE
from dynamesis.workloads.outside import outside

#: A change of it changes what every token means (token.py).
VERSION = 8
#: How often another drawing is tried, where one makes no sense.
_TRIES = 40
#: s of load: what a schedule finds hangs little on how long it is, and every second has its gossip,
#: probes and exchanges
_SHORTEST, _LONGEST = 0.8, 3.0
#: How many operations: mostly few, since a schedule costs what they cost; but what goes wrong in a
#: short while only is met where many are under way. They are cheap where a key has one copy, and
#: of what a node keeps or moves for another more is there then.
_FEW, _MANY, _CROWDED, _CROWDED_ONE_COPY = (30, 60), (100, 160), 0.06, 0.3
#: ... and where there are many nodes, of which each is to have written.
_BY_MANY_NODES = (60, 100)
#: How likely clocks are wrong where the last writer wins, beside what else they are; how likely
#: processes are killed where nodes acknowledge from memory; and how likely the membership changes
#: where a key has one copy, which then moves, while something else is wrong.
_DATED, _FORGOTTEN, _MOVED = 0.4, 0.8, 0.7
#: What else, and how likely each is: most of what is kept for a node is there while it is down.
_BESIDE = {"kill": 4, "link": 2, "cut": 1, "pause": 1}


@dataclass(frozen=True)
class SwarmScope:
    """What a swarm is to keep to. `workloads`, `nemeses`: None: all there are; `bug`: what is
    planted in every node of every schedule, of which the drawing knows nothing."""

    workloads: tuple[str, ...] | None = None
    nemeses: tuple[str, ...] | None = None
    bug: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """The order of names means nothing, so that it is always the same."""
        for name, table in (("workloads", EVERY), ("nemeses", PACKAGES), ("bug", BUGS)):
            given = getattr(self, name)
            if given is not None:
                object.__setattr__(self, name, _ordered(given, tuple(table)))


def _ordered(names: tuple[str, ...], table: tuple[str, ...]) -> tuple[str, ...]:
    """By the table; names that it lacks come last, in an order of their own."""
    known = {name: at for at, name in enumerate(table)}
    return tuple(sorted(set(names), key=lambda name: (known.get(name, len(known)), name)))


def draw(
    seed: int, wanted: SwarmScope = SwarmScope(), strategy: Strategy = SWARM
) -> SimulatedSchedule:
    """The schedule of this seed. Raises UsageError where what is wanted cannot be."""
    rng, problem = Rng(seed).split("swarm"), None
    for attempt in range(_TRIES):
        try:
            return _draw(seed, RandomStream(rng.split(attempt)), wanted, strategy)
        except (UsageError, Impossible) as senseless:
            problem = senseless
    raise UsageError(
        "--workload, --nemesis, --bug: no schedule can be drawn for all that is given "
        f"({problem}); leave one out"
    )


def _draw(
    seed: int, draws: RandomStream, wanted: SwarmScope, strategy: Strategy
) -> SimulatedSchedule:
    if strategy.whole and draws.chance(strategy.whole):
        strategy = RANDOM
    name, workload = _workload(draws, wanted.workloads)
    spec = _spec(seed, draws, name, workload, strategy)
    options = plan_test(replace(spec, bug=wanted.bug))
    names = wanted.nemeses or (tuple(FAMILIES) + (("none",) if draws.chance(0.1) else ()))
    context = fault_context(options)
    liked = _liked(draws, workload, context) if wanted.nemeses is None else ()
    faults = draw_faults(draws, context, names, liked, spec.time_limit, strategy)
    if any(param.startswith("weights=") for param in spec.param) and any(
        event.f.endswith("-membership") for event in faults
    ):
        raise Impossible("too few nodes may be left for the weights of the others")
    hasty = any(param.startswith(HASTY) for param in spec.param)
    alone = "durability=each" in spec.param
    tweaks = draw_tweaks(draws, hasty, strategy.world, synced_alone=alone)
    return SimulatedSchedule.planned(
        replace(spec, nemesis=None, bug=wanted.bug), options, faults, tweaks
    )


def _liked(draws: RandomStream, workload: Workload, context: FaultContext) -> tuple[str, ...]:
    """The families without which what this workload and cluster risk is hardly met."""
    dated = workload.lww and draws.chance(_DATED)
    forgotten = context.buffered and context.w > 1 and draws.chance(_FORGOTTEN)
    moved = context.n == 1 and context.anti_entropy and draws.chance(_MOVED)
    return (
        (("clock",) if dated else ())
        + (("kill",) if forgotten else ())
        + (("membership", draws.weighted(_BESIDE)) if moved else ())
    )


def _workload(draws: RandomStream, names: tuple[str, ...] | None) -> tuple[str, Workload]:
    """The workload, and the name by which a test is given it: one of a user's own may be called
    what another is called."""
    name = draws.weighted(WORKLOADS) if names is None else draws.choice(names)
    found = EVERY.get(name) or outside(name)
    if found is None:
        raise UsageError(f"--workload: there is no {name!r}; one of: {', '.join(EVERY)}")
    return name, found


def _spec(
    seed: int, draws: RandomStream, name: str, workload: Workload, strategy: Strategy
) -> TestSpec:
    n, r, w = draws.weighted(QUORUMS)
    nodes = max(n, draws.weighted(NODES))
    if crowd := draws.chance(MANY_NODES_SHARE):
        nodes, n, r, w = MANY_NODES, MANY_NODES, 2, 2
    share = draws.weighted(strategy.features)
    option = tuned(draws, workload, share)
    deletes = workload is DELETE or any(each.startswith("deletes=") for each in option)
    crowded = draws.chance(_CROWDED if n > 1 else _CROWDED_ONE_COPY)
    operations = draws.magnitude(*(_BY_MANY_NODES if crowd else _MANY if crowded else _FEW))
    limit = draws.magnitude(_SHORTEST, _LONGEST)
    many = workload.name in MANY_KEYS
    return TestSpec(
        workload=name,
        nodes=nodes,
        n=n,
        r=r,
        w=w,
        strict=draws.chance(0.3),
        world=SIMULATED,
        seed=seed,
        nemesis=("none",),
        time_limit=round(limit, 1),
        rate=round(operations / limit, 1),
        concurrency=2 * MANY_NODES if crowd else draws.between(2, 8),
        keys=1 if many or crowd else draws.weighted(KEYS if n > 1 else KEYS_OF_ONE_COPY),
        param=params(draws, nodes, n, share, deletes),
        option=option,
    )
