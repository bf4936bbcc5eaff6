"""Waits until the cluster is quiet: nothing left to hand off, nothing left to repair, and
every node able to read what it holds.

Anti-entropy proves agreement only for what already lies on the primaries, and hints
still bring more. So the count of clean exchanges begins anew whenever a hint or a
transfer is seen, or a node does not answer: from the last such moment, every pair of
replicas must finish two consecutive exchanges that found nothing to repair.

An exchange is about every key that differs, so without load a pair is equal after a few.
One that finds differences again and again will find them for ever: the wait ends there,
not at the deadline.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from typing import Any

from dynamesis.checkers.dynamo.ring import CheckedRing
from dynamesis.harness.processes.patience import Patience
from dynamesis.harness.targets.capabilities import IN_PROGRESS, Observed, Quiet, ReplicaDumps

#: Pause between two looks at the cluster, s.
INTERVAL = 0.1
#: Consecutive exchanges with nothing to repair that each pair of replicas must finish.
CLEAN = 2
#: Exchanges after which a pair that still differs is taken to differ for ever.
HOPELESS = 12

Statuses = Mapping[str, dict[str, Any] | None]
Rounds = Mapping[tuple[str, str], dict[str, int]]


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
    waiting: dict[str, Any]
    in_vain: dict[str, dict[str, int]] = field(default_factory=dict)
    waited: float | None = None

    def as_value(self) -> dict[str, Any]:
        value = {"quiet": self.quiet, "seconds": self.seconds, "waiting": self.waiting}
        value |= {"in_vain": self.in_vain} if self.in_vain else {}
        return value | ({} if self.waited is None else {"waited": self.waited})


@dataclass
class Watch:
    """Judges looks at the cluster, one after the other. `hopeless` once all that the last
    look still waited for are pairs whose exchanges repair and repair and come to no end:
    by pair, how many exchanges there were since the count began, and keys repaired. `idle`: the
    pairs that it waited for and that have finished none since."""

    pairs: set[tuple[str, str]]
    hopeless: dict[str, dict[str, int]] = field(default_factory=dict)
    idle: list[str] = field(default_factory=list)
    _base: dict[tuple[str, str], dict[str, int]] = field(default_factory=dict)

    def waiting(self, statuses: Statuses) -> dict[str, Any]:
        """What is still outstanding at this look: {} when the cluster is quiet."""
        moving = _moving(statuses)
        if moving:
            self._base, self.hopeless, self.idle = {}, {}, []
            return moving
        rounds = {
            (node, peer): exchange
            for node, status in statuses.items()
            for peer, exchange in (status or {})["exchanges"].items()
        }
        for link, exchange in rounds.items():
            self._base.setdefault(link, exchange)
        late = [pair for pair in sorted(self.pairs) if not self._agreed(pair, rounds)]
        vain = {f"{a}-{b}": self._in_vain((a, b), rounds) for a, b in late}
        self.hopeless = vain if all(vain.values()) else {}
        self.idle = [f"{a}-{b}" for a, b in late if not self._ended((a, b), rounds)]
        return {"exchanges": [f"{a}-{b}" for a, b in late]} if late else {}

    def _ended(self, pair: tuple[str, str], rounds: Rounds) -> bool:
        return any(done["rounds"] for _, done in self._since(pair, rounds))

    def _agreed(self, pair: tuple[str, str], rounds: Rounds) -> bool:
        return any(
            seen["clean"] >= CLEAN and done["rounds"] >= CLEAN
            for seen, done in self._since(pair, rounds)
        )

    def _in_vain(self, pair: tuple[str, str], rounds: Rounds) -> dict[str, int]:
        """What a pair did since the count began, all for nothing; {} while there is hope."""
        for seen, done in self._since(pair, rounds):
            if seen["clean"] == 0 and done["rounds"] >= HOPELESS:
                return done
        return {}

    def _since(
        self, pair: tuple[str, str], rounds: Rounds
    ) -> Iterator[tuple[dict[str, int], dict[str, int]]]:
        """How exchanges went, and what was done since the count began, on either side:
        whichever of the two began them, they compare both ways."""
        for link in (pair, pair[::-1]):
            if link in rounds:
                now, then = rounds[link], self._base[link]
                counts = ("rounds", "repaired")
                yield now, {each: now.get(each, 0) - then.get(each, 0) for each in counts}


def _moving(statuses: Statuses) -> dict[str, Any]:
    found: dict[str, Any] = {}
    silent = [node for node, status in statuses.items() if status is None]
    if silent:
        found["silent"] = silent
    views = {node: (status or {}).get("membership") or {} for node, status in statuses.items()}
    if unsettled := [node for node, view in views.items() if not view.get("settled", True)]:
        found["unsettled"] = unsettled
    versions = {node: view["version"] for node, view in views.items() if "version" in view}
    if len(set(versions.values())) > 1:
        found["membership"] = versions
    trees = {node: (status or {}).get("trees") or {} for node, status in statuses.items()}
    if reading := [node for node, each in trees.items() if each.get("rebuilding")]:
        found["rebuilding"] = reading
    if without := [node for node, each in trees.items() if not each.get("complete", True)]:
        found["treeless"] = without
    for what in ("hints", "transfers"):
        left = {node: status[what] for node, status in statuses.items() if status and status[what]}
        if left:
            found[what] = left
    return found


def _reasons(statuses: Statuses) -> dict[str, Any]:
    """Possible causes: the targets of hints, the peers that nodes suspect, the version of the
    membership that they know where that is not settled, and rows that they cannot read."""
    known_of = {node: status or {} for node, status in statuses.items()}
    targets: Counter[str] = Counter()
    for status in known_of.values():
        targets.update(status.get("hints_for") or {})
    rows = {node: status["damaged"] for node, status in known_of.items() if status.get("damaged")}
    suspects = {node: _suspected(status) for node, status in known_of.items()}
    views = {node: status.get("membership") or {} for node, status in known_of.items()}
    known = {node: view.get("version") for node, view in views.items()}
    unsettled = not all(view.get("settled", True) for view in views.values())
    found = {
        "hints_for": dict(sorted(targets.items())),
        "suspects": {node: ", ".join(peers) for node, peers in suspects.items() if peers},
        "versions": known if unsettled else {},
        "damaged": rows,
    }
    return {what: counts for what, counts in found.items() if counts}


def _suspected(status: Mapping[str, Any]) -> list[str]:
    peers = status.get("peers") or {}
    return [peer for peer, seen in peers.items() if seen.get("suspected")]


async def _unreadable(nodes: Sequence[str], dumps: ReplicaDumps) -> dict[str, Any]:
    """Nodes that answer, and cannot read what they hold."""
    answers = await asyncio.gather(*map(dumps.dump, nodes), return_exceptions=True)
    found = zip(nodes, answers, strict=True)
    unreadable = [node for node, answer in found if isinstance(answer, ValueError)]
    return {"unreadable": unreadable} if unreadable else {}


def replica_pairs(ring: Mapping[str, Any]) -> set[tuple[str, str]]:
    """Every two nodes that are primaries of a common partition, each pair in order. `ring`
    is as harness.targets.capabilities.Placements returns it."""
    placed = CheckedRing.of_node(ring, ring["n"])
    groups = {placed.holders(partition) for partition in range(len(placed.owners))}
    return {pair for group in groups for pair in combinations(sorted(group), 2)}


async def look(observed: Observed) -> dict[str, dict[str, Any] | None]:
    """Every node's status at about the same time."""
    answers = await asyncio.gather(*(observed.status(node) for node in observed.nodes))
    return dict(zip(observed.nodes, answers, strict=True))


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
            _lower(least.setdefault(node, {}), status or {})
        now = {node: (status or {}).get("read_repairs") for node, status in statuses.items()}
        left = any(any(figures.values()) for figures in least.values())
        if (now == before and not left) or patience.over:
            return least
        before = now
        await asyncio.sleep(interval)


def _lower(least: dict[str, int], status: Mapping[str, Any]) -> None:
    """Lower each figure that is nearer to nothing at this look."""
    for name in IN_PROGRESS:
        size = status.get(name)
        if isinstance(size, int) and abs(size) <= abs(least.get(name, size)):
            least[name] = size


async def until_quiet(
    observed: Observed,
    dumps: ReplicaDumps | None,
    ring: Mapping[str, Any],
    deadline: float,
    interval: float = INTERVAL,
    exchanges: bool = True,
) -> QuiesceOutcome:
    """Wait, without load, until the cluster is quiet, or is seen never to become so, or
    `deadline` seconds of a machine that is not busy have passed. `exchanges`: whether replicas
    have any."""
    began = time.monotonic()
    patience = Patience(deadline)
    watch = Watch(replica_pairs(ring) if exchanges else set())
    while True:
        statuses = await look(observed)
        waiting = watch.waiting(statuses) or (
            {} if dumps is None else await _unreadable(observed.nodes, dumps)
        )
        seconds = round(time.monotonic() - began, 3)
        if not waiting or watch.hopeless or patience.over:
            idle = {"idle": watch.idle} if watch.idle else {}
            outstanding = {**waiting, **idle, **_reasons(statuses)} if waiting else {}
            return QuiesceOutcome(not waiting, seconds, outstanding, watch.hopeless)
        await asyncio.sleep(interval)


async def until_at_rest(
    quiet: Quiet, deadline: float, interval: float = INTERVAL
) -> QuiesceOutcome:
    """Wait, without load, until the store reports that it is at rest, or `deadline` seconds of
    a machine that is not busy have passed."""
    began, patience = time.monotonic(), Patience(deadline)
    waiting: dict[str, Any] = {"at_rest": False}
    while waiting and not patience.over:
        try:
            waiting = {} if await quiet.at_rest() else {"at_rest": False}
        except Exception as failure:
            waiting = {"at_rest": f"{type(failure).__name__}: {failure}"}
        if waiting:
            await asyncio.sleep(interval)
    return QuiesceOutcome(not waiting, round(time.monotonic() - began, 3), waiting)


async def wait_for(seconds: float) -> QuiesceOutcome:
    """Wait for so many s, where a store cannot report that it is at rest."""
    await asyncio.sleep(seconds)
    return QuiesceOutcome(True, seconds, {}, waited=seconds)
