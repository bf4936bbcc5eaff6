"""Rows in dictionaries, gone with the process: for what needs no durability, and as the
reference that the durable engine is tested against."""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterator, Sequence
from pathlib import Path

from dynamesis.cluster.core.protocol.events import Table, Write
from dynamesis.cluster.storage.base import TABLES, seal, unseal


class MemoryEngine:
    blocking = False
    durable = False

    def __init__(self, folder: Path, map_size: int) -> None:
        self._rows: dict[Table, dict[bytes, bytes]] = {table: {} for table in TABLES}
        self._keys: dict[Table, list[bytes]] = {table: [] for table in TABLES}

    def get(self, table: Table, key: bytes) -> bytes | None:
        row = self._rows[table].get(key)
        return None if row is None else unseal(table, key, row)

    def scan(
        self, table: Table, prefix: bytes = b"", after: bytes | None = None
    ) -> Iterator[tuple[bytes, bytes]]:
        keys = self._keys[table]
        at = bisect_left(keys, prefix)
        if after is not None:
            at = max(at, bisect_right(keys, after))
        while at < len(keys) and (key := keys[at]).startswith(prefix):
            yield key, unseal(table, key, self._rows[table][key])
            at = bisect_right(keys, key)

    def commit(self, writes: Sequence[Write]) -> None:
        for write in writes:
            rows, keys = self._rows[write.table], self._keys[write.table]
            if write.value is not None:
                if write.key not in rows:
                    insort(keys, write.key)
                rows[write.key] = seal(write.table, write.key, write.value)
            elif rows.pop(write.key, None) is not None:
                del keys[bisect_left(keys, write.key)]

    def close(self) -> None:
        self._rows.clear()
