"""A storage engine with a disk that can be made to fail. Off unless `storage.faults` is on.

It is between the node and a real engine, and takes the command `disk` of the admin
port, one fault at a time:

- full: every commit fails, nothing of it is stored;
- torn-tail: every commit fails, after its first half was stored;
- read-error: every read fails;
- slow-fsync: what a commit stores is there immediately, and acknowledged `seconds` later;
- lost-writes: it is there only `seconds` later, and acknowledged then; a kill meanwhile
  loses it, as it loses what a disk's cache held and was not synced;
- bit-flip: a bit in each of `rows` stored objects, and as many hints, is flipped, until
  they are written anew or the node starts again.

Acknowledgements stay true: what was acknowledged as durable is. The answer to the command, and
`disk` in `status`, counts how often each fault took effect.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from typing import Literal, get_args

from dynamesis.cluster.core.protocol.events import Table, Write
from dynamesis.cluster.storage.base import Engine, ReadError, StorageFailed, seal, unseal

Fault = Literal["none", "full", "read-error", "bit-flip", "torn-tail", "lost-writes", "slow-fsync"]


#: The tables in which bits flip.
DATA: tuple[Table, ...] = ("objects", "hints")


def checked_fault(fault: str, rows: int, seconds: float) -> Fault:
    """The fault of this name. Raises ValueError for one that there is not, and for settings that
    make no sense."""
    if fault not in get_args(Fault):
        raise ValueError(f"no fault {fault!r}; there are {', '.join(get_args(Fault))}")
    if not (rows > 0 and 0 <= seconds <= 60):
        raise ValueError("rows must be above 0, seconds 0 to 60")
    return fault  # type: ignore[return-value]


class FaultyEngine:
    """`engine`, as it is seen through a disk that may fail."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._fault: Fault = "none"
        self._seconds = 0.0
        self._flipped: dict[tuple[Table, bytes], bytes] = {}
        self.counts: dict[str, int] = {}
        #: commits sleep, so they must not run on the loop's thread
        self.blocking = True
        self.durable = engine.durable

    # ---- the engine

    def get(self, table: Table, key: bytes) -> bytes | None:
        self._may_read(table)
        if (table, key) in self._flipped:
            return unseal(table, key, self._flipped[table, key])
        return self._engine.get(table, key)

    def scan(
        self, table: Table, prefix: bytes = b"", after: bytes | None = None
    ) -> Iterator[tuple[bytes, bytes]]:
        for key, value in self._engine.scan(table, prefix, after):
            self._may_read(table)
            if (table, key) in self._flipped:
                value = unseal(table, key, self._flipped[table, key])
            yield key, value

    def commit(self, writes: Sequence[Write]) -> None:
        if self._fault == "full":
            self._count("full")
            raise StorageFailed("no space left on the device (injected)")
        if self._fault == "torn-tail":
            self._count("torn-tail")
            self._store(writes[: len(writes) // 2])
            raise StorageFailed("the tail of the write was torn off (injected)")
        if self._fault == "lost-writes":
            self._count("lost-writes")
            _wait(self._seconds)
        self._store(writes)
        if self._fault == "slow-fsync":
            self._count("slow-fsync")
            _wait(self._seconds)

    def close(self) -> None:
        self._engine.close()

    def _store(self, writes: Sequence[Write]) -> None:
        self._engine.commit(writes)
        for write in writes:
            self._flipped.pop((write.table, write.key), None)

    # ---- the faults

    def inject(self, fault: str, rows: int = 1, seconds: float = 0.05) -> dict[str, object]:
        """Have the disk fail so from now on ("none": no more). Raises ValueError."""
        chosen = checked_fault(fault, rows, seconds)
        if chosen == "bit-flip":
            self._flip(rows)
        else:
            self._fault, self._seconds = chosen, seconds
        return self.status()

    def status(self) -> dict[str, object]:
        """The fault now, and how often each took effect in this life of the node."""
        return {"fault": self._fault, "bites": dict(self.counts), "flipped": len(self._flipped)}

    def _count(self, fault: str, times: int = 1) -> None:
        self.counts[fault] = self.counts.get(fault, 0) + times

    def _may_read(self, table: Table) -> None:
        if self._fault == "read-error":
            self._count("read-error")
            raise ReadError(f"{table}: input/output error (injected)")

    def _flip(self, rows: int) -> None:
        """Flip a bit in some objects, and some hints, evenly spread over all that there are."""
        for table in DATA:
            keys = [key for key, _ in self._engine.scan(table)]
            for key in keys[:: max(1, len(keys) // rows)][:rows]:
                row = bytearray(seal(table, key, self._engine.get(table, key) or b""))
                row[-1] ^= 1
                self._flipped[table, key] = bytes(row)
                self._count("bit-flip")


def _wait(seconds: float) -> None:
    """Not time.sleep, which fails under some versions of libfaketime."""
    threading.Event().wait(seconds)
