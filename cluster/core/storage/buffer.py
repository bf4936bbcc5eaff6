"""The write buffer: rows that were given to a table and are not durable yet (section 6.1).

Without room in memory (`memory` 0) every row is handed to the shell at once, and is
acknowledged only when it is durable. With room, a row that need not be durable is
acknowledged as soon as it is here, and goes to the disk with the others of its interval:
a key that is written often is stored once. A full buffer is as slow as the disk, never
larger. A row that was acknowledged from memory stays here until a write of it succeeds.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from dynamesis.cluster.core.protocol.events import Table, Write
from dynamesis.cluster.core.runtime.runtime import Runtime

T = TypeVar("T")

#: done(None) once it is so, done(code) with a code of cluster.core.protocol.errors otherwise.
Done = Callable[[str | None], None]
#: keys that one line of the event log names at most
_NAMED = 100


@dataclass(slots=True)
class Unsaved(Generic[T]):
    """`token` names the write under way, None while the row only waits in memory; `kept`:
    this row, or an older state of it, was acknowledged."""

    value: T | None
    token: int | None
    kept: bool


class Buffer(Generic[T]):
    """The unsaved rows of one table. `lost(key, value)` is called for each that could not
    be stored and was not acknowledged."""

    def __init__(
        self,
        table: Table,
        runtime: Runtime,
        encode: Callable[[T], bytes],
        lost: Callable[[bytes, T | None], None],
        memory: int,
        interval: float,
        label: Callable[[bytes], dict[str, Any]],
    ) -> None:
        """`memory`: rows that may be acknowledged before they are durable; `interval`: the
        longest that one waits before it is written (s); `label`: how a row is named in the
        event log."""
        self._table = table
        self._runtime = runtime
        self._encode = encode
        self._lost = lost
        self._label = label
        self._memory = memory
        self._interval = interval
        self._rows: dict[bytes, Unsaved[T]] = {}
        self._dirty: dict[bytes, None] = {}
        self._waiting: dict[int, list[Done]] = {}
        self._armed = False

    def __len__(self) -> int:
        return len(self._rows)

    def get(self, key: bytes) -> Unsaved[T] | None:
        return self._rows.get(key)

    def rows(self, prefix: bytes, after: bytes | None) -> dict[bytes, T | None]:
        """What is not saved among the keys that begin with `prefix`, strictly after `after`."""
        return {
            key: row.value
            for key, row in self._rows.items()
            if key.startswith(prefix) and (after is None or key > after)
        }

    def put(self, key: bytes, value: T | None, durable: bool, done: Done) -> None:
        """Store `value` (None: delete the row); done() once it is durable, or, where that
        was not asked for and there is room, at the end of this event."""
        old = self._rows.get(key)
        kept = old is not None and old.kept
        early = not durable and self._memory > 0 and (kept or len(self._rows) < self._memory)
        self._rows[key] = Unsaved(value, None, kept or early)
        if early:
            self._dirty[key] = None
            self._arm()
            self._runtime.soon(lambda: done(None))
        else:
            self._write([key], done)

    def when_kept(self, key: bytes, done: Done) -> None:
        """done() once the row of `key` may be shown: at once if it is durable or was
        acknowledged. Later writes of the key do not prolong the wait."""
        row = self._rows.get(key)
        if row is None or row.kept:
            done(None)
        else:
            self.when_saved(key, done)

    def when_saved(self, key: bytes, done: Done) -> None:
        """done() once the present row of `key` is durable: at once if it is."""
        row = self._rows.get(key)
        if row is None:
            done(None)
        elif row.token is None:
            self._write([key], done)
        else:
            self._waiting[row.token].append(done)

    def promised(self, key: bytes) -> bool:
        """Whether the row of `key` was acknowledged from memory, and is only there."""
        row = self._rows.get(key)
        return row is not None and row.kept

    def flush(self) -> None:
        """Write everything that waits in memory."""
        if self._dirty:
            self._write(list(self._dirty), lambda code: None)

    def _arm(self) -> None:
        if not self._armed:
            self._armed = True
            self._runtime.after(self._interval, self._due)

    def _due(self) -> None:
        self._armed = False
        self.flush()

    def _write(self, keys: list[bytes], done: Done) -> None:
        writes = []
        for key in keys:
            value = self._rows[key].value
            writes.append(Write(self._table, key, None if value is None else self._encode(value)))
            self._dirty.pop(key, None)
        token = self._runtime.persist(
            tuple(writes), lambda reason: self._stored(token, keys, reason)
        )
        self._waiting[token] = [done]
        for key in keys:
            self._rows[key].token = token

    def _stored(self, token: int, keys: list[bytes], reason: str | None) -> None:
        for key in keys:
            row = self._rows.get(key)
            if row is not None and row.token == token:
                self._settle(key, row, reason is None)
        if reason is not None:
            self._failed(keys, reason)
        code = None if reason is None else "storage-write"
        for done in self._waiting.pop(token):
            done(code)

    def _failed(self, keys: list[bytes], reason: str) -> None:
        """Log which rows could not be stored, named as in the rest of the log."""
        rows = [self._label(key) for key in keys[:_NAMED]]
        fields = rows[0] if len(keys) == 1 else {"rows": rows, "failed": len(keys)}
        self._runtime.emit("storage-error", table=self._table, reason=reason, **fields)

    def _settle(self, key: bytes, row: Unsaved[T], stored: bool) -> None:
        if stored:
            del self._rows[key]
        elif row.kept:
            row.token = None
            self._dirty[key] = None
            self._arm()
        else:
            del self._rows[key]
            self._lost(key, row.value)
