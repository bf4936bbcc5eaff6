"""Draws small schedules from seeds: a cluster of 3 to 7 nodes, 20 to 200 operations, one to
four faults, each schedule without most of the features that there are (swarm testing).

The same seed gives the same schedule on every machine. Nothing here knows what is planted.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from dynamesis.cluster.zoo import BUGS
from dynamesis.harness.generators import Rng
from dynamesis.harness.nemesis import Event, FaultContext
from dynamesis.harness.nemesis.catalogue import FAMILIES, PACKAGES, possible
from dynamesis.harness.nemesis.faults import FaultValue
from dynamesis.harness.nemesis.packages import Impossible, Member, Package
from dynamesis.harness.nemesis.schedule import FaultInterval, events_of
from dynamesis.harness.simulation.schedules.features import (
    HASTY,
    MANY_KEYS,
    MANY_NODES,
    NODES,
    PARAM_SHARE,
    PARAMS,
    QUORUMS,
    WORKLOADS,
    tuned,
)
from dynamesis.harness.simulation.schedules.random_stream import RandomStream
from dynamesis.harness.simulation.schedules.schedule import SimulatedSchedule
from dynamesis.harness.simulation.schedules.tweaks import draw_tweaks
from dynamesis.harness.usage.exits import UsageError
from dynamesis.harness.worlds.extensions import outside_nemesis
from dynamesis.harness.worlds.options import SIMULATED, fault_context, plan_test
from dynamesis.harness.worlds.test_spec import TestSpec
from dynamesis.workloads import WORKLOADS as EVERY
from dynamesis.workloads import Workload
from dynamesis.workloads.outside import outside

#: A change of it changes what every token means (token.py).
VERSION = 2
#: How often another drawing is tried, where one makes no sense.
_TRIES = 40
#: s of load
_SHORTEST, _LONGEST = 1.5, 6.0
_LEAST, _MOST = 20, 200
#: How many faults.
_FAULTS = {1: 3, 2: 8, 3: 6, 4: 4}
#: s that one lasts, and s between two of one family
_LENGTH, _PAUSE = (0.15, 2.5), 0.1


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
    """By the table; names that it lacks come last."""
    known = {name: at for at, name in enumerate(table)}
    return tuple(sorted(dict.fromkeys(names), key=lambda name: known.get(name, len(known))))


def draw(seed: int, wanted: SwarmScope = SwarmScope()) -> SimulatedSchedule:
    """The schedule of this seed. Raises UsageError where what is wanted cannot be."""
    rng, problem = Rng(seed).split("swarm"), None
    for attempt in range(_TRIES):
        try:
            return _draw(seed, RandomStream(rng.split(attempt)), wanted)
        except (UsageError, Impossible) as senseless:
            problem = senseless
    raise UsageError(
        "--workload, --nemesis, --bug, --param: no schedule can be drawn for all that is given "
        f"({problem}); leave one out"
    )


def _draw(seed: int, draws: RandomStream, wanted: SwarmScope) -> SimulatedSchedule:
    workload = _workload(draws, wanted.workloads)
    spec = _spec(seed, draws, workload)
    options = plan_test(replace(spec, bug=wanted.bug))
    names = wanted.nemeses or (tuple(FAMILIES) + (("none",) if draws.chance(0.1) else ()))
    context = fault_context(options)
    if any(option.startswith("quorums=") for option in spec.option):
        context = replace(context, w=1)  # a request may ask for one copy: no node may forget it
    faults = _faults(draws, context, names, spec.time_limit)
    if any(param.startswith("weights=") for param in spec.param) and any(
        event.f.endswith("-membership") for event in faults
    ):
        raise Impossible("too few nodes may be left for the weights of the others")
    hasty = any(param.startswith(HASTY) for param in spec.param)
    tweaks = draw_tweaks(draws, hasty)
    return SimulatedSchedule.planned(
        replace(spec, nemesis=None, bug=wanted.bug), options, faults, tweaks
    )


def _workload(draws: RandomStream, names: tuple[str, ...] | None) -> Workload:
    if names is None:
        return EVERY[draws.weighted(WORKLOADS)]
    name = draws.choice(names)
    found = EVERY.get(name) or outside(name)
    if found is None:
        raise UsageError(f"--workload: there is no {name!r}; one of: {', '.join(EVERY)}")
    return found


def _spec(seed: int, draws: RandomStream, workload: Workload) -> TestSpec:
    n, r, w = draws.weighted(QUORUMS)
    nodes = max(n, draws.weighted(NODES))
    if draws.chance(0.02):
        nodes, n, r, w = MANY_NODES, MANY_NODES, 2, 2
    operations = draws.magnitude(_LEAST, _MOST)
    limit = draws.magnitude(_SHORTEST, _LONGEST)
    many = workload.name in MANY_KEYS
    name = workload.name if workload.name in EVERY else None
    return TestSpec(
        workload=name or workload.name,
        nodes=nodes,
        n=n,
        r=r,
        w=w,
        strict=draws.chance(0.2),
        world=SIMULATED,
        seed=seed,
        nemesis=("none",),
        time_limit=round(limit, 1),
        rate=round(operations / limit, 1),
        concurrency=draws.between(2, 8) if n < MANY_NODES else 2 * MANY_NODES,
        keys=1 if many else draws.weighted({1: 2, 2: 3, 3: 3, 5: 2, 10: 1, 20: 1}),
        param=_params(draws, nodes, n),
        option=tuned(draws, workload),
    )


def _params(draws: RandomStream, nodes: int, n: int) -> tuple[str, ...]:
    chosen = {name: draws.chance(PARAM_SHARE) for name in PARAMS}
    drawn = {name: PARAMS[name](draws, nodes) for name, kept in chosen.items() if kept}
    if drawn.get("durability") != "buffered":
        for name in ("buffer_interval", "buffer_rows", "durable_replicas"):
            drawn.pop(name, None)
    if n < 2:
        drawn.pop("durable_replicas", None)
        drawn.pop("zones", None)
    drawn.setdefault("partitions", 16)
    return tuple(f"{name}={value}" for name, value in drawn.items())


def _own(names: tuple[str, ...]) -> dict[str, Package]:
    """The packages of a user's own among the names."""
    found = {name: outside_nemesis(name) for name in names if name not in PACKAGES}
    return {name: package for name, package in found.items() if package is not None}


def _faults(
    draws: RandomStream, context: FaultContext, names: tuple[str, ...], limit: float
) -> tuple[Event, ...]:
    """One to four faults, of some of the families and some of their members."""
    chosen = _members(draws, context, names)
    if not chosen:
        return ()
    count = draws.weighted(_FAULTS)
    free: dict[str, float] = {}
    intervals: list[FaultInterval] = []
    for _ in range(4 * count):
        if len(intervals) >= count:
            break
        member = draws.choice(chosen)
        acts, draws.rng = member.draw(draws.rng, context)
        start = max(draws.uniform(0.02, 0.75) * limit, free.get(member.family, 0.0))
        length = min(draws.magnitude(*_LENGTH), 0.6 * limit)
        if start > 0.85 * limit:
            continue
        for fault in acts:
            intervals.append(_interval(start, length, member, fault))
            start += length * (1 + member.gap)
        free[member.family] = start + _PAUSE
    return events_of(intervals, limit)


def _interval(start: float, length: float, member: Member, fault: FaultValue) -> FaultInterval:
    return FaultInterval(round(1000 * start), round(1000 * (start + length)), member, fault)


def _members(draws: RandomStream, context: FaultContext, names: tuple[str, ...]) -> list[Member]:
    """Some members of some packages, each as often as its weight; none for `none`."""
    own = _own(names)
    able = [name for name in names if name == "none" or _able(name, context, own)]
    if not able:
        possible(names, context, own)  # raises Impossible with the reason
    picked = [name for name in draws.some(able, 0.4) if name != "none"]
    families = possible(picked, context, own) if picked else {}
    members = [member for each in families.values() for member in draws.some(each, 0.5)]
    return [member for member in members for _ in range(member.weight)]


def _able(name: str, context: FaultContext, own: dict[str, Package]) -> bool:
    try:
        return bool(possible((name,), context, own))
    except Impossible:
        return False
