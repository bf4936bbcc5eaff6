"""How the core reads what it persisted earlier: synchronously, through this protocol.

Writes never go this way: they are Persist effects, so that a crash between a write and
its acknowledgement is an ordinary event.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

from dynamesis.cluster.core.protocol.events import Table


class ReadFailed(Exception):
    """A stored row could not be read or failed its checksum. Never a not-found."""


class Damaged(ReadFailed):
    """The row of `key` in `table` is there, and is not what was written. Nothing can be
    known from it; rows after it can still be read: scan(table, prefix, after=error.key)."""

    def __init__(self, table: Table, key: bytes) -> None:
        super().__init__(f"{table}: the row of {key!r} is not what was written")
        self.table = table
        self.key = key


class Reader(Protocol):
    #: whether what is stored outlives the process
    durable: bool

    def get(self, table: Table, key: bytes) -> bytes | None:
        """The row, or None if there is none. Raises ReadFailed."""

    def scan(
        self, table: Table, prefix: bytes = b"", after: bytes | None = None
    ) -> Iterator[tuple[bytes, bytes]]:
        """Rows whose key starts with `prefix`, in key order, strictly after `after`."""
