"""Schedules that are a little smaller than another one, likeliest first.

Each function gives the candidates of one kind; harness.simulation.schedules.shrink tries them.
None is larger than what it was made of, so that shrinking ends.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any

import msgspec
from dynamesis.harness.generators.given import Given
from dynamesis.harness.nemesis import Event
from dynamesis.harness.nemesis.faults import FaultStart, FaultValue
from dynamesis.harness.simulation.schedules.explicit import plain, renamed, without
from dynamesis.harness.simulation.schedules.schedule import SimulatedSchedule
from dynamesis.harness.worlds.test_spec import TestSpec

#: What a spec needs to be the same test.
_KEPT = ("workload", "seed", "bug", "time_limit", "links", "concurrency", "nodes", "target",
         "nemesis", "schedule", "world")  # fmt: skip
#: Keys that are tried alone.
_KEYS = 6
#: s that the load lasts after its last operation or fault
_TAIL = 0.1


def nodes(schedule: SimulatedSchedule) -> Sequence[SimulatedSchedule]:
    """With fewer nodes, down to three, and one less; faults forget those that are gone."""
    count, copies = schedule.spec.nodes or 5, schedule.spec.n
    least = max(copies, 2)
    wanted = [fewer for fewer in dict.fromkeys((least, 3, count - 1)) if least <= fewer < count]
    return [_with_nodes(schedule, fewer) for fewer in wanted]


def _with_nodes(schedule: SimulatedSchedule, count: int) -> SimulatedSchedule:
    names = [f"n{i}" for i in range(1, count + 1)]
    events = [event for event in (_among(each, names) for each in schedule.faults) if event]
    spec = replace(schedule.spec, nodes=count)
    given = schedule.operations
    if given is not None:
        given = tuple([_asking(item, names) for item in given])
    return replace(schedule, spec=spec, faults=_paired(events), operations=given)


def _asking(item: Given, names: list[str]) -> Given:
    if item.op.node is None or item.op.node in names:
        return item
    return replace(item, op=msgspec.structs.replace(item.op, node=names[0]))


def _among(event: Event, names: list[str]) -> Event | None:
    """The event with what it does to these nodes; None where that is nothing."""
    if not isinstance(event.action, FaultStart):
        return event
    fault = _fault_among(event.action.fault, names)
    if fault is None:
        return None
    action = event.action
    return replace(event, action=FaultStart(action.number, action.member, fault))


def _fault_among(fault: FaultValue, names: list[str]) -> FaultValue | None:
    changes: dict[str, Any] = {}
    for name in fault.__struct_fields__:
        value = getattr(fault, name)
        if name in ("nodes", "among") and value:
            changes[name] = [node for node in value if node in names]
        elif name == "links":
            ends = [link.rpartition("-") for link in value]
            changes[name] = [
                f"{a}-{b}" for a, _, b in ends if b in names and (a in names or a == "client")
            ]
        elif name == "grudge" and value:
            changes[name] = _grudge_among(value, names)
        elif name == "otherwise" and value is not None and value not in names:
            changes[name] = names[0]
    if any(not value for name, value in changes.items() if name != "among"):
        return None
    return msgspec.structs.replace(fault, **changes)


def _grudge_among(grudge: Any, names: list[str]) -> Any:
    if isinstance(grudge, dict):
        kept = {a: [b for b in others if b in names] for a, others in grudge.items() if a in names}
        return {a: others for a, others in kept.items() if others}
    groups = [[node for node in group if node in names] for group in grudge]
    groups = [group for group in groups if group]
    return groups if len(groups) > 1 else []


def _paired(events: list[Event]) -> tuple[Event, ...]:
    """Without the ends of what does not begin."""
    begun = {event.action.number for event in events if isinstance(event.action, FaultStart)}
    return tuple([event for event in events if event.action.number in begun])


def keys(schedule: SimulatedSchedule) -> Sequence[SimulatedSchedule]:
    """With the operations on one key alone, for each of the keys that see the most of them; and
    with all but the first half, or the last."""
    given = schedule.operations or ()
    counts = Counter(item.op.key for item in given)
    if len(counts) < 2:
        return []
    halves = [[*counts][: len(counts) // 2], [*counts][len(counts) // 2 :]]
    wanted = [*([key] for key, _ in counts.most_common(_KEYS)), *halves]
    return [_on_keys(schedule, set(kept)) for kept in wanted if len(kept) < len(counts)]


def _on_keys(schedule: SimulatedSchedule, kept: set[str | None]) -> SimulatedSchedule:
    given = schedule.operations or ()
    dropped = {number for number, item in enumerate(given) if item.op.key not in kept}
    return replace(schedule, operations=without(given, dropped))


def settings(schedule: SimulatedSchedule) -> Sequence[SimulatedSchedule]:
    """With all options at their defaults, each alone, and without each parameter and tweak."""
    spec, flags = schedule.spec, TestSpec.flags()
    defaults = {
        name: flag.default
        for name, flag in flags.items()
        if name not in _KEPT and getattr(spec, name) != flag.default
    }
    specs = [replace(spec, **defaults)] if len(defaults) > 1 else []
    specs += [replace(spec, **{name: value}) for name, value in defaults.items()]
    for name in ("param", "option"):
        given = getattr(spec, name)
        for each in given:
            changed: dict[str, Any] = {name: tuple(p for p in given if p != each)}
            specs.append(replace(spec, **changed))
    found = [replace(schedule, spec=each) for each in specs]
    if schedule.tweaks:
        found.append(replace(schedule, tweaks={}))
        found += [
            replace(schedule, tweaks={k: v for k, v in schedule.tweaks.items() if k != name})
            for name in schedule.tweaks
        ]
    return found


def clients(schedule: SimulatedSchedule) -> Sequence[SimulatedSchedule]:
    """With no more clients than do something; and all operations done by one."""
    given = schedule.operations
    if not given:
        return []
    used = renamed(given)
    count = 1 + max(item.client for item in used)
    found = []
    if count < schedule.spec.concurrency:
        spec = replace(schedule.spec, concurrency=count)
        found.append(replace(schedule, spec=spec, operations=used))
    if count > 1:
        for gone in range(1, count):
            merged = tuple([replace(i, client=0) if i.client == gone else i for i in used])
            found.append(replace(schedule, operations=renamed(merged)))
    return found


def requests(schedule: SimulatedSchedule) -> Sequence[SimulatedSchedule]:
    """Without what single operations ask for."""
    given = schedule.operations or ()
    asking = [number for number, item in enumerate(given) if item.op.options]
    sets = [asking] if len(asking) > 1 else []
    sets += [[number] for number in asking]
    return [
        replace(
            schedule,
            operations=tuple([plain(it) if n in chosen else it for n, it in enumerate(given)]),
        )
        for chosen in sets
    ]


def gaps(schedule: SimulatedSchedule) -> Sequence[SimulatedSchedule]:
    """With the longest pauses, in which nothing begins or ends, half as long; and an end soon
    after the last event."""
    marks = sorted({0, *_times(schedule)})
    found = []
    if marks:
        limit = round(marks[-1] / 1e9 + _TAIL, 1)
        if 0.1 <= limit < schedule.spec.time_limit:
            found.append(replace(schedule, spec=replace(schedule.spec, time_limit=limit)))
    pauses = sorted(
        ((b - a, b) for a, b in pairwise(marks) if b - a > 100_000_000),
        reverse=True,
    )
    for length, end in pauses[:4]:
        found += [_moved(schedule, end, cut) for cut in (round(length * 0.8), length // 2)]
    return found


def _times(schedule: SimulatedSchedule) -> list[int]:
    """When anything begins or ends, ns."""
    faults = [event.at * 1_000_000 for event in schedule.faults]
    return faults + [item.at for item in schedule.operations or ()]


def _moved(schedule: SimulatedSchedule, since: int, by: int) -> SimulatedSchedule:
    """Everything from `since` on comes earlier `by` so much, ns."""
    by -= by % 1_000_000
    given = schedule.operations
    if given is not None:
        given = tuple([replace(it, at=it.at - by) if it.at >= since else it for it in given])
    faults = tuple(
        [
            replace(event, at=event.at - by // 1_000_000)
            if event.at * 1_000_000 >= since
            else event
            for event in schedule.faults
        ]
    )
    return replace(schedule, operations=given, faults=faults)


def lengths(schedule: SimulatedSchedule) -> Sequence[SimulatedSchedule]:
    """With faults that hit one node or link fewer, or strike once less."""
    found = []
    for at, event in enumerate(schedule.faults):
        if not isinstance(event.action, FaultStart):
            continue
        fault = event.action.fault
        for name in ("nodes", "links", "again_ms"):
            hit = getattr(fault, name, None)
            if not isinstance(hit, list) or len(hit) < 2:
                continue
            for less in (hit[: len(hit) // 2], hit[len(hit) // 2 :], hit[1:], hit[:-1]):
                smaller = msgspec.structs.replace(fault, **{name: less})
                action = FaultStart(event.action.number, event.action.member, smaller)
                events = list(schedule.faults)
                events[at] = replace(event, action=action)
                found.append(replace(schedule, faults=tuple(events)))
    return found


def rounded(schedule: SimulatedSchedule) -> Sequence[SimulatedSchedule]:
    """With times of operations and faults in tenths, hundredths or thousandths of a second."""
    given = schedule.operations
    if given is None:
        return []
    found = []
    for unit in (100_000_000, 10_000_000, 1_000_000):
        operations = tuple([replace(it, at=it.at - it.at % unit) for it in given])
        if operations != given:
            found.append(replace(schedule, operations=operations))
    return found
