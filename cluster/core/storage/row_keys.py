"""How rows are named on disk.

An object's row begins with its partition and its leaf in the partition's hash tree, so
that all keys of a partition, or of one leaf, lie together. A hint's row begins with the
node that it is for.
"""

from __future__ import annotations

from dynamesis.cluster.core.storage.merkle import leaf_of

_PLACE = 4


def object_row(partition: int, key: bytes) -> bytes:
    return leaf_prefix(partition, leaf_of(key)) + key


def leaf_prefix(partition: int, leaf: int) -> bytes:
    """What the rows of all keys in one leaf begin with."""
    return partition.to_bytes(2, "big") + leaf.to_bytes(2, "big")


def partition_prefix(partition: int) -> bytes:
    """What the rows of all keys in one partition begin with."""
    return partition.to_bytes(2, "big")


def split_object(row: bytes) -> tuple[int, bytes]:
    """(partition, key) of an object's row."""
    return int.from_bytes(row[:2], "big"), row[_PLACE:]


def hint_row(target: str, key: bytes) -> bytes:
    """The row of the hint that is kept for `target`; node ids contain no NUL."""
    return target.encode() + b"\0" + key


def split_hint(row: bytes) -> tuple[str, bytes]:
    """(target, key) of a hint's row."""
    target, _, key = row.partition(b"\0")
    return target.decode(), key


def object_label(row: bytes) -> dict[str, object]:
    """How an object's row is named in the event log."""
    return {"key": split_object(row)[1]}


def hint_label(row: bytes) -> dict[str, object]:
    """How a hint's row is named in the event log."""
    target, key = split_hint(row)
    return {"key": key, "hint_for": target}
