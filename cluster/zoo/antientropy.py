"""Bugs of anti-entropy: hash trees that are wrong, exchanges that end too early or never."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain

from dynamesis.cluster.core.node.node import Node
from dynamesis.cluster.core.node.parts import Parts
from dynamesis.cluster.core.protocol.messages import State
from dynamesis.cluster.core.protocol.storage_reader import ReadFailed
from dynamesis.cluster.core.replication.antientropy import AntiEntropy
from dynamesis.cluster.core.replication.tree_exchange import Exchange
from dynamesis.cluster.core.storage.buffer import Done
from dynamesis.cluster.core.storage.merkle import WIDTH
from dynamesis.cluster.core.storage.record_table import Record, RecordTable
from dynamesis.cluster.core.storage.row_keys import Row
from dynamesis.cluster.core.storage.trees import Trees


class _HalfCompared(Exchange):
    def differing(self, partition: int, theirs: list[int]) -> list[int]:
        return [b for b in super().differing(partition, theirs) if b < WIDTH // 2]


class AaeLastSegment(Node):
    """The last branches of a tree are never compared."""

    parts = Parts(exchange=_HalfCompared)


class _NotRehashed(RecordTable):
    _repairing = False

    def merge(
        self, row: Row, incoming: State, why: str, done: Done, durable: bool = True
    ) -> State | None:
        self._repairing = why == "anti-entropy"
        try:
            return super().merge(row, incoming, why, done, durable)
        finally:
            self._repairing = False

    def announce(self, row: Row, old: Record | None, new: Record | None) -> None:
        counted = old if old is not None else new
        super().announce(row, old, counted if self._repairing else new)


class AaeNoRehash(Node):
    """What a repair writes is not hashed: the trees differ for ever."""

    parts = Parts(objects=_NotRehashed)


class AaeOrderHash(Node):
    """A record's hash depends on the node that holds it: equal records never look equal."""

    def object_changed(self, row: Row, old: Record | None, new: Record | None) -> None:
        salt = sum(self.params.node.encode())
        super().object_changed(row, _salt(old, salt), _salt(new, salt))


def _salt(record: Record | None, salt: int) -> Record | None:
    return None if record is None else Record(record.state, record.actor, record.hash ^ salt)


class _Trusting(Trees):
    def recover(self) -> None:
        super().recover()
        self.runtime.every(1.0, self.put_away)


class AaeDirtyTree(Node):
    """The trees are written down now and then, and taken up after a crash as they are."""

    parts = Parts(trees=_Trusting)


class _Expiring(Trees):
    def expire(self) -> None:
        self.serving = None
        self.runtime.after(60.0, self.rebuild)


class AaeExpiredTree(Node):
    """An old tree is thrown away immediately, and made anew when its turn comes."""

    parts = Parts(trees=_Expiring)


class _Held(AntiEntropy):
    def finished(self, exchange: Exchange, error: str | None) -> None:
        if error not in ("timeout", "lost"):
            super().finished(exchange, error)


class HalfOpenSlot(Node):
    """An exchange whose peer went silent keeps its slot, and no other gets it."""

    parts = Parts(anti_entropy=_Held)


class _Brittle(RecordTable):
    def scan(self, prefix: bytes = b"", after: Row | None = None) -> Iterator[tuple[Row, Record]]:
        for row in chain(super().scan(prefix, after), (None,)):
            if self.damaged:
                raise ReadFailed("a row is damaged")
            if row is not None:
                yield row


class OneBadValue(Node):
    """A scan ends at the first row that is damaged, and with it whatever needed the scan."""

    parts = Parts(objects=_Brittle)
