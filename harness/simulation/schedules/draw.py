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
    MANY_NODES_SHARE,
    NODES,
    QUORUMS,
    SHARES,
    WORKLOADS,
    params,
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
from dynamesis.workloads.delete import DELETE
from dynamesis.workloads.outside import outside

#: A change of it changes what every token means (token.py).
VERSION = 3
#: How often another drawing is tried, where one makes no sense.
_TRIES = 40
#: s of load
_SHORTEST, _LONGEST = 1.5, 6.0
#: How many operations: mostly few, since a schedule costs what they cost; but what goes wrong in a
#: short while only is met where many are under way.
_FEW, _MANY, _CROWDED = (20, 90), (110, 250), 0.3
#: How many faults.
_FAULTS = {1: 2, 2: 5, 3: 5, 4: 8}
#: s that one lasts, and s between two of one family
_LENGTH, _PAUSE = (0.06, 2.5), 0.1
#: How likely one lasts for a good part of the load instead, and which part.
_LONG, _PART = 0.3, (0.3, 0.7)
#: How likely a schedule's faults keep to one machine, as most real ones do, and how often one that
#: does not is drawn again.
_ONE_MACHINE, _AGAIN = 0.5, 3
#: How likely a fault begins close to where an earlier one begins or ends, and how close (s): what
#: one leaves behind is soon mended.
_CLOSE, _DISTANCE = 0.4, 0.25
#: How likely each family is in one schedule: one of these shares.
_FAMILY_SHARES = {0.15: 2, 0.3: 4, 0.45: 2}
#: Families of which a part of that is enough: few promises rest on clocks, and none on load.
_RARER = {"clock": 0.5, "load": 0.4, "pause": 0.7}
#: How likely clocks are wrong where the last writer wins, beside what else they are.
_DATED = 0.4


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
    raise UsageError(f"nothing can be drawn: {problem}")


def _draw(seed: int, draws: RandomStream, wanted: SwarmScope) -> SimulatedSchedule:
    workload = _workload(draws, wanted.workloads)
    spec = _spec(seed, draws, workload)
    options = plan_test(replace(spec, bug=wanted.bug))
    names = wanted.nemeses or (tuple(FAMILIES) + (("none",) if draws.chance(0.1) else ()))
    liked = ("clock",) if workload.lww and wanted.nemeses is None and draws.chance(_DATED) else ()
    context = fault_context(options)
    if any(option.startswith("quorums=") for option in spec.option):
        context = replace(context, w=1)  # a request may ask for one copy: no node may forget it
    faults = _faults(draws, context, names, liked, spec.time_limit)
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
    if crowd := draws.chance(MANY_NODES_SHARE):
        nodes, n, r, w = MANY_NODES, MANY_NODES, 2, 2
    share = draws.weighted(SHARES)
    option = tuned(draws, workload, share)
    deletes = workload is DELETE or any(each.startswith("deletes=") for each in option)
    operations = draws.magnitude(*(_MANY if draws.chance(_CROWDED) or crowd else _FEW))
    limit = draws.magnitude(_SHORTEST, _LONGEST)
    many = workload.name in MANY_KEYS
    name = workload.name if workload.name in EVERY else None
    return TestSpec(
        workload=name or workload.name,
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
        keys=1 if many or crowd else draws.weighted({1: 2, 2: 3, 3: 3, 5: 2, 10: 1, 20: 1}),
        param=params(draws, nodes, n, share, deletes),
        option=option,
    )


def _own(names: tuple[str, ...]) -> dict[str, Package]:
    """The packages of a user's own among the names."""
    found = {name: outside_nemesis(name) for name in names if name not in PACKAGES}
    return {name: package for name, package in found.items() if package is not None}


def _faults(
    draws: RandomStream,
    context: FaultContext,
    names: tuple[str, ...],
    liked: tuple[str, ...],
    limit: float,
) -> tuple[Event, ...]:
    """One to four faults, of some of the families, those that are `liked` among them, and some of
    their members."""
    chosen = _members(draws, context, names, liked)
    if not chosen:
        return ()
    count = draws.weighted(_FAULTS)
    machine = context.forgetful if draws.chance(_ONE_MACHINE) else None
    free: dict[str, float] = {}
    intervals: list[FaultInterval] = []
    for _ in range(4 * count):
        if len(intervals) >= count:
            break
        member, acts = _acts(draws, context, chosen, machine)
        start = max(_start(draws, intervals, limit), free.get(member.family, 0.0))
        if start > 0.85 * limit:
            continue
        length = _length(draws, limit) / len(acts)
        for fault in acts:
            intervals.append(_interval(start, length, member, fault))
            start += length * (1 + member.gap)
        free[member.family] = start + _PAUSE
    return events_of(intervals, limit)


def _acts(
    draws: RandomStream, context: FaultContext, chosen: list[list[Member]], machine: str | None
) -> tuple[Member, list[FaultValue]]:
    """One of the members of one of the families, and what it does: if it can, to this machine."""
    for _ in range(_AGAIN):
        member = draws.choice(draws.choice(chosen))
        acts, draws.rng = member.draw(draws.rng, context)
        if machine is None or any(_hits(fault, machine) for fault in acts):
            break
    return member, acts


def _hits(fault: FaultValue, machine: str) -> bool:
    """Whether a fault concerns this machine more than others."""
    grudge = getattr(fault, "grudge", None)
    if isinstance(grudge, list) and grudge:
        return machine in min(grudge, key=len)
    links = getattr(fault, "links", None)
    if links is not None:
        return all(machine in link.rpartition("-") for link in links)
    return machine in getattr(fault, "nodes", ())


def _length(draws: RandomStream, limit: float) -> float:
    """s that a fault lasts."""
    if draws.chance(_LONG):
        return draws.uniform(*_PART) * limit
    return min(draws.magnitude(*_LENGTH), 0.6 * limit)


def _start(draws: RandomStream, earlier: list[FaultInterval], limit: float) -> float:
    """s after the load began: anywhere, or close to where another fault begins or ends."""
    if earlier and draws.chance(_CLOSE):
        other = draws.choice(earlier)
        at = draws.choice((other.start, other.stop)) / 1000
        return max(0.0, at + draws.uniform(-_DISTANCE, _DISTANCE))
    return draws.uniform(0.02, 0.75) * limit


def _interval(start: float, length: float, member: Member, fault: FaultValue) -> FaultInterval:
    return FaultInterval(round(1000 * start), round(1000 * (start + length)), member, fault)


def _members(
    draws: RandomStream, context: FaultContext, names: tuple[str, ...], liked: tuple[str, ...]
) -> list[list[Member]]:
    """Some members of some packages, by family, each as often as its weight; none for `none`."""
    own = _own(names)
    able = [name for name in names if name == "none" or _able(name, context, own)]
    if not able:
        possible(names, context, own)  # raises Impossible with the reason
    share = draws.weighted(_FAMILY_SHARES)
    some = [name for name in able if draws.chance(share * _RARER.get(name, 1.0))]
    some = [*(some or [draws.choice(able)]), *liked]
    picked = [name for name in dict.fromkeys(some) if name != "none"]
    families = possible(picked, context, own) if picked else {}
    members = [draws.some(each, 0.5) for each in families.values()]
    return [[member for member in each for _ in range(member.weight)] for each in members]


def _able(name: str, context: FaultContext, own: dict[str, Package]) -> bool:
    try:
        return bool(possible((name,), context, own))
    except Impossible:
        return False
