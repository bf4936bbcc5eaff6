"""misplaced, by the nodes' event logs: a hint lies in another zone than the node that it is for.

Where nodes lie in zones, a primary that cannot be reached is replaced by a node of its own zone as long
as there is one: there must be as many copies in each zone as before. A coordinator logs which
peers it reaches (`link-up`, `link-down`, `peer-suspected`, `peer-back`); a node that was asked for a copy
logs that it has it. So a hint in another zone is out of place if a node of the primary's own
zone was healthy to the coordinator all the time that it may have worked, and got nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from dynamesis.checkers.dynamo.ring import CheckedRing
from dynamesis.checkers.explain.describe import fate, listed, name
from dynamesis.checkers.graph.causality import Causality
from dynamesis.checkers.graph.run import Run
from dynamesis.checkers.logs.copies import WORKS, Kept, judged_writes, kept_by_id
from dynamesis.checkers.logs.endings import Rings
from dynamesis.checkers.logs.logs import Logs
from dynamesis.checkers.verdict import DESCRIBED, Anomaly, CheckerResult, judge, skip

#: ns before a write began in which a change of a peer's health may concern it
BEFORE = 3_000_000_000
_HEALTH = {"link-up": True, "peer-back": True, "link-down": False, "peer-suspected": False}
_TROUBLE = ("storage-error", "storage-unreadable")


@dataclass(frozen=True)
class Foreign:
    """A hint of a write for `primary` at `holder`, and the nodes of the primary's zone, healthy to
    the coordinator, that got nothing."""

    version: int
    primary: str
    holder: str
    coordinator: str
    passed: tuple[str, ...]


def check_zones(run: Run, logs: Logs) -> CheckerResult:
    """Judge in which zone the hints of acknowledged writes were kept."""
    c, test = run.order, run.test
    ring = CheckedRing.of(test)
    if ring is None or not ring.zones:
        return skip("no node lies in a zone, by test.json")
    found: list[Anomaly] = []
    judged, more = 0, 0
    kept, rings = kept_by_id(logs), Rings.of(logs, ring)
    for version, _ in judged_writes(c, run.timeline):
        known = kept.get(name(c, version), Kept())
        then = rings.at(c, logs, run.timeline, version) if known.hints else None
        if then is None:
            continue
        judged += 1
        for foreign in _foreign(c, logs, then, version, known):
            if len(found) < DESCRIBED:
                found.append(_anomaly(c, then, foreign))
            else:
                more += 1
    return judge(found, (), {"writes": judged}, {"misplaced": more} if more else {})


def _foreign(
    c: Causality, logs: Logs, ring: CheckedRing, version: int, known: Kept
) -> Iterator[Foreign]:
    """The hints of a write that lie in another zone although one of their own had a node left."""
    zone, key = dict(ring.zones), c.history.keys[int(c.key[version])]
    primaries = ring.primaries(key)
    named = c.history.worth.get(int(c.ended[version]), {}).get("coordinator")
    began = logs.mono_at(c.history, int(c.written[version]))
    ended = logs.mono_at(c.history, int(c.ended[version]))
    if not isinstance(named, str) or known.stamped - {named} or began is None or ended is None:
        return
    had = {*known.copies, *(node for nodes in known.hints.values() for node in nodes)}
    for primary, holders in sorted(known.hints.items()):
        able = [x for x in ring.members if zone.get(x) == zone.get(primary)]
        able = [x for x in able if x not in primaries and x not in had]
        passed = tuple(x for x in able if _was_healthy(logs, named, x, began, ended + WORKS))
        for holder in sorted(holders):
            if passed and zone.get(holder) != zone.get(primary):
                yield Foreign(version, primary, holder, named, passed)


def _was_healthy(logs: Logs, coordinator: str, peer: str, began: int, until: int) -> bool:
    """Whether by the logs a peer was healthy to a node all the time, and has logged whatever it
    was asked."""
    since = began - BEFORE
    if not logs.whole(coordinator, since, until) or not logs.whole(peer, since, until):
        return False
    up = False
    for event in logs.by_node[coordinator]:
        when = event.get("mono", 0)
        if when > until:
            break
        if event["event"] == "start":
            up = False
        elif event["event"] in _HEALTH and event.get("peer") == peer:
            if when >= since:
                return False
            up = _HEALTH[event["event"]]
    troubled = (
        event["event"] in _TROUBLE and since <= event.get("mono", 0) <= until
        for event in logs.by_node[peer]
    )
    return up and not any(troubled)


def _anomaly(c: Causality, ring: CheckedRing, foreign: Foreign) -> Anomaly:
    zone, version = dict(ring.zones), foreign.version
    why = (
        f"{fate(c, version)}; its hint for {foreign.primary}, of zone {zone.get(foreign.primary)}, "
        f"was kept by {foreign.holder}, of zone {zone.get(foreign.holder)}, although "
        f"{listed(list(foreign.passed))}, of the primary's own zone, was healthy to the coordinator "
        f"{foreign.coordinator} all the time, by its log, and got nothing."
    )
    rows = (int(c.written[version]), int(c.ended[version]))
    data = {"primary": foreign.primary, "holder": foreign.holder, "passed": list(foreign.passed)}
    return Anomaly("misplaced", why, c.history.keys[int(c.key[version])], rows, data)
