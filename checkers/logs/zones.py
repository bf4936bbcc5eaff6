"""By the nodes' event logs: nodes that were healthy to a coordinator, and got nothing of a write.

misplaced: a hint lies in another zone than the node that it is for.

Where nodes lie in zones, a primary that cannot be reached is replaced by a node of its own zone
as long as there is one: there must be as many copies in each zone as before. A coordinator logs
which peers it reaches (`link-up`, `link-down`, `peer-suspected`, `peer-back`); a node that was
asked for a copy logs that it has it. So a hint in another zone is out of place if a node of the
primary's own zone was healthy to the coordinator all the time until the hint was kept, and got
nothing. Where that took so long that it may have been asked and given up, it must have been
healthy for so long afterwards that it would have got what it was sent.

lost-hint: while a partition moves, each newcomer gets a copy of every write, beside the places that
it is for: what the newcomer fetches from the owners may have been read before. Such a copy is sent
once. So a newcomer that knew the layout, and was healthy to the coordinator from before the write
began until after it ended, has it. Judged where nothing but changes of the membership was near,
since links lose messages, and the coordinator knew one layout all the time.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from dynamesis.checkers.dynamo.limits import Limits
from dynamesis.checkers.dynamo.ring import CheckedRing
from dynamesis.checkers.explain.describe import fate, listed, name
from dynamesis.checkers.graph.causality import NEVER, Causality
from dynamesis.checkers.graph.run import Run
from dynamesis.checkers.history.pairing import OK, Ints
from dynamesis.checkers.logs.copies import Kept, KeptById, judged_writes, works
from dynamesis.checkers.logs.endings import Rings
from dynamesis.checkers.logs.logs import Event, Logs
from dynamesis.checkers.verdict import DESCRIBED, Anomaly, CheckerResult, judge, skip

#: ns before a write began in which a change of a peer's health may concern it
BEFORE = 100_000_000
#: ns for which a newcomer must have been healthy after a write
STAYED = 400_000_000
#: of the time after which a replica is given up for its silence, what is surely before that
_SURELY = 0.8
_HEALTH = {"link-up": True, "peer-back": True, "link-down": False, "peer-suspected": False}
#: lines of a node that may have refused a hint; the last is logged once a second at most
_TROUBLE = ("storage-error", "storage-unreadable", "copy-refused", "hint-refused")
_SELDOM = 1_000_000_000


@dataclass(frozen=True)
class StrayHint:
    """A hint of a write for `primary` at `holder`, and the nodes of the primary's zone, healthy to
    the coordinator, that got nothing."""

    version: int
    primary: str
    holder: str
    coordinator: str
    passed: tuple[str, ...]


def check_zones(run: Run, logs: Logs) -> CheckerResult:
    """Judge in which zone the hints of acknowledged writes were kept."""
    c, test = run.order, run.test or {}
    ring = CheckedRing.of(test)
    if ring is None or not ring.zones:
        return skip("no node lies in a zone, by test.json")
    found: list[Anomaly] = []
    judged, more = 0, 0
    kept, when = logs.once(KeptById), _hints(logs)
    rings = Rings.of(logs, ring, run.timeline)
    versions, first, _ = judged_writes(run)
    delays = Delays(soon(test), works(test), bool(test.get("unsteady")))
    for version, since in zip(versions.tolist(), first.tolist(), strict=True):
        known = kept[c.names[version]]
        begun = None if logs.began is None else logs.began + since
        then = rings.at(begun) if known.hints else None
        if then is None:
            continue
        judged += 1
        for stray in _stray(run, logs, then, version, known, when, delays):
            if len(found) < DESCRIBED:
                found.append(_anomaly(c, then, stray))
            else:
                more += 1
    return judge(found, (), {"writes": judged}, {"misplaced": more} if more else {})


def _hints(logs: Logs) -> dict[tuple[str, str, str], int]:
    """(id of a write, target, node) -> when that node first kept a hint with it (ns)."""
    found: dict[tuple[str, str, str], int] = {}
    for event in logs.of_kinds("stored", "held"):
        if "hint_for" in event and "request" in event:
            about = (str(event["request"]), str(event["hint_for"]), event["node"])
            found.setdefault(about, event.get("mono", 0))
    return found


@dataclass(frozen=True)
class Delays:
    """soon: ns within which no node that was asked can have been given up for its silence
    work: ns after which what was on its way has arrived
    loses: whether messages may be lost at any time"""

    soon: int
    work: int
    loses: bool


def soon(test: Mapping[str, Any] | None) -> int:
    """ns within which no node that was asked can have been given up for its silence."""
    return round(_SURELY * Limits.of(test or {}).waited * 1e9)


def _stray(
    run: Run,
    logs: Logs,
    ring: CheckedRing,
    version: int,
    known: Kept,
    when: Mapping[tuple[str, str, str], int],
    delays: Delays,
) -> Iterator[StrayHint]:
    """The hints of a write that lie in another zone although one of their own had a node left."""
    c, work = run.order, delays.work
    zone, key = dict(ring.zones), c.history.keys[int(c.key[version])]
    primaries = ring.primaries(key)
    named = c.history.worth.get(int(c.ended[version]), {}).get("coordinator")
    began = logs.mono_at(c.history, int(c.written[version]))
    if not isinstance(named, str) or known.stamped - {named} or began is None:
        return
    had = {*known.copies, *(node for nodes in known.hints.values() for node in nodes)}
    for primary, holders in sorted(known.hints.items()):
        able = [x for x in ring.members if zone.get(x) == zone.get(primary)]
        able = [x for x in able if x not in primaries and x not in had]
        for holder in sorted(holders):
            if not able or zone.get(holder) == zone.get(primary):
                continue
            at = when[name(c, version), primary, holder]
            until = at
            if at - began >= delays.soon:
                if delays.loses or _lossy(run, logs, began, at):
                    continue  # it may have been asked in vain, and not be suspected for that
                until += work
            passed = tuple(x for x in able if _was_healthy(logs, named, x, began, until, work))
            if passed:
                yield StrayHint(version, primary, holder, named, passed)


@dataclass(frozen=True)
class Passed:
    """A newcomer that must get a write, healthy to the coordinator, and the layout under which it
    is one."""

    version: int
    newcomer: str
    coordinator: str
    layout: Event


def check_newcomers(run: Run, logs: Logs) -> CheckerResult:
    """Judge that newcomers get the writes of the partitions that they fetch."""
    c, test = run.order, run.test or {}
    ring = CheckedRing.of(test)
    moving = [event for event in logs.of_kinds("layout") if "target" in event]
    if ring is None or not moving:
        return skip("no partition was on the move in the nodes' logs")
    if test.get("unsteady"):
        return skip("in a world that is late, or fails, at random a message may be lost")
    due = [
        Passed(version, *each)
        for version in _while_moving(c, logs).tolist()
        for each in _newcomers(run, logs, ring, version)
    ]
    kept, judged = logs.once(KeptById), len(due)
    passed = [each for each in due if each.newcomer not in kept.holders(c.names[each.version])]
    found = [_passed_over(c, each) for each in passed[:DESCRIBED]]
    more = {"lost-hint": len(passed) - DESCRIBED} if len(passed) > DESCRIBED else {}
    return judge(found, (), {"copies": judged}, more)


def _while_moving(c: Causality, logs: Logs) -> Ints:
    """The acknowledged writes that began while some node knew a layout that moves partitions."""
    versions = np.flatnonzero(c.outcome == OK)
    begun = c.history.time[c.written[versions]] + (logs.began or 0)
    moving = np.zeros(len(versions), np.bool_)
    for layouts, stamps in logs.once(_layouts).values():
        ends = [*stamps[1:], NEVER]
        for layout, since, until in zip(layouts, stamps, ends, strict=True):
            if "target" in layout:
                moving |= (since <= begun) & (begun < until)
    found: Ints = versions[moving]
    return found


def _newcomers(
    run: Run, logs: Logs, ring: CheckedRing, version: int
) -> Iterator[tuple[str, str, Event]]:
    """The newcomers that must have got a copy of a write, with its coordinator and its layout."""
    c, h = run.order, run.order.history
    row, ended = int(c.written[version]), int(c.ended[version])
    coordinator = h.worth.get(ended, {}).get("coordinator")
    if not isinstance(coordinator, str) or "n" in h.options.get(row, {}):
        return
    begun, over = logs.mono_at(h, row), logs.mono_at(h, ended)
    if begun is None or over is None:
        return
    layout = _in_force(logs, coordinator, begun, over)
    if layout is None or "target" not in layout or _disturbed(run, logs, begun, over):
        return
    now, then = (replace(ring, owners=tuple(layout[name])) for name in ("owners", "target"))
    key = h.keys[int(c.key[version])]
    for newcomer in then.primaries(key):
        if newcomer in now.primaries(key) or newcomer in (layout.get("gone") or ()):
            continue
        theirs = _in_force(logs, newcomer, begun, over)
        same = theirs is not None and theirs.get("version") == layout.get("version")
        if same and _was_healthy(
            logs, coordinator, newcomer, begun, over + soon(run.test), works(run.test)
        ):
            yield newcomer, coordinator, layout


def _in_force(logs: Logs, node: str, since: int, until: int) -> Event | None:
    """The layout that a node knew all the time, by its log."""
    layouts, stamps = logs.once(_layouts).get(node, ((), ()))
    following = bisect_right(stamps, since)
    if following == 0 or (following < len(stamps) and stamps[following] <= until):
        return None
    return layouts[following - 1]


def _layouts(logs: Logs) -> dict[str, tuple[Sequence[Event], Sequence[int]]]:
    """By node: the layouts that it logged, and when."""
    found: dict[str, list[Event]] = {}
    for event in logs.of_kinds("layout"):
        found.setdefault(event["node"], []).append(event)
    return {node: (lines, list(map(_mono, lines))) for node, lines in found.items()}


def _mono(event: Event) -> int:
    mono: int = event.get("mono", 0)
    return mono


def _disturbed(run: Run, logs: Logs, begun: int, over: int) -> bool:
    """Whether any fault but a change of the membership was near."""
    h, work = run.order.history, works(run.test)
    first, last = logs.row_at(h, begun - work), logs.row_at(h, over + work)
    if first is None or last is None:
        return True
    return any(fault.family != "membership" for fault in run.timeline.active((first, last)))


def _lossy(run: Run, logs: Logs, begun: int, over: int) -> bool:
    """Whether links may have lost messages, and stayed up."""
    h = run.order.history
    first, last = logs.row_at(h, begun), logs.row_at(h, over)
    if first is None or last is None:
        return True
    return any(fault.family == "link" for fault in run.timeline.active((first, last)))


def _passed_over(c: Causality, passed: Passed) -> Anomaly:
    version, newcomer = passed.version, passed.newcomer
    why = (
        f"{fate(c, version)}, while its partition moved under layout "
        f"{passed.layout.get('version')}; {newcomer}, which fetched it and was healthy to the "
        f"coordinator {passed.coordinator} all the time, by its log, got no copy."
    )
    rows = (int(c.written[version]), int(c.ended[version]))
    data = {"newcomer": newcomer, "coordinator": passed.coordinator, "layout": dict(passed.layout)}
    return Anomaly("lost-hint", why, c.history.keys[int(c.key[version])], rows, data)


def _was_healthy(
    logs: Logs, coordinator: str, peer: str, began: int, until: int, work: int
) -> bool:
    """Whether by the logs a peer was healthy to a node all the time, and has logged whatever it
    was asked, and refused nothing."""
    since = began - BEFORE
    if not logs.whole(coordinator, since, until) or not logs.whole(peer, since, until + work):
        return False
    up = False
    for event in logs.of_node(coordinator, "start", *_HEALTH):
        when = _mono(event)
        if when > until:
            break
        if event["event"] == "start":
            up = False
        elif event.get("peer") == peer:
            if when >= since:
                return False
            up = _HEALTH[event["event"]]
    troubled = (since - _SELDOM <= _mono(event) <= until for event in logs.of_node(peer, *_TROUBLE))
    return up and not any(troubled)


def _anomaly(c: Causality, ring: CheckedRing, stray: StrayHint) -> Anomaly:
    zone, version = dict(ring.zones), stray.version
    home, away = zone.get(stray.primary), zone.get(stray.holder)
    why = (
        f"{fate(c, version)}; its hint for {stray.primary}, of zone {home}, was kept by "
        f"{stray.holder}, of zone {away}, although {listed(list(stray.passed))}, of zone "
        f"{home}, was healthy to the coordinator {stray.coordinator} all the time, by its log, "
        "and got nothing."
    )
    rows = (int(c.written[version]), int(c.ended[version]))
    data = {"primary": stray.primary, "holder": stray.holder, "passed": list(stray.passed)}
    return Anomaly("misplaced", why, c.history.keys[int(c.key[version])], rows, data)
