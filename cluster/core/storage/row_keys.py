"""How rows are named on disk.

An object's row begins with its partition and its leaf in the partition's hash tree, so
that all keys of a partition, or of one leaf, lie together. A hint's row begins with the
node that it is for.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NewType

from dynamesis.cluster.core.protocol.messages import Key
from dynamesis.cluster.core.storage.merkle import leaf_of

#: the name of a row: of an object or of a hint
Row = NewType("Row", bytes)

#: bytes of an object's row before its key: two of the partition, two of the leaf
PLACE = 4


@lru_cache(maxsize=2048)
def object_row(partition: int, key: Key) -> Row:
    return Row(leaf_prefix(partition, leaf_of(key)) + key)


def leaf_prefix(partition: int, leaf: int) -> bytes:
    """What the rows of all keys in one leaf begin with."""
    return partition.to_bytes(2, "big") + leaf.to_bytes(2, "big")


def partition_prefix(partition: int) -> bytes:
    """What the rows of all keys in one partition begin with."""
    return partition.to_bytes(2, "big")


@lru_cache(maxsize=2048)
def split_object(row: Row) -> tuple[int, Key]:
    """(partition, key) of an object's row."""
    return int.from_bytes(row[:2], "big"), Key(row[PLACE:])


def hint_row(target: str, key: Key) -> Row:
    """The row of the hint that is kept for `target`; node ids contain no NUL."""
    return Row(target.encode() + b"\0" + key)


def split_hint(row: Row) -> tuple[str, Key]:
    """(target, key) of a hint's row."""
    target, _, key = row.partition(b"\0")
    return target.decode(), Key(key)


def object_label(row: Row) -> dict[str, object]:
    """How an object's row is named in the event log."""
    return {"key": split_object(row)[1]}


def hint_label(row: Row) -> dict[str, object]:
    """How a hint's row is named in the event log."""
    target, key = split_hint(row)
    return {"key": key, "hint_for": target}
