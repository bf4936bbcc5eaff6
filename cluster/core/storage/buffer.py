"""The write buffer: rows that were given to a table and are not durable yet (section 6.1).

Without room in memory (`memory` 0) every row is handed to the shell immediately, and is
acknowledged only when it is durable. With room, a row that need not be durable is
acknowledged as soon as it is here, and goes to the disk with the others of its interval:
a key that is written often is stored once. A full buffer is as slow as the disk, never
larger. A row that was acknowledged from memory stays here until a write of it succeeds.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Generic, TypeVar

import msgspec
from dynamesis.cluster.core.protocol.events import Persist, Table, Write
from dynamesis.cluster.core.runtime.runtime import Runtime
from dynamesis.cluster.core.storage.row_keys import Row

T = TypeVar("T")

#: done(None) once it is so, done(code) with a code of cluster.core.protocol.errors otherwise.
Done = Callable[[str | None], None]
#: rows that one line of the event log names at most
_NAMED = 100


class Unsaved(msgspec.Struct, Generic[T]):
    """`token` names the write under way, None while the row only waits in memory; `kept`:
    this row, or an older state of it, was acknowledged; `waiting`: what is called when the write
    has ended, with those of the rows that are written with it."""

    value: T | None
    token: int | None
    kept: bool
    waiting: list[Done]


class Buffer(Generic[T]):
    """The unsaved rows of one table. `lost(row, value)` is called for each that could not
    be stored and was not acknowledged."""

    def __init__(
        self,
        table: Table,
        runtime: Runtime,
        encode: Callable[[T], bytes],
        lost: Callable[[Row, T | None], None],
        memory: int,
        interval: float,
        label: Callable[[Row], dict[str, object]],
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
        #: the rows that are not saved
        self.pending: dict[Row, Unsaved[T]] = {}
        self._dirty: dict[Row, None] = {}
        self._armed = False

    def __len__(self) -> int:
        return len(self.pending)

    def get(self, row: Row) -> Unsaved[T] | None:
        return self.pending.get(row)

    def rows(self, prefix: bytes, after: Row | None) -> dict[Row, T | None]:
        """What is not saved among the rows that begin with `prefix`, strictly after `after`."""
        return {
            row: unsaved.value
            for row, unsaved in self.pending.items()
            if row.startswith(prefix) and (after is None or row > after)
        }

    def put(self, row: Row, value: T | None, durable: bool, done: Done) -> None:
        """Store `value` (None: delete the row); done() once it is durable, or, where that
        was not asked for and there is room, at the end of this event."""
        if not self._memory:
            unsaved = self.pending[row] = Unsaved(value, None, False, [])
            self._write_one(row, unsaved, done)
            return
        old = self.pending.get(row)
        kept = old is not None and old.kept
        early = not durable and (kept or len(self.pending) < self._memory)
        unsaved = self.pending[row] = Unsaved(value, None, kept or early, [])
        if early:
            self._dirty[row] = None
            self._arm()
            self._runtime.soon(lambda: done(None))
        else:
            self._write_one(row, unsaved, done)

    def _write_one(self, row: Row, unsaved: Unsaved[T], done: Done) -> None:
        """As `_write`, for the usual case of one row."""
        value = unsaved.value
        if self._dirty:
            self._dirty.pop(row, None)
        write = Write(self._table, row, None if value is None else self._encode(value))
        unsaved.waiting = [done]
        stored = partial(self._one_stored, row, unsaved)
        unsaved.token = self._runtime.persist((write,), stored)

    def when_kept(self, row: Row, done: Done) -> None:
        """done() once `row` may be shown: immediately if it is durable or was
        acknowledged. Later writes of the row do not prolong the wait."""
        unsaved = self.pending.get(row)
        if unsaved is None or unsaved.kept:
            done(None)
        else:
            self.when_saved(row, done)

    def when_saved(self, row: Row, done: Done) -> None:
        """done() once what `row` has now is durable: immediately if it is."""
        unsaved = self.pending.get(row)
        if unsaved is None:
            done(None)
        elif unsaved.token is None:
            self._write([row], done)
        else:
            unsaved.waiting.append(done)

    def when_all_saved(self, rows: Sequence[Row], done: Done) -> None:
        """done() once what each of these rows, which are not saved, has now is durable, or with
        the error of one that cannot be stored; immediately without any."""
        waiting = [unsaved for row in rows if (unsaved := self.pending[row]).token is not None]
        in_memory = [row for row in rows if self.pending[row].token is None]
        left, error = len(waiting) + bool(in_memory), None
        if not left:
            done(None)

        def saved(code: str | None) -> None:
            nonlocal left, error
            left, error = left - 1, error or code
            if not left:
                done(error)

        for unsaved in waiting:
            unsaved.waiting.append(saved)
        if in_memory:
            self._write(in_memory, saved)

    def promised(self, row: Row) -> bool:
        """Whether `row` was acknowledged from memory, and is only there."""
        unsaved = self.pending.get(row)
        return unsaved is not None and unsaved.kept

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

    def _write(self, rows: list[Row], done: Done) -> None:
        writes, waiting = [], [done]
        for row in rows:
            value = self.pending[row].value
            writes.append(Write(self._table, row, None if value is None else self._encode(value)))
            self._dirty.pop(row, None)
        token = self._runtime.persist(
            tuple(writes), lambda reason: self._stored(token, rows, waiting, reason)
        )
        for row in rows:
            unsaved = self.pending[row]
            unsaved.token, unsaved.waiting = token, waiting

    def write_through(self, row: Row, value: T, done: Done) -> None:
        """As `put` where nothing is kept in memory."""
        runtime = self._runtime
        token = runtime.sequence = runtime.sequence + 1
        unsaved = self.pending[row] = Unsaved(value, token, False, [done])
        runtime.persists[token] = partial(self._one_stored, row, unsaved)
        writes = (Write(self._table, row, self._encode(value)),)
        runtime.effects.append(Persist(token, writes + runtime.before_all))

    def _one_stored(self, row: Row, unsaved: Unsaved[T], reason: str | None) -> None:
        """As `_stored`, for the usual case of one row."""
        if reason is not None:
            assert unsaved.token is not None
            self._stored(unsaved.token, (row,), unsaved.waiting, reason)
            return
        if self.pending.get(row) is unsaved:
            del self.pending[row]
        for done in unsaved.waiting:
            done(None)

    def _stored(
        self, token: int, rows: Sequence[Row], waiting: list[Done], reason: str | None
    ) -> None:
        for row in rows:
            unsaved = self.pending.get(row)
            if unsaved is None or unsaved.token != token:
                continue
            if reason is None:
                del self.pending[row]
            else:
                self._unsettle(row, unsaved)
        if reason is not None:
            self._failed(rows, reason)
        code = None if reason is None else "storage-write"
        for done in waiting:
            done(code)

    def _failed(self, rows: Sequence[Row], reason: str) -> None:
        """Log which rows could not be stored, named as in the rest of the log."""
        named = [self._label(row) for row in rows[:_NAMED]]
        fields = named[0] if len(rows) == 1 else {"rows": named, "failed": len(rows)}
        self._runtime.emit("storage-error", table=self._table, reason=reason, **fields)

    def _unsettle(self, row: Row, unsaved: Unsaved[T]) -> None:
        """The write under way has failed: keep the row if it was acknowledged, else lose it."""
        if unsaved.kept:
            unsaved.token = None
            self._dirty[row] = None
            self._arm()
        else:
            del self.pending[row]
            self._lost(row, unsaved.value)
