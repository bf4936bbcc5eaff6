"""The nemesis' events as outages: which nodes were down, or cut off from which, and when.

A node that is paused may be ended meanwhile, and one that is down be "paused": as another fault
gives it back, it serves until it is ready, and is stopped only then. So a pause is certain only
while no other fault begins or ends that may start its nodes anew. A node that leaves and comes back
is started at a time of its own, whatever holds it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from dynamesis.checkers.graph.causality import NEVER
from dynamesis.checkers.history.columns import History
from dynamesis.checkers.history.timeline import Fault, Timeline

#: families of faults under which a node answers nothing
DOWN = ("kill", "pause", "stop")
#: families of faults after which a node starts anew, and is not ready for a while
RESTARTS = ("kill", "wipe", "stop", "membership", "disk", "upgrade", "dead")
#: ns for which a node may have been dead before the harness notices
UNSEEN = 2_000_000_000


@dataclass(frozen=True)
class Outage:
    """Pairs of nodes that cannot talk, or nodes that are down, while a fault lasts. `since`:
    the row from which that is certain (where there is evidence, since its start was
    complete), `until`: when it began to end; it may have lasted from `started` to `ended`.
    `family`: of the fault, or "dead" for a node that was found dead."""

    since: int
    until: int
    started: int
    ended: int
    down: frozenset[str]
    cut: frozenset[tuple[str, str]]
    known: bool
    family: str


def outages(h: History, timeline: Timeline, members: tuple[str, ...]) -> list[Outage]:
    """The ledger as outages, and the nodes that were found dead: they stay down until the
    harness has healed the cluster."""
    heal = timeline.phases.get("heal", NEVER)
    found = list[Outage]()
    for fault in timeline.faults:
        whole = _outage(h, fault, members, heal)
        found += _certain(whole, timeline, fault) if whole.down else [whole]
    back = timeline.phases.get("quiesce", NEVER)
    for row in timeline.found_dead:
        value = h.value_of(row)
        named = _names(value.get("nodes")) if isinstance(value, dict) else []
        gone = int(np.searchsorted(h.time, h.time[row] - UNSEEN))
        end = back if back > row else NEVER
        found.append(Outage(NEVER, row, gone, end, frozenset(named), frozenset(), False, "dead"))
    return found


def _outage(h: History, fault: Fault, members: tuple[str, ...], heal: int) -> Outage:
    """In the phase `heal` all faults end, also those without an event of their end."""
    value = fault.fields
    since = NEVER
    if fault.took_effect and fault.proved is not None:
        since = fault.proved if fault.begun is None else min(fault.begun, fault.proved)
    until = heal if fault.stopping is None else min(fault.stopping, heal)
    ended = NEVER if fault.stopped is None else fault.stopped
    kind = fault.kind.partition(".")[0]
    down = frozenset(_names(value.get("nodes", value.get("node")))) if kind in DOWN else frozenset()
    grudge = value.get("grudge")
    cut = frozenset(_pairs(grudge)) if kind == "cut" else frozenset()
    steady = "flap" not in f"{fault.kind} {value.get('kind')} {value.get('member')}"
    known = steady and (bool(down) or (kind == "cut" and grudge is not None))
    since = since if known else NEVER
    return Outage(since, until, fault.started, ended, down & set(members), cut, known, kind)


def _certain(outage: Outage, timeline: Timeline, its: Fault) -> Iterator[Outage]:
    """An outage of nodes as several, each of those that were certainly down from one row to
    another."""
    spans: dict[tuple[int, int], set[str]] = {}
    for node in sorted(outage.down):
        since, certain = outage.since, list[tuple[int, int]]()
        for first, last in sorted(_restarts(timeline, its, node)):
            if first < outage.until:
                certain.append((since, first))
                since = max(since, last)
        certain = [span for span in (*certain, (since, outage.until)) if span[0] < span[1]]
        for span in certain or [(NEVER, outage.until)]:
            spans.setdefault(span, set()).add(node)
    for (since, until), nodes in spans.items():
        yield replace(outage, since=since, until=until, down=frozenset(nodes))


def _restarts(timeline: Timeline, its: Fault, node: str) -> Iterator[tuple[int, int]]:
    """From which row to which a node that a fault stops may be started anew by another one."""
    for fault in timeline.faults:
        if fault is its or fault.skipped:
            continue
        if fault.fields.get("back") and node in fault.names("leaves"):
            yield fault.started, NEVER
        may = its.family == "pause" and fault.family in RESTARTS
        if may and (node in fault.nodes or not fault.nodes):
            yield fault.started, NEVER if fault.begun is None else fault.begun
            if fault.stopping is not None:
                yield fault.stopping, NEVER if fault.stopped is None else fault.stopped


def joined(timeline: Timeline) -> Iterator[str]:
    """The nodes that joined in the timeline of a test."""
    for fault in timeline.faults:
        yield from fault.joins


def _names(nodes: Any) -> list[str]:
    if isinstance(nodes, str):
        return [nodes]
    return [n for n in nodes if isinstance(n, str)] if isinstance(nodes, list) else []


def _pairs(grudge: Any) -> Iterator[tuple[str, str]]:
    """Which node cannot reach which: of groups that are apart, of {node: [others]}, or of pairs."""
    if isinstance(grudge, Mapping):
        yield from ((a, b) for b, others in grudge.items() for a in _names(others))
    elif isinstance(grudge, list):
        groups = [_names(group) for group in grudge]
        for i, group in enumerate(groups):
            for other in groups[:i] + groups[i + 1 :]:
                yield from ((a, b) for a in group for b in other)


def sides(grudge: Any) -> list[tuple[str, ...]]:
    """The sides of a cut: its groups; or, of {node: [others]}, nodes that are cut off from the
    same others, and those that are cut off by them only."""
    if isinstance(grudge, list):
        return [tuple(names) for names in map(_names, grudge) if names]
    if not isinstance(grudge, Mapping):
        return []
    alike: dict[tuple[str, ...], list[str]] = {}
    for node, others in grudge.items():
        alike.setdefault(tuple(sorted(_names(others))), []).append(str(node))
    rest = {name for others in alike for name in others} - {*map(str, grudge)}
    found = [*map(tuple, alike.values()), tuple(sorted(rest))]
    return [side for side in found if side]


def reach(
    members: Sequence[str], whole: Sequence[Outage], named: str | None, asked: str | None
) -> set[str]:
    """The nodes in reach during these outages, of the coordinator if that is named, else of
    the node that was asked."""
    down = {node for o in whole for node in o.down}
    apart = {pair for o in whole for pair in o.cut}
    up = [node for node in members if node not in down]
    if named is None and asked is None:
        return set(up)
    # the node asked need not be a member: a newcomer that knows the ring serves clients too
    reached = {named or asked or ""} - down
    frontier = list(reached)
    while frontier:
        here = frontier.pop()
        beyond = {n for n in up if not {(n, here), (here, n)} & apart} - reached
        reached |= beyond
        if named is None:
            frontier += sorted(beyond)
    return reached
