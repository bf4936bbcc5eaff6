"""early-ownership: a node serves a partition, or claims to be ready for it, before it has all of
it.

Under a layout that moves partitions each newcomer must end an exchange, begun under that layout,
with every node that owns the partition still and was not removed. Nodes log the layouts that they
receive (`layout`: version, owners, target, gone), the exchanges that ended well (`exchange`:
peer, layout, partitions), the partitions that they claim to be ready for (`ready-for`,
`transfer-ready`) and what they begin to serve (`serves`: gained). Which node was a newcomer, and
which exchanges it needed, is worked out here from the owners alone.

What a life of a node began after a layout was made cannot show is not judged: the exchanges
may be in the lost last lines of the life before.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from dynamesis.checkers.dynamo.ring import CheckedRing
from dynamesis.checkers.explain.describe import listed
from dynamesis.checkers.graph.causality import Causality
from dynamesis.checkers.graph.run import Run
from dynamesis.checkers.history.timeline import Timeline
from dynamesis.checkers.logs.logs import Event, Logs
from dynamesis.checkers.verdict import DESCRIBED, Anomaly, CheckerResult, judge, skip


@dataclass(frozen=True)
class LoggedLayout:
    """A layout of the log: `first`, when a node logged it first (ns); its owners now and then."""

    version: int
    first: int
    now: CheckedRing
    then: CheckedRing

    @property
    def moves(self) -> bool:
        """Whether partitions are on their way to other owners."""
        return self.now.owners != self.then.owners


@dataclass
class LoggedLife:
    """What one life of a node has shown so far. `exchanged`: (layout, partition) -> peers."""

    node: str
    began: int
    exchanged: dict[tuple[int, int], set[str]] = field(default_factory=dict)

    def add_exchange(self, event: Event) -> None:
        """An exchange ended well."""
        for partition in _numbers(event.get("partitions")):
            about = (event.get("layout", -1), partition)
            self.exchanged.setdefault(about, set()).add(str(event.get("peer")))


@dataclass(frozen=True)
class Claim:
    """A node claims that it has all of a partition. `missing`: owners that it had no exchange
    with."""

    event: Event
    partition: int
    layout: LoggedLayout
    missing: tuple[str, ...]


def check_ownership(run: Run, logs: Logs) -> CheckerResult:
    """Judge early-ownership."""
    c, timeline, test = run.order, run.timeline, run.test
    ring = CheckedRing.of(test)
    if ring is None:
        return skip("needs the ring in test.json")
    layouts = _layouts(logs, ring)
    if not any(layout.moves for variants in layouts.values() for layout in variants):
        return skip("no partition was on the move in the nodes' logs")
    found: dict[tuple[str, int, int], Claim] = {}
    judged = 0
    for claim in _claims(logs, layouts):
        judged += 1
        if claim.missing:
            about = (claim.event["node"], claim.layout.version, claim.partition)
            found.setdefault(about, claim)
    used = {ring.partition(key) for key in c.history.keys}
    first = sorted(found.values(), key=lambda claim: claim.partition not in used)
    anomalies = [_anomaly(c, timeline, ring, logs, claim) for claim in first[:DESCRIBED]]
    more = {"early-ownership": len(found) - DESCRIBED} if len(found) > DESCRIBED else {}
    return judge(anomalies, (), {"claims": judged}, more)


def _layouts(logs: Logs, ring: CheckedRing) -> dict[int, list[LoggedLayout]]:
    """Every layout that was logged, by version; two nodes may have made the same one."""
    found: dict[int, list[LoggedLayout]] = {}
    for event in logs.of_kinds("layout"):
        owners, version = event.get("owners"), event.get("version")
        if not isinstance(owners, list):
            continue
        target = event.get("target", owners)
        now, then = (
            CheckedRing(tuple(o), ring.n, ring.zones, ring.quotas) for o in (owners, target)
        )
        variants = found.setdefault(int(version or 0), [])
        if not any(known.now == now and known.then == then for known in variants):
            variants.append(LoggedLayout(int(version or 0), event.get("mono", 0), now, then))
    return found


#: lines by which a node claims to have all of a partition
_CLAIMS = ("ready-for", "transfer-ready", "serves")


def _claims(logs: Logs, layouts: Mapping[int, list[LoggedLayout]]) -> Iterator[Claim]:
    """Every claim that can be judged."""
    lives: dict[str, LoggedLife] = {}
    gone: set[str] = set()
    for event in logs.of_kinds("start", "layout", "exchange", *_CLAIMS):
        node, what = event["node"], event["event"]
        if what == "start" or node not in lives:
            lives[node] = LoggedLife(node, event.get("mono", 0) if what == "start" else -1)
        if what == "layout":
            gone |= set(event.get("gone") or ())
        elif what == "exchange":
            lives[node].add_exchange(event)
        elif what in _CLAIMS:
            for partition, layout in _claimed(event, layouts):
                if lives[node].began < layout.first:
                    yield _judged(event, partition, layout, lives[node], gone)


def _claimed(
    event: Event, layouts: Mapping[int, list[LoggedLayout]]
) -> Iterator[tuple[int, LoggedLayout]]:
    """The partitions that an event claims, with the layout under which they were fetched."""
    version, what, node = event.get("layout", -1), event["event"], event["node"]
    if what in ("ready-for", "transfer-ready"):
        partitions = _numbers(event.get("partitions", [event.get("partition")]))
    elif what == "serves":
        partitions = _numbers(event.get("gained"))
    else:
        return
    for partition in partitions:
        for layout in layouts.get(version, ()):
            if layout.moves and _newcomer(layout, node, partition):
                yield partition, layout
                break
            if what == "serves" and node in layout.now.holders(partition):
                before = _fetched_under(layouts, layout)
                if before is not None and _newcomer(before, node, partition):
                    yield partition, before
                break


def _newcomer(layout: LoggedLayout, node: str, partition: int) -> bool:
    then, now = layout.then.holders(partition), layout.now.holders(partition)
    return node in then and node not in now


def _fetched_under(
    layouts: Mapping[int, list[LoggedLayout]], layout: LoggedLayout
) -> LoggedLayout | None:
    """The layout that led to the owners of this one."""
    for version in sorted((v for v in layouts if v < layout.version), reverse=True):
        for before in layouts[version]:
            if before.moves and before.then.owners == layout.now.owners:
                return before
    return None


def _judged(
    event: Event, partition: int, layout: LoggedLayout, life: LoggedLife, gone: set[str]
) -> Claim:
    sources = layout.now.holders(partition)
    exchanged = life.exchanged.get((layout.version, partition), set())
    missing = tuple(s for s in sources if s not in exchanged and s not in gone and s != life.node)
    return Claim(event, partition, layout, missing)


def _anomaly(
    c: Causality, timeline: Timeline, ring: CheckedRing, logs: Logs, claim: Claim
) -> Anomaly:
    h, event = c.history, claim.event
    node, partition = event["node"], claim.partition
    keys = [key for key in h.keys if ring.partition(key) == partition]
    row = logs.row_at(h, event.get("mono", 0))
    what = "served" if event["event"] == "serves" else "claimed to be ready for"
    why = (
        f"{node} {what} partition {partition}{logs.when(event)}, under layout "
        f"{claim.layout.version}, before an exchange with {listed(claim.missing)}, which owned it "
        f"until then, had ended: what only they held is not there. Keys of it: {listed(keys)}."
    )
    changes = [f.started for f in timeline.faults if f.kind == "membership"]
    near = [start for start in changes if row is None or start <= row][-1:]
    data = {
        "node": node,
        "partition": partition,
        "layout": claim.layout.version,
        "missing": list(claim.missing),
        "event": dict(event),
    }
    ops = tuple(near)
    during = (*near, *(() if row is None else (row,)))
    return Anomaly("early-ownership", why, None, ops, data, during)


def _numbers(value: Any) -> list[int]:
    return [n for n in value if isinstance(n, int)] if isinstance(value, list) else []
