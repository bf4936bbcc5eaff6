"""Group commit of a simulated node, as cluster.storage.committer does it."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from typing import TYPE_CHECKING

from dynamesis.cluster.core.protocol.events import Persist, Persisted, PersistFailed
from dynamesis.cluster.storage.base import StorageFailed

if TYPE_CHECKING:
    from dynamesis.harness.worlds.simulated.node import NodeLife


class Batches:
    """What one life of a node commits, in groups."""

    def __init__(self, node: NodeLife, fsync: tuple[float, float], alone: bool) -> None:
        """`fsync`: least and most s that a sync takes; `alone`: every batch is synced by itself."""
        self._node = node
        self._fsync = fsync
        self._alone = alone
        self._waiting: deque[Persist] = deque()
        self._busy = False

    @property
    def idle(self) -> bool:
        """Whether everything asked for has been reported."""
        return not self._busy

    def persist(self, batch: Persist) -> None:
        """Store `batch` after all before it; then post Persisted or PersistFailed."""
        node = self._node
        if not node.blocking:
            node.post(self._one(batch))
            return
        self._waiting.append(batch)
        if not self._busy:
            self._busy = True
            node.later(0.0, self._start)  # what else comes at this moment goes along

    def _start(self) -> None:
        node, waiting = self._node, self._waiting
        if self._alone:
            group = [waiting.popleft()]
        else:
            group = list(waiting)
            waiting.clear()
        before, after = node.disk.delays()
        sync = self._sync_time()
        perturber, failing = node.network.perturber, dict[int, str]()
        if perturber.rare:
            for batch in group:
                found = perturber.on(batch)
                sync += found.delay
                if found.fails:
                    failing[batch.token] = found.fails
        there = node.roll() * sync
        node.later(before + there, self._store, group, after + sync - there, failing)

    def _store(self, group: list[Persist], rest: float, failing: Mapping[int, str]) -> None:
        """`failing`: the batches that are not stored, by token, and why."""
        outcomes = self._some_stored(group, failing) if failing else self._commit(group)
        if self._node.network.story is not None:
            self._note(group, outcomes)
        self._node.later(rest, self._done, outcomes)

    def _some_stored(
        self, group: list[Persist], failing: Mapping[int, str]
    ) -> list[Persisted | PersistFailed]:
        stored = [batch for batch in group if batch.token not in failing]
        by_token = dict(zip([b.token for b in stored], self._commit(stored), strict=True))
        for token, reason in failing.items():
            by_token[token] = PersistFailed(token, reason)
        return [by_token[batch.token] for batch in group]

    def _sync_time(self) -> float:
        """s that the disk takes to sync, this time."""
        least, most = self._fsync
        return least + self._node.roll() * (most - least)

    def _note(self, group: list[Persist], outcomes: list[Persisted | PersistFailed]) -> None:
        """A line of the story for each batch."""
        for batch, outcome in zip(group, outcomes, strict=True):
            what = "stored" if isinstance(outcome, Persisted) else "failed"
            self._node.network.note(what, self._node.name, "", batch.writes)

    def _commit(self, group: list[Persist]) -> list[Persisted | PersistFailed]:
        if len(group) > 1:
            try:
                self._node.disk.commit([write for batch in group for write in batch.writes])
            except StorageFailed:
                pass
            else:
                return [Persisted(batch.token) for batch in group]
        return [self._one(batch) for batch in group]

    def _one(self, batch: Persist) -> Persisted | PersistFailed:
        try:
            self._node.disk.commit(batch.writes)
        except StorageFailed as error:
            return PersistFailed(batch.token, str(error))
        return Persisted(batch.token)

    def _done(self, outcomes: list[Persisted | PersistFailed]) -> None:
        self._busy = bool(self._waiting)
        if self._busy:
            self._start()
        for outcome in outcomes:
            self._node.post(outcome)
