"""What a node persists into: three ordered tables of bytes, written in atomic groups.

An engine promises three things. A group that `commit` returned from is there after any
crash of the process, and whole. A row that cannot be trusted raises, and is never a
not-found: a replica that mistakes damage for absence would answer for a key that it has
lost. Reads may run on the loop's thread while a commit runs on another.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from typing import Protocol
from zlib import crc32

from dynamesis.cluster.core.protocol.events import Table, Write
from dynamesis.cluster.core.protocol.storage_reader import Damaged, ReadFailed

TABLES: tuple[Table, ...] = ("objects", "hints", "meta")

_CHECKSUM = struct.Struct(">I")
_SEEDS = {table: crc32(table.encode()) for table in TABLES}


class StorageFailed(Exception):
    """The engine could not be opened, or could not commit. The message: why."""


class StorageDamaged(StorageFailed):
    """The database is damaged beyond its rows, and cannot be used."""


class ReadError(ReadFailed):
    """The engine could not read."""


class Corrupt(Damaged, ReadError):
    """The row does not match its checksum."""


class Engine(Protocol):
    """One node's storage. A `Reader` for the core, with the writing side for the shell."""

    #: whether commit() waits for a device, and so belongs on another thread than the loop
    blocking: bool
    #: whether what was committed outlives the process
    durable: bool

    def get(self, table: Table, key: bytes) -> bytes | None:
        """The row, or None if there is none. Raises ReadError."""

    def scan(
        self, table: Table, prefix: bytes = b"", after: bytes | None = None
    ) -> Iterator[tuple[bytes, bytes]]:
        """Rows whose key starts with `prefix`, in key order, strictly after `after`. Commits
        may come between two rows; each row is as it was when it was read. Raises ReadError."""

    def commit(self, writes: Sequence[Write]) -> None:
        """Store all writes, the last one to a key winning, or none; durable on return.
        Raises StorageFailed."""

    def close(self) -> None:
        """Release files; the engine is not used afterwards."""


def seal(table: Table, key: bytes, value: bytes) -> bytes:
    """`value` behind a CRC32 over table, key and value, so that a flipped bit is seen, and
    a row that strayed to another key too."""
    return _CHECKSUM.pack(crc32(value, crc32(key, _SEEDS[table]))) + value


def unseal(table: Table, key: bytes, row: bytes) -> bytes:
    """The value in a sealed row. Raises Corrupt."""
    if len(row) < _CHECKSUM.size:
        raise Corrupt(table, key)
    value = row[_CHECKSUM.size :]
    if _CHECKSUM.unpack_from(row)[0] != crc32(value, crc32(key, _SEEDS[table])):
        raise Corrupt(table, key)
    return value
