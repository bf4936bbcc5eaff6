"""One exchange of anti-entropy, on the side that began it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

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
from dynamesis.cluster.core.runtime.runtime import Failure
from dynamesis.cluster.core.storage.merkle import WIDTH

if TYPE_CHECKING:
    from dynamesis.cluster.core.replication.antientropy import AntiEntropy

#: so few that neither side is held up by reading them
_LEAVES_TOGETHER = 32


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
