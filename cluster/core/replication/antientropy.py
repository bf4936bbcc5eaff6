"""Anti-entropy between two primaries (section 4.7): find what differs, and merge it.

The node that begins asks in four steps, each about less than the one before: the roots of
all partitions that the two share, the branches below a root that differs, the leaves
below a branch that differs, the keys in a leaf that differs. Then the differing keys
are merged, both ways, one question a key. Where nothing differs it ends after one
question; the cost follows the differences, not the data.
"""

from __future__ import annotations

from collections.abc import Callable, Container
from math import ceil

from dynamesis.cluster.core.protocol.messages import (
    Key,
    TreeKeys,
    TreeKeysReply,
    TreeLeaves,
    TreeLeavesReply,
    TreeRoots,
    TreeRootsReply,
)
from dynamesis.cluster.core.protocol.storage_reader import ReadFailed
from dynamesis.cluster.core.replication.key_barrier import KeyBarriers
from dynamesis.cluster.core.replication.replica import Replica
from dynamesis.cluster.core.replication.standing import ExchangeStatus, Standing
from dynamesis.cluster.core.replication.tree_exchange import Exchange
from dynamesis.cluster.core.runtime.runtime import Runtime
from dynamesis.cluster.core.storage.merkle import WIDTH
from dynamesis.cluster.core.storage.trees import Trees
from msgspec.structs import replace

#: while clients send requests, an exchange is begun with one in so many peers an interval
_TURNS = 4


TreeQuestion = TreeRoots | TreeLeaves | TreeKeys
TreeReply = TreeRootsReply | TreeLeavesReply | TreeKeysReply


class AntiEntropy:
    """Begins an exchange with every peer again and again, and answers theirs."""

    def __init__(
        self,
        runtime: Runtime,
        trees: Trees,
        replica: Replica,
        interval: float,
        timeout: float,
        healthy: Callable[[str], bool],
        barriers: KeyBarriers,
        *,
        exchange: type[Exchange],
        partners: Callable[[], dict[str, list[int]]],
        version: Callable[[], int],
        window: Callable[[], int],
        pause: Callable[[], float],
        on_synced: Callable[[str, list[int], int, float], None],
    ) -> None:
        """`interval`: seconds between exchanges, 0: none; `timeout`: seconds for each answer.
        `exchange`: the class of an exchange; `partners`: peer -> the partitions to compare with
        it; `version`: of the layout under which they are; `window`: how many keys an exchange
        may have under way; `pause`: seconds that it rests before it
        continues; `on_synced(peer, partitions, version, begun)` is called after each
        exchange without an error."""
        self.runtime = runtime
        self.barriers = barriers
        self.trees = trees
        self.replica = replica
        self.timeout = timeout
        self._interval = interval
        self._healthy = healthy
        self._running: dict[str, Exchange] = {}
        #: peer -> when an exchange with it was last begun
        self._begun: dict[str, float] = {}
        self.standing: dict[str, Standing] = {}
        #: what the last exchange with each peer that was logged was about
        self._logged: dict[str, tuple[int, list[int]]] = {}
        self.exchange = exchange
        self.partners = partners
        self.version = version
        self.window = window
        self.pause = pause
        self.on_synced = on_synced

    def start(self) -> None:
        if self._interval:
            self.runtime.every(self._interval, self.begin_due)

    def begin_all(self) -> None:
        """Begin an exchange with every healthy peer that shares a partition with this node."""
        if self.trees.complete:
            self._begin(self._able(self.partners()))

    def begin_due(self) -> None:
        """The same, as often as is due: while clients send requests, by turns. What is new (a peer,
        its partitions, the layout) is compared without waiting for its turn."""
        if not self.trees.complete:
            return
        partners = self.partners()
        able, version = self._able(partners), self.version()
        if self.pause():
            about = {peer: (version, partitions) for peer, partitions in able.items()}
            known = [peer for peer in able if self._logged.get(peer) == about[peer]]
            known.sort(key=lambda peer: self._begun.get(peer, 0.0))
            for peer in known[ceil(len(partners) / _TURNS) :]:
                del able[peer]
        self._begin(able)

    def _able(self, partners: dict[str, list[int]]) -> dict[str, list[int]]:
        """Of all partners, those with which an exchange can be begun now."""
        now = self.runtime.now
        self.standing = {peer: self.standing.get(peer, Standing(now)) for peer in partners}
        return {
            peer: partitions
            for peer, partitions in partners.items()
            if peer not in self._running and self._healthy(peer)
        }

    def _begin(self, partners: dict[str, list[int]]) -> None:
        for peer, partitions in partners.items():
            self._begun[peer] = self.runtime.now
            self._running[peer] = self.exchange(self, peer, partitions, self.version())
            self._running[peer].start()

    def finished(self, exchange: Exchange, error: str | None) -> None:
        """An exchange ended: cleanly, after repairs, or with an error."""
        peer = exchange.peer
        del self._running[peer]
        standing = self.standing.setdefault(peer, Standing(self.runtime.now))
        if error is not None:
            standing.clean, standing.failed = 0, True
            self.runtime.emit("exchange-failed", peer=peer, error=error)
            return
        if standing.failed:
            standing.failed = False
            self.runtime.emit("exchange-resumed", peer=peer, repaired=exchange.repaired)
        standing.rounds += 1
        standing.finished = self.runtime.now
        standing.clean = 0 if exchange.differed else standing.clean + 1
        standing.repaired += exchange.repaired
        self._log(exchange)
        self.on_synced(peer, exchange.partitions, exchange.version, exchange.begun)

    def _log(self, exchange: Exchange) -> None:
        """An exchange that found a difference, or is the first about these partitions under its
        layout: what a newcomer's readiness rests on can be read from the log."""
        about = (exchange.version, exchange.partitions)
        if exchange.differed or self._logged.get(exchange.peer) != about:
            self._logged[exchange.peer] = about
            fields = {"layout": exchange.version, "partitions": exchange.partitions}
            self.runtime.emit("exchange", peer=exchange.peer, repaired=exchange.repaired, **fields)

    def oldest(self) -> float:
        """Seconds since the last exchange with the peer that has waited longest for one; a
        peer that never had one has waited since it has been a peer."""
        ends = [s.since if s.finished is None else s.finished for s in self.standing.values()]
        return self.runtime.now - min(ends, default=self.runtime.now)

    def status(self) -> dict[str, ExchangeStatus]:
        return {
            peer: {
                "rounds": s.rounds,
                "clean": s.clean,
                "repaired": s.repaired,
                "age": None if s.finished is None else round(self.runtime.now - s.finished, 3),
            }
            for peer, s in self.standing.items()
        }

    # ---- the side that is asked

    def answer(self, asked: TreeQuestion, reply: Callable[[TreeReply], None]) -> None:
        """Answer once all that the answer is about is durable here: the trees have it before, and
        the node that asks may give up its own copies of what is the same."""
        about: Container[int]
        found: TreeReply
        match asked:
            case TreeRoots():
                about, found = asked.roots, self.differing_roots(asked)
            case TreeLeaves():
                about, found = asked.branches, self.leaves(asked)
            case _:
                about, found = asked.leaves, self.keys(asked)
        self.replica.when_partitions_saved(
            about, lambda code: reply(found if code is None else replace(found, error=code))
        )

    def differing_roots(self, asked: TreeRoots) -> TreeRootsReply:
        if not self.trees.complete:
            return TreeRootsReply(asked.rid, {}, "the trees are being made")
        if not self.replica.keeps_all(asked.roots):
            # the asking node would take what is about to be dropped here for a copy
            return TreeRootsReply(asked.rid, {}, "not-primary")
        ours = self.trees.roots()
        differ = [p for p, root in asked.roots.items() if ours.get(p, 0) != root]
        return TreeRootsReply(asked.rid, {p: self.trees.of(p).branches() for p in differ})

    def leaves(self, asked: TreeLeaves) -> TreeLeavesReply:
        found: dict[int, dict[int, int]] = {}
        for partition, branches in asked.branches.items():
            for branch in branches:
                if 0 <= branch < WIDTH:
                    leaves = self.trees.of(partition).leaves(branch)
                    found.setdefault(partition, {}).update(leaves)
        return TreeLeavesReply(asked.rid, found)

    def keys(self, asked: TreeKeys) -> TreeKeysReply:
        keys: dict[Key, int] = {}
        try:
            for partition, leaves in asked.leaves.items():
                keys.update(self.trees.keys(partition, leaves))
        except ReadFailed as e:
            return TreeKeysReply(asked.rid, {}, f"storage-read: {e}")
        return TreeKeysReply(asked.rid, keys)
