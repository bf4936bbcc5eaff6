"""Anti-entropy between two primaries (section 4.7): find what differs, and merge it.

The node that begins asks in four steps, each about less than the one before: the roots of
all partitions that the two share, the branches below a root that differs, the leaves
below a branch that differs, the keys in a leaf that differs. Then the differing keys
are merged, both ways, one question a key. Where nothing differs it ends after one
question; the cost follows the differences, not the data.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from math import ceil

from dynamesis.cluster.core.protocol.messages import (
    Answer,
    Key,
    State,
    SyncKey,
    SyncKeyReply,
    TreeKeys,
    TreeKeysReply,
    TreeLeaves,
    TreeLeavesReply,
    TreeRoots,
    TreeRootsReply,
)
from dynamesis.cluster.core.protocol.storage_reader import Damaged, ReadFailed
from dynamesis.cluster.core.replication.key_barrier import KeyBarriers
from dynamesis.cluster.core.replication.replica import Replica
from dynamesis.cluster.core.replication.standing import ExchangeStatus, Standing
from dynamesis.cluster.core.runtime.runtime import Failure, Runtime
from dynamesis.cluster.core.storage.merkle import WIDTH
from dynamesis.cluster.core.storage.trees import Trees

#: so few that neither side is held up by reading them
_LEAVES_TOGETHER = 32
#: while clients send requests, an exchange is begun with one in so many peers an interval
_TURNS = 4


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


class Exchange:
    """One exchange, on the side that began it."""

    def __init__(self, owner: AntiEntropy, peer: str, partitions: list[int], version: int) -> None:
        self.peer = peer
        self.partitions = partitions
        self.version = version
        self.begun = owner.runtime.now
        self.differed = False
        self.repaired = 0
        self._owner = owner
        self._leaves_left: list[tuple[int, int]] = []
        self._todo: Iterator[Key] = iter(())
        self._open = 0
        self._since = 0.0  # when those that are open were begun with
        self._error: str | None = None
        self._broken = False
        self._resting = False

    def start(self) -> None:
        ours = self._owner.trees.roots()
        roots = {p: ours.get(p, 0) for p in self.partitions}
        self._owner.runtime.call(
            self.peer, lambda rid: TreeRoots(rid, roots), self._owner.timeout, self._roots
        )

    def _roots(self, answer: Answer | Failure) -> None:
        if not isinstance(answer, TreeRootsReply) or answer.error:
            self._fail(answer)
            return
        differing = {p: self.differing(p, theirs) for p, theirs in answer.branches.items()}
        differing = {p: branches for p, branches in differing.items() if branches}
        if not differing:
            self._end()
            return
        self.differed = True
        self._owner.runtime.call(
            self.peer, lambda rid: TreeLeaves(rid, differing), self._owner.timeout, self._leaves
        )

    def differing(self, partition: int, theirs: list[int]) -> list[int]:
        """The branches of a partition that are not the same here and there."""
        ours = self._owner.trees.of(partition).branches()
        return [i for i, pair in enumerate(zip(ours, theirs, strict=False)) if pair[0] != pair[1]]

    def _leaves(self, answer: Answer | Failure) -> None:
        if not isinstance(answer, TreeLeavesReply) or answer.error:
            self._fail(answer)
            return
        self._leaves_left = [
            (partition, leaf)
            for partition, theirs in answer.leaves.items()
            for leaf in self.differing_leaves(partition, theirs)
        ]
        self._ask_keys()

    def _ask_keys(self) -> None:
        """Ask for the keys of the next leaves that differ; the end when there are none."""
        left, leaves = self._leaves_left, dict[int, list[int]]()
        batch, self._leaves_left = left[:_LEAVES_TOGETHER], left[_LEAVES_TOGETHER:]
        if not batch:
            self._end()
            return
        for partition, leaf in batch:
            leaves.setdefault(partition, []).append(leaf)
        self._owner.runtime.call(
            self.peer,
            lambda rid: TreeKeys(rid, leaves),
            self._owner.timeout,
            lambda answer: self._keys(leaves, answer),
        )

    def differing_leaves(self, partition: int, theirs: dict[int, int]) -> list[int]:
        ours: dict[int, int] = {}
        for branch in dict.fromkeys(leaf // WIDTH for leaf in theirs):
            ours.update(self._owner.trees.of(partition).leaves(branch))
        return [leaf for leaf, theirs_hash in theirs.items() if ours.get(leaf) != theirs_hash]

    def _keys(self, leaves: dict[int, list[int]], answer: Answer | Failure) -> None:
        if not isinstance(answer, TreeKeysReply) or answer.error:
            self._fail(answer)
            return
        ours: dict[Key, int] = {}
        try:
            for partition, numbers in leaves.items():
                ours.update(self._owner.trees.keys(partition, numbers))
        except ReadFailed as e:
            self._fail(f"storage-read: {e}")
            return
        both = {**ours, **answer.keys}
        self._todo = iter([k for k in both if ours.get(k) != answer.keys.get(k)])
        self._next()

    # ---- merging what differs

    def _next(self) -> None:
        self._since = self._since if self._open else self._owner.runtime.now
        while self._open < self._owner.window() and not self._broken:
            key = next(self._todo, None)
            if key is None:
                break
            self._open += 1
            self._sync(key)
        if self._open:
            return
        if self._broken:
            self._end()
        else:
            self._ask_keys()

    def _sync(self, key: Key) -> None:
        self._owner.barriers.enter(key)
        try:
            record = self._owner.replica.own(key)
        except Damaged:
            record = None  # what the peer has takes its place
        except ReadFailed:
            # not immediately: the caller that begins the next key has not returned yet
            self._owner.runtime.soon(lambda: self._synced(key, "storage-read"))
            return
        state = None if record is None else record.state
        self._owner.replica.when_saved(key, lambda code: self._send(key, state, code))

    def _send(self, key: Key, state: State | None, code: str | None) -> None:
        """Send our state of a key, once it is durable; `code`: why it is not."""
        if code is not None:
            self._synced(key, code)
            return
        self._owner.runtime.call(
            self.peer,
            lambda rid: SyncKey(rid, key, state),
            self._owner.timeout,
            lambda answer: self._merge(key, answer),
        )

    def _merge(self, key: Key, answer: Answer | Failure) -> None:
        if not isinstance(answer, SyncKeyReply) or answer.error:
            self._broken = isinstance(answer, str)  # the peer is lost, not just one record
            self._synced(key, _reason(answer))
        elif answer.state is None or not self._owner.replica.holds(key):
            self._synced(key, None)
        else:
            self._owner.replica.put(
                key, answer.state, None, "anti-entropy", lambda code: self._synced(key, code)
            )

    def _synced(self, key: Key, error: str | None) -> None:
        self._owner.barriers.leave(key)
        self._open -= 1
        if error is None:
            self.repaired += 1
        else:
            self._error = error
        pause, runtime = self._owner.pause(), self._owner.runtime
        if self._resting:
            return  # it continues when it has rested, once
        if pause:  # as long as they took: a busy machine gives this half of its time at most
            self._resting = True
            runtime.after(max(pause, runtime.now - self._since), self._rested)
        else:
            self._next()

    def _rested(self) -> None:
        self._resting = False
        self._next()

    # ---- ends

    def _fail(self, answer: Answer | Failure | str) -> None:
        self._error = _reason(answer)
        self._end()

    def _end(self) -> None:
        self._owner.finished(self, self._error)


def _reason(answer: Answer | str) -> str:
    if isinstance(answer, str):
        return answer
    return str(getattr(answer, "error", None) or "unexpected answer")
