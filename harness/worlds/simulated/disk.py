"""The disk of a simulated node: what outlives its process, and how it fails.

The same as cluster.storage.faulty does to a real engine, without waiting: how long a commit takes
is asked beforehand (`delays`), and the node's shell lets that time pass.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterator, Sequence

from dynamesis.cluster.core.protocol.events import Table, Write
from dynamesis.cluster.storage.base import TABLES, ReadError, StorageFailed, seal, unseal
from dynamesis.cluster.storage.faulty import DATA, Fault, checked_fault


class SimulatedDisk:
    """Rows in dictionaries, and a fault at a time: a cluster.core Reader with its writing side.

    durable: whether it outlives the process
    """

    def __init__(self, durable: bool) -> None:
        self.durable = durable
        self.counts: dict[str, int] = {}
        self._rows: dict[str, dict[bytes, bytes]] = {table: {} for table in TABLES}
        self._keys: dict[str, list[bytes]] = {table: [] for table in TABLES}
        self._fault: Fault = "none"
        self._seconds = 0.0
        self._flipped: dict[tuple[str, bytes], bytes] = {}
        #: whether the last life of the node left it, so that it is not a copy
        self._left = False

    def begin(self) -> bool:
        """A life of the node begins, with a sound disk. Whether the last one left it so."""
        self._fault, self._seconds = "none", 0.0
        self._flipped.clear()
        self.counts = {}
        intact, self._left = self._left, self.durable
        return intact

    def copy(self) -> SimulatedDisk:
        """A copy of what is on it, which no life of the node has left."""
        copied = SimulatedDisk(self.durable)
        copied._rows = {table: dict(rows) for table, rows in self._rows.items()}
        copied._keys = {table: list(keys) for table, keys in self._keys.items()}
        return copied

    # ---- reading

    def get(self, table: Table, key: bytes) -> bytes | None:
        if self._fault == "read-error":
            self._unreadable(table)
        if self._flipped and (table, key) in self._flipped:
            return unseal(table, key, self._flipped[table, key])
        return self._rows[table].get(key)

    def scan(
        self, table: Table, prefix: bytes = b"", after: bytes | None = None
    ) -> Iterator[tuple[bytes, bytes]]:
        keys, rows = self._keys[table], self._rows[table]
        at = bisect_left(keys, prefix)
        if after is not None:
            at = max(at, bisect_right(keys, after))
        while at < len(keys) and (key := keys[at]).startswith(prefix):
            if self._fault == "read-error":
                self._unreadable(table)
            if self._flipped and (table, key) in self._flipped:
                yield key, unseal(table, key, self._flipped[table, key])
            else:
                yield key, rows[key]
            at = bisect_right(keys, key)

    def _unreadable(self, table: Table) -> None:
        self._count("read-error")
        raise ReadError(f"{table}: input/output error (injected)")

    # ---- writing

    def delays(self) -> tuple[float, float]:
        """s that a commit takes more than usual: before what it writes is there, and after."""
        if self._fault == "lost-writes":
            return self._seconds, 0.0
        return 0.0, self._seconds if self._fault == "slow-fsync" else 0.0

    def commit(self, writes: Sequence[Write]) -> None:
        """Store all writes, or none; half of them where a tail is torn. Raises StorageFailed."""
        if self._fault == "full":
            self._count("full")
            raise StorageFailed("no space left on the device (injected)")
        if self._fault == "torn-tail":
            self._count("torn-tail")
            self._store(writes[: len(writes) // 2])
            raise StorageFailed("the tail of the write was torn off (injected)")
        if self._fault in ("lost-writes", "slow-fsync"):
            self._count(self._fault)
        self._store(writes)

    def _store(self, writes: Sequence[Write]) -> None:
        for table, key, value in ((w.table, w.key, w.value) for w in writes):
            rows = self._rows[table]
            if value is not None:
                if key not in rows:
                    insort(self._keys[table], key)
                rows[key] = value
            elif rows.pop(key, None) is not None:
                keys = self._keys[table]
                del keys[bisect_left(keys, key)]
            if self._flipped:
                self._flipped.pop((table, key), None)

    # ---- the faults

    def inject(self, fault: str, rows: int = 1, seconds: float = 0.05) -> dict[str, object]:
        """Fail so from now on ("none": no more). Raises ValueError."""
        chosen = checked_fault(fault, rows, seconds)
        if chosen == "bit-flip":
            self._flip(rows)
        else:
            self._fault, self._seconds = chosen, seconds
        return self.status()

    def status(self) -> dict[str, object]:
        """The fault now, and how often each took effect in this life of the node."""
        return {"fault": self._fault, "bites": dict(self.counts), "flipped": len(self._flipped)}

    def _count(self, fault: str) -> None:
        self.counts[fault] = self.counts.get(fault, 0) + 1

    def _flip(self, rows: int) -> None:
        for table in DATA:
            keys = list(self._keys[table])
            for key in keys[:: max(1, len(keys) // rows)][:rows]:
                row = bytearray(seal(table, key, self._rows[table][key]))
                row[-1] ^= 1
                self._flipped[table, key] = bytes(row)
                self._count("bit-flip")
