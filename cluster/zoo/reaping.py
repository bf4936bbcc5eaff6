"""Bugs of deletes: tombstones that go too early, or were never there."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from dynamesis.cluster.core.node.node import Node
from dynamesis.cluster.core.node.parts import Parts
from dynamesis.cluster.core.protocol.messages import Answer, Reap, ReapReply, State
from dynamesis.cluster.core.replication.tombstone_reaper import TombstoneReaper, Vote, is_tombstone
from dynamesis.cluster.core.runtime.runtime import Failure
from dynamesis.cluster.core.storage.buffer import Done
from dynamesis.cluster.core.storage.outlines import Outline
from dynamesis.cluster.core.storage.record_table import Record, RecordTable
from dynamesis.cluster.core.storage.row_keys import Row


class _Unopposed(TombstoneReaper):
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.ping = self._answered_immediately

    def _answered_immediately(self, peer: str, done: Callable[[Answer | Failure], None]) -> None:
        self.runtime.soon(lambda: done(ReapReply(0, ())))

    def put(self, member: str, question: Reap, vote: Vote) -> None:
        keys = tuple(question.keys)
        super().put(member, question, vote if member == self.node else lambda _: vote(keys))


class ReapAtW(Node):
    """All are asked and none can object: a tombstone goes once those that have it agree."""

    parts = Parts(reaper=_Unopposed)


class _NamedAsBefore(RecordTable):
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._names: dict[bytes, str] = {}

    def actor_for(self, row: Row, old: Record | Outline | None, context: State) -> str:
        if row not in self._names:
            self._names[row] = super().actor_for(row, old, context)
        return self._names[row]


class Doomstone(ReapAtW):
    """A key that is created again is stamped as before it was reaped, and a tombstone that
    a fallback has kept meanwhile knows that name."""

    parts = Parts(reaper=_Unopposed, objects=_NamedAsBefore)


class _WithoutTombstones(RecordTable):
    def write(
        self, row: Row, old: Record | None, new: Record | None, done: Done, durable: bool
    ) -> None:
        gone = new is not None and is_tombstone(new.state)
        super().write(row, old, None if gone else new, done, durable)


class HardDelete(Node):
    """Each replica deletes physically, and nothing marks an old value as deleted."""

    parts = Parts(objects=_WithoutTombstones)
