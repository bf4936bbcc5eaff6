"""Waits until the cluster is quiet: nothing left to hand off, nothing left to repair, and
every node able to read what it holds.

Anti-entropy proves agreement only for what already lies on the primaries, and hints
still bring more. So the count of clean exchanges begins anew whenever a hint or a
transfer is seen, or a node does not answer: from the last such moment, every pair of
replicas must finish two consecutive exchanges that found nothing to repair.
What a node has changed and not stored is under way too: where that fails, a hint that was deleted
is back. And what all nodes hold is read at the end: a row that shows as damaged only then is
lacking at its node, and the count begins anew.

A node that makes its hash trees anew as the wait begins has to end that. Where it does so again and
again, on schedule, the trees that it has serve meanwhile, and nothing is outstanding: what
a scan finds shows as a difference in the next exchange.

An exchange is about every key that differs, so without load a pair is equal after a few.
One that finds differences again and again will find them for ever: the wait ends there,
not at the deadline.

Where nodes can be asked for exchanges, they are after each look, so that it is their work that
takes time and not their clocks.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import combinations

from dynamesis.checkers.history.op import JsonObject
from dynamesis.harness.nemesis.targets import placed
from dynamesis.harness.processes.clock import clock
from dynamesis.harness.processes.patience import Headway, Patience
from dynamesis.harness.run.node_answers import node_answers
from dynamesis.harness.targets.capabilities import (
    Exchanges,
    NodeObserver,
    Observed,
    ReplicaDumps,
)
from dynamesis.harness.targets.reports import (
    IN_PROGRESS,
    ExchangeView,
    MembershipView,
    NodeStatus,
    PeerView,
    RingView,
    TreesView,
)

#: Pause between two looks at the cluster, s.
INTERVAL = 0.05
#: Consecutive exchanges with nothing to repair that each pair of replicas must finish.
CLEAN = 2
#: Exchanges after which a pair that still differs is taken to differ for ever.
HOPELESS = 12
#: s that must have passed as well, where exchanges follow each other as fast as they can
HOPELESS_AFTER = 3.0

Statuses = Mapping[str, NodeStatus | None]
Rounds = Mapping[tuple[str, str], ExchangeView]


@dataclass(frozen=True)
class QuiesceOutcome:
    """How the wait ended.

    quiet: nothing was outstanding
    seconds: how long it took
    waiting: what was still outstanding; empty when quiet
    in_vain: the pairs that repaired without end (Watch.hopeless)
    waited: s for which it was waited because the store cannot report that it is at rest; then
        `quiet` is an assumption
    """

    quiet: bool
    seconds: float
    waiting: JsonObject
    in_vain: dict[str, dict[str, int]] = field(default_factory=dict)
    waited: float | None = None

    def as_value(self) -> JsonObject:
        value = {"quiet": self.quiet, "seconds": self.seconds, "waiting": self.waiting}
        value |= {"in_vain": self.in_vain} if self.in_vain else {}
        return value | ({} if self.waited is None else {"waited": self.waited})


@dataclass
class Watch:
    """Judges looks at the cluster, one after the other. `hopeless` once all that the last
    look still waited for are pairs whose exchanges repair and repair and come to no end:
    by pair, how many exchanges there were since the count began, and keys repaired. `idle`: the
    pairs that it waited for and that have finished none since. `_reading`: by node that made its
    trees anew at its first look, how often that had ended before."""

    pairs: set[tuple[str, str]]
    hopeless: dict[str, dict[str, int]] = field(default_factory=dict)
    idle: list[str] = field(default_factory=list)
    _base: dict[tuple[str, str], ExchangeView] = field(default_factory=dict)
    _reading: dict[str, int | None] = field(default_factory=dict)

    def waiting(self, statuses: Statuses) -> JsonObject:
        """What is still outstanding at this look: {} when the cluster is quiet."""
        moving = _moving(statuses)
        if reading := self._rebuilding(statuses):
            moving["rebuilding"] = reading
        if moving:
            self.begin_anew()
            return moving
        rounds = {
            (node, peer): exchange
            for node, status in statuses.items()
            if status is not None
            for peer, exchange in status.exchanges.items()
        }
        for link, exchange in rounds.items():
            self._base.setdefault(link, exchange)
        late = [pair for pair in sorted(self.pairs) if not self._agreed(pair, rounds)]
        vain = {f"{a}-{b}": self._in_vain((a, b), rounds) for a, b in late}
        self.hopeless = vain if all(vain.values()) else {}
        self.idle = [f"{a}-{b}" for a, b in late if not self._ended((a, b), rounds)]
        return {"exchanges": [f"{a}-{b}" for a, b in late]} if late else {}

    def begin_anew(self) -> None:
        """Count exchanges from the next look on."""
        self._base, self.hopeless, self.idle = {}, {}, []

    def _rebuilding(self, statuses: Statuses) -> list[str]:
        """The nodes that have not ended what they read at their first look."""
        found = []
        for node, status in statuses.items():
            if status is not None:
                trees = status.trees or TreesView()
                first = self._reading.setdefault(node, trees.rebuilds if trees.rebuilding else None)
                if trees.rebuilding and trees.rebuilds == first:
                    found.append(node)
        return found

    def _ended(self, pair: tuple[str, str], rounds: Rounds) -> bool:
        return any(done["rounds"] for _, done in self._since(pair, rounds))

    def _agreed(self, pair: tuple[str, str], rounds: Rounds) -> bool:
        return any(
            seen.clean >= CLEAN and done["rounds"] >= CLEAN
            for seen, done in self._since(pair, rounds)
        )

    def _in_vain(self, pair: tuple[str, str], rounds: Rounds) -> dict[str, int]:
        """What a pair did since the count began, all for nothing; {} while there is hope."""
        for seen, done in self._since(pair, rounds):
            if seen.clean == 0 and done["rounds"] >= HOPELESS:
                return done
        return {}

    def _since(
        self, pair: tuple[str, str], rounds: Rounds
    ) -> Iterator[tuple[ExchangeView, dict[str, int]]]:
        """How exchanges went, and what was done since the count began, on either side:
        whichever of the two began them, they compare both ways."""
        for link in (pair, pair[::-1]):
            if link in rounds:
                now, then = rounds[link], self._base[link]
                done = {"rounds": now.rounds - then.rounds}
                yield now, {**done, "repaired": now.repaired - then.repaired}


def _moving(statuses: Statuses) -> JsonObject:
    found: JsonObject = {}
    silent = [node for node, status in statuses.items() if status is None]
    if silent:
        found["silent"] = silent
    known = {node: status for node, status in statuses.items() if status is not None}
    views = _memberships(known)
    if unsettled := [node for node, view in views.items() if not view.settled]:
        found["unsettled"] = unsettled
    versions = {node: view.version for node, view in views.items()}
    if len(set(versions.values())) > 1:
        found["membership"] = versions
    trees = {node: status.trees or TreesView() for node, status in known.items()}
    if without := [node for node, each in trees.items() if not each.complete]:
        found["treeless"] = without
    if hints := {node: status.hints for node, status in known.items() if status.hints}:
        found["hints"] = hints
    if unsaved := {node: status.unsaved for node, status in known.items() if status.unsaved}:
        found["unsaved"] = unsaved
    if moves := {node: status.transfers for node, status in known.items() if status.transfers}:
        found["transfers"] = moves
    return found


def _memberships(known: Mapping[str, NodeStatus]) -> dict[str, MembershipView]:
    """Of the nodes that have one."""
    views = {node: status.membership for node, status in known.items()}
    return {node: view for node, view in views.items() if view is not None}


def _reasons(statuses: Statuses) -> JsonObject:
    """Possible causes: the targets of hints, the peers that nodes suspect, the version of the
    membership that they know where that is not settled, and rows that they cannot read."""
    known = {node: status for node, status in statuses.items() if status is not None}
    targets: Counter[str] = Counter()
    for status in known.values():
        targets.update(status.hints_for or {})
    suspects = {node: _suspected(status) for node, status in known.items()}
    views = _memberships(known)
    unsettled = not all(view.settled for view in views.values())
    versions = {node: views[node].version if node in views else None for node in statuses}
    found = {
        "hints_for": dict(sorted(targets.items())),
        "suspects": {node: ", ".join(peers) for node, peers in suspects.items() if peers},
        "versions": versions if unsettled else {},
        "damaged": {node: rows for node, rows in _damaged(statuses).items() if rows},
    }
    return {what: counts for what, counts in found.items() if counts}


def _suspected(status: NodeStatus) -> list[str]:
    return [peer for peer, seen in status.peers.items() if seen.suspected]


async def _found_by_reading(
    observed: Observed, dumps: ReplicaDumps, before: Statuses
) -> JsonObject:
    """Nodes that answer, and cannot read what they hold, or have found some of it damaged only
    now that all of it was read: it is lacking there then. Or sound again: then it is there."""
    nodes = observed.nodes
    answers = await node_answers(nodes, dumps.dump, _prompt(observed))
    found = zip(nodes, answers, strict=True)
    if unreadable := [node for node, answer in found if isinstance(answer, ValueError)]:
        return {"unreadable": unreadable}
    now, then = _damaged(await look(observed)), _damaged(before)
    damaged = {node: rows for node, rows in now.items() if rows != then.get(node, rows)}
    return {"damaged": damaged} if damaged else {}


def _damaged(statuses: Statuses) -> dict[str, int]:
    """By node, how many of its rows it has found damaged."""
    return {node: status.damaged for node, status in statuses.items() if status is not None}


def replica_pairs(ring: RingView) -> set[tuple[str, str]]:
    """Every two nodes that are primaries of a common partition, each pair in order."""
    replicas = placed(ring)
    groups = {replicas.holders(partition) for partition in range(len(replicas.owners))}
    return {pair for group in groups for pair in combinations(sorted(group), 2)}


async def look(observed: Observed) -> dict[str, NodeStatus | None]:
    """Every node's status at about the same time."""
    nodes = observed.nodes
    if isinstance(observed, NodeObserver):
        answers = await observed.statuses(nodes)
    else:
        answers = await asyncio.gather(*map(observed.status, nodes))
    return dict(zip(nodes, answers, strict=True))


def _prompt(observed: Observed) -> bool:
    return isinstance(observed, NodeObserver) and observed.prompt()


async def until_linked(
    observed: Observed,
    deadline: float,
    interval: float = INTERVAL,
    exchanges: Exchanges | None = None,
) -> None:
    """Wait until every node has its links to all others and suspects none of them, as far as it
    reports that; at most `deadline` seconds. Where no replicas are compared, nothing else shows
    that nodes have found each other again. Asked for exchanges, nodes dial each other now and
    not when their pauses are over."""
    patience, pause = Patience(deadline), _pauses(interval)
    while not _linked(statuses := await look(observed)) and not patience.over:
        await _ask_for_exchanges(exchanges, statuses, _prompt(observed))
        await asyncio.sleep(next(pause))


def _pauses(interval: float) -> Iterator[float]:
    """Seconds between two looks: short ones first, as most of what is waited for comes soon."""
    pause = interval / 5
    while True:
        yield pause
        pause = min(2 * pause, interval)


async def _ask_for_exchanges(exchanges: Exchanges | None, statuses: Statuses, prompt: bool) -> None:
    if exchanges is None:
        return
    up = [node for node, status in statuses.items() if status is not None]
    if not prompt:
        await asyncio.gather(*map(exchanges.exchange, up))
        return
    for node in up:
        await exchanges.exchange(node)


def _linked(statuses: Statuses) -> bool:
    found = {node: status for node, status in statuses.items() if status is not None}
    return not any(
        any(not link.up for peer, link in (status.links or {}).items() if peer in found)
        or any(not _asked(view) for peer, view in status.peers.items() if peer in found)
        for status in found.values()
    )


def _asked(peer: PeerView) -> bool:
    """Whether a node asks this peer, or for want of it another one: a connection that is up may
    not be of any use yet."""
    return peer.up and not peer.suspected


async def until_idle(
    observed: Observed, deadline: float, interval: float = INTERVAL
) -> dict[str, dict[str, int]]:
    """Wait until no node has anything in progress, nor has repaired anything at two looks
    running; at most `deadline` seconds. Requests end a little later than the load, when their
    last replica has answered or timed out. Returns by node the least that was seen of each
    figure of IN_PROGRESS: what comes and goes, such as answers to other nodes, is not left over.
    """
    before, patience = None, Patience(deadline)
    least: dict[str, dict[str, int]] = {}
    while True:
        statuses = await look(observed)
        for node, status in statuses.items():
            _lower(least.setdefault(node, {}), {} if status is None else status.sizes)
        now = {node: status and status.read_repairs for node, status in statuses.items()}
        left = any(any(figures.values()) for figures in least.values())
        if (now == before and not left) or patience.over:
            return least
        before = now
        await asyncio.sleep(interval)


def _lower(least: dict[str, int], sizes: Mapping[str, int]) -> None:
    """Lower each figure that is nearer to nothing at this look."""
    for name in IN_PROGRESS:
        size = sizes.get(name)
        if size is not None and abs(size) <= abs(least.get(name, size)):
            least[name] = size


async def until_quiet(
    observed: Observed,
    dumps: ReplicaDumps | None,
    ring: RingView | None,
    deadline: float,
    interval: float = INTERVAL,
    exchanges: Exchanges | None = None,
    current: Callable[[], Awaitable[RingView | None]] | None = None,
) -> QuiesceOutcome:
    """Wait, without load, until the cluster is quiet, or is seen never to become so, or
    `deadline` seconds of a machine that is not busy have passed in which what is handed over did
    not become less: a slow disk takes its time for much. `ring`: None where replicas have no
    exchanges; `exchanges`: how to ask for them; `current`: how to read the ring again, where `ring`
    is that of a node which had not learned of the present one."""
    began = clock().monotonic()
    headway, pause = Headway(deadline), _pauses(interval)
    watch = Watch(set() if ring is None else replica_pairs(ring))
    while True:
        statuses = await look(observed)
        if ring is not None and current is not None and _is_past(ring, statuses):
            ring = await current() or ring
            watch = Watch(replica_pairs(ring))
        waiting = watch.waiting(statuses)
        if not waiting and dumps is not None:
            waiting = await _found_by_reading(observed, dumps, statuses)
            if "damaged" in waiting:
                watch.begin_anew()
        seconds = round(clock().monotonic() - began, 3)
        hopeless = watch.hopeless and (exchanges is None or seconds >= HOPELESS_AFTER)
        if not waiting or hopeless or headway.over(_left(waiting)):
            idle = {"idle": watch.idle} if watch.idle else {}
            outstanding = {**waiting, **idle, **_reasons(statuses)} if waiting else {}
            return QuiesceOutcome(not waiting, seconds, outstanding, watch.hopeless)
        await _ask_for_exchanges(exchanges, statuses, _prompt(observed))
        await asyncio.sleep(next(pause))


def _is_past(ring: RingView, statuses: Statuses) -> bool:
    """Whether all nodes agree on a later ring than this one."""
    known = {node: status for node, status in statuses.items() if status is not None}
    versions = {view.version for view in _memberships(known).values()}
    return len(versions) == 1 and ring.version is not None and max(versions) > ring.version


def _left(waiting: JsonObject) -> int:
    """How many hints and partitions have yet to be handed over."""
    return sum(sum(waiting.get(kind, {}).values()) for kind in ("hints", "transfers"))
