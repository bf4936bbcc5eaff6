"""Bugs of anti-entropy: trees that do not tell the truth."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain

from dynamesis.cluster.core.node.node import Node
from dynamesis.cluster.core.protocol.messages import State
from dynamesis.cluster.core.protocol.storage_reader import ReadFailed
from dynamesis.cluster.core.replication.antientropy import Exchange
from dynamesis.cluster.core.storage.buffer import Done
from dynamesis.cluster.core.storage.merkle import WIDTH
from dynamesis.cluster.core.storage.record_table import Record


def aae_last_segment(node: Node) -> None:
    """The last branches of a tree are never compared."""

    class ShortSighted(Exchange):
        def differing(self, partition: int, theirs: list[int]) -> list[int]:
            return [b for b in super().differing(partition, theirs) if b < WIDTH // 2]

    node.anti_entropy.exchange = ShortSighted


def aae_no_rehash(node: Node) -> None:
    """What a repair writes is not hashed: the trees differ for ever."""
    changed = node.trees.changed
    merge = node.objects.merge

    def silently(
        key: bytes, incoming: State, why: str, done: Done, durable: bool = True
    ) -> State | None:
        hears = node.objects.on_change
        if why == "anti-entropy":
            node.objects.on_change = _count_only
        try:
            return merge(key, incoming, why, done, durable)
        finally:
            node.objects.on_change = hears

    def _count_only(row: bytes, old: Record | None, new: Record | None) -> None:
        changed(row, old, old if old is not None else new)

    node.objects.merge = silently  # type: ignore[method-assign]


def aae_order_hash(node: Node) -> None:
    """A record's hash depends on who holds it: equal records never look equal."""
    changed = node.trees.changed
    salt = sum(node.params.node.encode())

    def salted(row: bytes, old: Record | None, new: Record | None) -> None:
        changed(row, _salt(old, salt), _salt(new, salt))

    node.objects.on_change = salted
    node.trees.changed = salted  # type: ignore[method-assign]


def aae_dirty_tree(node: Node) -> None:
    """The trees are written down now and then, and taken up after a crash as they are."""
    trees = node.trees
    recover = trees.recover

    def trust() -> None:
        recover()
        node.runtime.every(1.0, trees.put_away)

    trees.recover = trust  # type: ignore[method-assign]


def aae_expired_tree(node: Node) -> None:
    """An old tree is thrown away at once, and made anew when its turn comes."""
    trees = node.trees

    def expire() -> None:
        trees._serving = None
        node.runtime.after(60.0, trees.rebuild)

    trees._expire = expire  # type: ignore[method-assign]


def half_open_slot(node: Node) -> None:
    """An exchange whose peer went silent keeps its slot, and no other gets it."""
    finished = node.anti_entropy.finished

    def hold(exchange: Exchange, error: str | None) -> None:
        if error not in ("timeout", "lost"):
            finished(exchange, error)

    node.anti_entropy.finished = hold  # type: ignore[method-assign]


def one_bad_value(node: Node) -> None:
    """A scan ends at the first row that is damaged, and with it whatever needed the scan."""
    objects = node.objects
    scan = objects.scan

    def brittle(prefix: bytes = b"", after: bytes | None = None) -> Iterator[tuple[bytes, Record]]:
        for row in chain(scan(prefix, after), (None,)):
            if objects.damaged:
                raise ReadFailed("a row is damaged")
            if row is not None:
                yield row

    objects.scan = brittle  # type: ignore[method-assign]


def _salt(record: Record | None, salt: int) -> Record | None:
    return None if record is None else Record(record.state, record.actor, record.hash ^ salt)
