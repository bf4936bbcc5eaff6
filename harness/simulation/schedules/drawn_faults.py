"""The faults of a schedule: one to four, close together or far apart, often all of one machine."""

from __future__ import annotations

from dynamesis.harness.nemesis import Event, FaultContext
from dynamesis.harness.nemesis.catalogue import PACKAGES, possible
from dynamesis.harness.nemesis.faults import FaultValue
from dynamesis.harness.nemesis.packages import Member, Package
from dynamesis.harness.nemesis.schedule import FaultInterval, events_of
from dynamesis.harness.simulation.schedules.random_stream import RandomStream
from dynamesis.harness.simulation.schedules.strategies import Strategy
from dynamesis.harness.worlds.extensions import outside_nemesis

#: How many faults.
_FAULTS = {1: 2, 2: 5, 3: 5, 4: 8}
#: s that one lasts, and s between two of one family
_LENGTH, _PAUSE = (0.06, 2.5), 0.1
#: How likely one lasts for a good part of the load instead, how likely where the membership changes
#: too, and which part.
_LONG, _LONG_BESIDE, _PART = 0.3, 0.7, (0.3, 0.7)
#: How likely a schedule's faults keep to one machine, as most real ones do, and how often one that
#: does not is drawn again.
_ONE_MACHINE, _AGAIN = 0.5, 3
#: How likely a fault begins close to where an earlier one begins or ends, and how close (s): what
#: one leaves behind is soon mended. And how likely one that does not begins while another lasts:
#: what one brings about may be there only as long. A change of the membership does so more often:
#: it soon ends by itself, and what it may lose is on its way only as long.
_CLOSE, _DISTANCE, _INSIDE, _CHANGE_INSIDE = 0.4, 0.25, 0.35, 0.7
#: Families of which a part of what is drawn is enough: few promises rest on clocks, and none on
#: load.
_RARER = {"clock": 0.5, "load": 0.4, "pause": 0.7}


def _own(names: tuple[str, ...]) -> dict[str, Package]:
    """The packages of a user's own among the names."""
    found = {name: outside_nemesis(name) for name in names if name not in PACKAGES}
    return {name: package for name, package in found.items() if package is not None}


def draw_faults(
    draws: RandomStream,
    context: FaultContext,
    names: tuple[str, ...],
    liked: tuple[str, ...],
    limit: float,
    strategy: Strategy,
) -> tuple[Event, ...]:
    """One to four faults, of some of the families, and some of their members; the first of them of
    those that are `liked`."""
    chosen = _members(draws, context, names, liked, strategy)
    if not chosen:
        return ()
    count = draws.weighted(_FAULTS)
    machine = context.forgetful if draws.chance(_ONE_MACHINE) else None
    free: dict[str, float] = {}
    intervals: list[FaultInterval] = []
    every, first = list(chosen.values()), [chosen[name] for name in liked if name in chosen]
    drawn = [_acts(draws, context, [each], machine) for each in first]
    drawn += [_acts(draws, context, every, machine) for _ in range(4 * count - len(first))]
    drawn[:count] = sorted(drawn[:count], key=_is_change)
    long = _LONG_BESIDE if any(map(_is_change, drawn[:count])) else _LONG
    for member, acts in drawn:
        if len(intervals) >= count:
            break
        start = max(_start(draws, intervals, limit, member), free.get(member.family, 0.0))
        if start > 0.85 * limit:
            continue
        length = _length(draws, limit, long) / len(acts)
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


def _length(draws: RandomStream, limit: float, long: float) -> float:
    """s that a fault lasts: as likely as `long` for a good part of the load."""
    if draws.chance(long):
        return draws.uniform(*_PART) * limit
    return min(draws.magnitude(*_LENGTH), 0.6 * limit)


def _is_change(drawn: tuple[Member, list[FaultValue]]) -> bool:
    """Whether it changes the membership: such come last, when what they may meet is known."""
    return drawn[0].lasts


def _start(
    draws: RandomStream, earlier: list[FaultInterval], limit: float, member: Member
) -> float:
    """s after the load began: anywhere, or close to where another fault begins or ends, or while
    one lasts."""
    if earlier and member.lasts and draws.chance(_CHANGE_INSIDE):
        other = draws.choice(earlier)
        return draws.uniform(other.start / 1000, other.stop / 1000)
    if earlier and draws.chance(_CLOSE):
        other = draws.choice(earlier)
        at = draws.choice((other.start, other.stop)) / 1000
        return max(0.0, at + draws.uniform(-_DISTANCE, _DISTANCE))
    if earlier and draws.chance(_INSIDE):
        other = draws.choice(earlier)
        return draws.uniform(other.start / 1000, other.stop / 1000)
    return draws.uniform(0.02, 0.75) * limit


def _interval(start: float, length: float, member: Member, fault: FaultValue) -> FaultInterval:
    return FaultInterval(round(1000 * start), round(1000 * (start + length)), member, fault)


def _members(
    draws: RandomStream,
    context: FaultContext,
    names: tuple[str, ...],
    liked: tuple[str, ...],
    strategy: Strategy,
) -> dict[str, list[Member]]:
    """Some members of some packages, by family, each as often as its weight; none for `none`."""
    own = _own(names)
    able = [name for name in names if name == "none" or _able(name, context, own)]
    if not able:
        possible(names, context, own)  # raises Impossible with the reason
    share = draws.weighted(strategy.families)
    some = [name for name in able if draws.chance(share * _RARER.get(name, 1.0))]
    some = [*(some or [draws.choice(able)]), *liked]
    picked = [name for name in dict.fromkeys(some) if name != "none"]
    families = possible(picked, context, own) if picked else {}
    members = {family: draws.some(each, strategy.members) for family, each in families.items()}
    return {
        family: [member for member in each for _ in range(member.weight)]
        for family, each in members.items()
    }


def _able(name: str, context: FaultContext, own: dict[str, Package]) -> bool:
    """Whether one of its members can be done here."""
    package = own.get(name) or PACKAGES.get(name)
    members = () if package is None else package.members
    return any(member.why_not(context) is None for member in members)
