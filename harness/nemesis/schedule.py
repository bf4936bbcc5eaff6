"""When each fault comes and goes: a plan drawn from the seed before the test begins.

Every family has a timeline of its own, of faults with pauses between them, drawn from a
random stream of its own. The more families, the longer the pauses: what is broken all the
time shows little. Where two families want the same process at one time, the later one
takes what is left.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

from dynamesis.checkers.history.op import JsonObject, Op
from dynamesis.harness.generators.base import PENDING, Context, Generator, Pending, Step
from dynamesis.harness.generators.rng import Rng
from dynamesis.harness.nemesis.catalogue import possible
from dynamesis.harness.nemesis.faults import (
    AimedFault,
    FaultStart,
    FaultStop,
    FaultValue,
    MembershipFault,
    NodesFault,
    WipeFault,
)
from dynamesis.harness.nemesis.packages import NEWCOMERS, FaultContext, Member, Package
from msgspec import Struct, structs

NEMESIS = "nemesis"
#: A test is at most so many units of time long; three of them make a fault and its pause.
_MOST_UNITS = 10_000


@dataclass(frozen=True)
class Event:
    """One operation of the nemesis, `at` ms after the load began; `f` as in the history."""

    at: int
    f: str
    action: FaultStart | FaultStop

    @property
    def value(self) -> JsonObject:
        """The action as it is written to files."""
        return self.action.as_value()


@dataclass(frozen=True)
class FaultInterval:
    """One fault from start to stop, in ms."""

    start: int
    stop: int
    member: Member
    fault: FaultValue


def plan(
    names: Iterable[str],
    context: FaultContext,
    seed: int,
    limit: float,
    own: Mapping[str, Package] | None = None,
) -> tuple[Event, ...]:
    """What these packages, some of a user's `own`, do in a load phase of `limit` s. A fault
    whose end would come later is left to the heal phase. Raises Impossible."""
    families = possible(tuple(names), context, own)
    rng = Rng(seed).split(NEMESIS)
    intervals = [
        interval
        for family, members in families.items()
        for interval in _timeline(members, context, rng.split(family), limit, len(families))
    ]
    return events_of(intervals, limit)


def events_of(intervals: Iterable[FaultInterval], limit: float) -> tuple[Event, ...]:
    """The operations of the nemesis for these faults, of which none is at a process that an
    earlier one still holds, in a load phase of `limit` s."""
    ordered = sorted(intervals, key=lambda interval: interval.start)
    return _events(_apart(ordered), round(limit * 1000))


def _timeline(
    members: tuple[Member, ...], context: FaultContext, rng: Rng, limit: float, families: int
) -> Iterator[FaultInterval]:
    """Faults of 1 to 3 s with pauses of 0.5 to 1.5 s in a test of 10 s; longer ones in a
    longer test, so that hints, repair and detectors get something to do. Longer ones still
    in tests of many hours: the plan is made whole, and must stay one that can be read."""
    unit = 1000 * max(min(3.0, max(0.2, math.sqrt(limit / 10))), limit / _MOST_UNITS)
    weighted = [member for member in members for _ in range(member.weight)]
    crowd = max(1, families - 1)
    now, rng = rng.uniform(0.3 * unit, crowd * unit)
    now = min(now, 0.3 * limit * 1000)
    while now + 0.5 * unit < limit * 1000:
        member, rng = rng.choice(weighted)
        acts, rng = member.draw(rng, context)
        length, rng = rng.uniform(unit, 3 * unit)
        act = length / (len(acts) + (len(acts) - 1) * member.gap)
        for number, fault in enumerate(acts):
            start = now + number * act * (1 + member.gap)
            yield FaultInterval(round(start), round(start + act), member, fault)
        pause, rng = rng.uniform(0.5 * unit * crowd, 1.5 * unit * crowd)
        now += length + pause


def _apart(intervals: Iterable[FaultInterval]) -> Iterator[FaultInterval]:
    """Without the nodes whose process another fault still holds, and without putting back a
    disk whose copying fell to that."""
    held: dict[str, int] = {}
    copied: set[str] = set()
    for interval in intervals:
        fault = interval.fault
        if not isinstance(fault, NodesFault) or not fault.nodes:
            yield interval
            continue
        free = [node for node in fault.nodes if held.get(node, -1) < interval.start]
        disk = fault.disk if isinstance(fault, WipeFault) else None
        if disk == "copied":
            copied.update(free)
        if disk == "restored":
            free = [node for node in free if node in copied]
        held |= dict.fromkeys(free, interval.stop)
        if free:
            yield replace(interval, fault=structs.replace(fault, nodes=free))


def _events(intervals: Iterable[FaultInterval], limit: int) -> tuple[Event, ...]:
    events: list[Event] = []
    for number, interval in enumerate(intervals):
        family = interval.fault.family
        start = FaultStart(number, interval.member.name, interval.fault)
        if interval.start < limit:
            events.append(Event(interval.start, f"start-{family}", start))
            if interval.stop < limit and not interval.member.lasts:
                events.append(Event(interval.stop, f"stop-{family}", start.stop))
    return in_order(events)


def newcomers(events: Iterable[Event]) -> int:
    """How many nodes may join in the course of these events."""
    starts = [event.action for event in events if isinstance(event.action, FaultStart)]
    changes = [start.fault for start in starts if isinstance(start.fault, MembershipFault)]
    return min(NEWCOMERS, sum(change.joins for change in changes))


def aimed_keys(events: Iterable[Event]) -> frozenset[str]:
    """The keys whose coordinators these events aim at."""
    starts = [event.action for event in events if isinstance(event.action, FaultStart)]
    faults = [start.fault for start in starts if isinstance(start.fault, AimedFault)]
    return frozenset(fault.key for fault in faults if fault.target and fault.key is not None)


def in_order(events: Iterable[Event]) -> tuple[Event, ...]:
    """By time; what comes at one time stays in its order."""
    return tuple(sorted(events, key=lambda event: event.at))


class FaultTimeline(Struct, frozen=True):
    """A generator of these events, none before its time. `start`: when it was first asked,
    ns. What the nemesis is too busy for in time comes as soon as it is free."""

    events: tuple[Event, ...]
    start: int | None = None

    def op(self, ctx: Context) -> Step:
        if not self.events:
            return None
        start = ctx.time if self.start is None else self.start
        event, due = self.events[0], start + self.events[0].at * 1_000_000
        begun = self if self.start is not None else structs.replace(self, start=start)
        if due > ctx.time:
            return Pending(due), begun
        if NEMESIS not in ctx.free:
            return PENDING, begun
        op = Op(type="invoke", time=ctx.time, process=NEMESIS, f=event.f, value=event.action)
        return op, structs.replace(begun, events=self.events[1:])

    def update(self, ctx: Context, event: Op) -> Generator | None:
        return self
