"""How the core reads what it persisted earlier: synchronously, through this protocol.

Writes never go this way: they are Persist effects, so that a crash between a write and
its acknowledgement is an ordinary event.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

from .events import Table


class ReadFailed(Exception):
    """A stored row could not be read or failed its checksum. Never a not-found. `key` names
    the row if it alone is bad, and a scan can go on behind it."""

    key: bytes | None = None


class Reader(Protocol):
    def get(self, table: Table, key: bytes) -> bytes | None:
        """The row, or None if there is none. Raises ReadFailed."""

    def scan(
        self, table: Table, prefix: bytes = b"", after: bytes | None = None
    ) -> Iterator[tuple[bytes, bytes]]:
        """Rows whose key starts with `prefix`, in key order, strictly after `after`."""
