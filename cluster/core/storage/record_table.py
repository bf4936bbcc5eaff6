"""What this node holds: one record a key, and one a hint.

A record is its state and the actor under which this node stamps it. What is not durable
yet is in the write buffer; the next write of a key must build on it, and no read may
miss it.

Only three things ever change a record: `stamp` makes a dot, `merge` syncs, `remove`
deletes a hint. Nothing overwrites. A row that is damaged is neither a record nor the
absence of one: readers and stampers are refused, it is passed over in a scan, and the
first state that another replica sends for its key takes its place, as a record that this
node has never stamped.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import msgspec
from dynamesis.cluster.core.protocol.events import Table
from dynamesis.cluster.core.protocol.messages import Key, State, Version
from dynamesis.cluster.core.protocol.storage_reader import Damaged, Reader, ReadFailed
from dynamesis.cluster.core.runtime.runtime import Runtime
from dynamesis.cluster.core.storage.buffer import Buffer, Done
from dynamesis.cluster.core.storage.outlines import Outline, Outlines
from dynamesis.cluster.core.storage.row_keys import Row
from dynamesis.cluster.core.versions import clock
from dynamesis.cluster.core.versions.identity import Identity
from dynamesis.cluster.core.versions.siblings import SiblingLimit
from dynamesis.cluster.core.versions.versioning import Reconcile, Versioning


class Record(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """`actor` is the one that this node stamps this record with; None before the first."""

    state: State
    actor: str | None
    hash: int


def hash_of(state: State) -> str:
    """A state as the event log names it: equal on every node that holds the same."""
    return f"{clock.digest(state):016x}"


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Record).decode


class NoActor(Exception):
    """No epoch is leased at this instant."""


class RecordTable:
    """One table of records."""

    def __init__(
        self,
        table: Table,
        runtime: Runtime,
        store: Reader,
        identity: Identity,
        versioning: Versioning,
        key_of: Callable[[Row], Key],
        memory: int,
        interval: float,
        *,
        on_change: Callable[[Row, Record | None, Record | None], None],
        on_damage: Callable[[Row], None],
        on_readable: Callable[[Row, Record], None],
        on_undone: Callable[[Row], None],
        on_unreadable: Callable[[Row, Record | None], None],
        limit: SiblingLimit,
        label: Callable[[Row], dict[str, object]],
    ) -> None:
        """`key_of` a row: the key whose record it is. `memory` and `interval` as for a
        Buffer. `on_change(row, old, new)` is called for each change as it is made,
        `on_damage(row)` when a row is found damaged, `on_readable(row, record)` when such a row
        can be read after all, `on_undone(row)` when its first change could
        not be stored, so that it is gone again, `on_unreadable(row, new)` when a change to `new`
        could not be stored, and it is not known what is there; `limit`: on what a stamp may leave;
        `label`: how a row is named in the event log."""
        self.table = table
        self.buffer = Buffer[Record](
            table, runtime, _encode, self._lost, memory, interval, lambda row: self.label(row)
        )
        self._pending = self.buffer.pending
        self._memory = memory
        #: rows that are damaged, as far as has been seen
        self.damaged: dict[Row, None] = {}
        #: of what this process has stored
        self.outlines = Outlines[Record]()
        self._clock = versioning.clock
        self._versioning = versioning
        self._key_of = key_of
        self.runtime = runtime
        self._store = store
        self.identity = identity
        self.on_change = on_change
        self.on_damage = on_damage
        self.on_readable = on_readable
        self.on_undone = on_undone
        self.on_unreadable = on_unreadable
        self.limit = limit
        self.label = label

    # ---- reading

    def get(self, row: Row) -> Record | None:
        """The present record, durable or not. Raises ReadFailed; Damaged, once it has
        been reported."""
        unsaved = self._pending.get(row)
        if unsaved is not None:
            return unsaved.value
        try:
            record = self._durable(row)
        except Damaged as damage:
            self._report(Row(damage.key))
            raise
        if self.damaged and row in self.damaged:
            self._sound(row, record)
        return record

    def _durable(self, row: Row) -> Record | None:
        """What is stored. Raises ReadFailed."""
        raw = self._store.get(self.table, row)
        return None if raw is None else self._read(row, raw)

    def scan(self, prefix: bytes = b"", after: Row | None = None) -> Iterator[tuple[Row, Record]]:
        """The records in row order, strictly after `after`, durable or not; damaged rows
        are reported and passed over. Raises ReadFailed."""
        changed = self.buffer.rows(prefix, after)
        unsaved = {row: record for row, record in changed.items() if record is not None}
        new = sorted(unsaved, reverse=True)
        for row, record in self._stored(prefix, after):
            while new and new[-1] <= row:
                newer = new.pop()
                yield newer, unsaved[newer]
            if row not in changed:
                yield row, record
        for newer in reversed(new):
            yield newer, unsaved[newer]

    def _stored(self, prefix: bytes, after: Row | None) -> Iterator[tuple[Row, Record]]:
        while True:
            try:
                for stored, raw in self._store.scan(self.table, prefix, after):
                    after = row = Row(stored)
                    record = self._read(row, raw)
                    if self.damaged and row in self.damaged:
                        self._sound(row, record)
                    yield row, record
                return
            except Damaged as damage:
                after = Row(damage.key)
                if self.buffer.get(after) is None:
                    self._report(after)

    def _read(self, row: Row, raw: bytes) -> Record:
        try:
            return _decode(raw)
        except msgspec.MsgspecError:
            raise Damaged(self.table, row) from None

    def _report(self, row: Row) -> None:
        if row not in self.damaged:
            self.damaged[row] = None
            self.outlines.drop(row)
            self.runtime.emit("row-damaged", table=self.table, **self.label(row))
            self.on_damage(row)

    def _sound(self, row: Row, record: Record | None) -> None:
        """A row that was found damaged can be read: where it was the reading that failed."""
        del self.damaged[row]
        if record is not None:
            self.runtime.emit("row-readable", table=self.table, **self.label(row))
            self.on_readable(row, record)

    def saved(self, row: Row) -> bool:
        """Whether `row` is durable."""
        return row not in self._pending

    @property
    def settled(self) -> bool:
        """Whether every row is durable."""
        return not len(self.buffer)

    # ---- writing

    def stamp(
        self, row: Row, context: State, version: Version, done: Done, durable: bool = True
    ) -> tuple[State, State] | None:
        """Put `version` under a new dot; returns the state and what the put's answer covers,
        or None when the write could not even begin, after done(code). `durable` as for a
        Buffer."""
        try:
            old = self.get(row)
            actor = self.actor_for(row, old, context)
        except ReadFailed:
            done("storage-read")
            return None
        except NoActor:
            done("not-ready")
            return None
        state = {} if old is None else old.state
        reconcile = self._reconcile(row)
        version = reconcile.date(version, context, state, self.runtime.wall)
        event = self._clock.next_event(state, actor)
        after = reconcile.settle(self.apply(context, version, state, actor, event))
        if self.limit.exceeded(state, after):
            done("too-many-siblings")
            return None
        if old is not None and old.actor not in (None, actor):
            fields = {"was": old.actor, "actor": actor}
            self.runtime.emit("epoch-renewed", **fields, **self.label(row))
        line: dict[str, Any] = {"dot": clock.dot(actor, event)}
        if version.deleted:
            line["deleted"] = True
        if version.at > self.runtime.wall:
            line["ahead"] = version.at - self.runtime.wall  # of the clock, ms
        self._save(row, old, after, actor, "stamp", done, durable, **line)
        covers = self._clock.with_dot(context, actor, event, version.at)
        return after, reconcile.cover(covers, version)

    def apply(
        self, context: State, version: Version, state: State, actor: str, event: int
    ) -> State:
        """The state that a put leaves behind."""
        return self._clock.update(context, version, state, actor, event)

    def merge(
        self, row: Row, incoming: State, why: str, done: Done, durable: bool = True
    ) -> State | None:
        """Sync `incoming` into the record; returns the new state, or None when that
        could not begin, after done(code). `durable` as for a Buffer."""
        self.identity.look_at(incoming)
        try:
            old = self.get(row)
        except Damaged:
            old, why = None, f"{why}, healed"
        except ReadFailed:
            self.runtime.emit("copy-refused", code="storage-read", **self.label(row))
            done("storage-read")
            return None
        came: dict[str, Any] = {}
        if why.startswith("handoff"):
            came["incoming"] = hash_of(incoming)
        if old is None:
            self._save(row, None, incoming, None, why, done, durable, **came)
            return incoming
        merged = self._reconcile(row).settle(self.combine(old.state, incoming, why))
        if merged == old.state:
            came |= self._in_memory(durable)
            self.runtime.emit("held", why=why, hash=f"{old.hash:016x}", **came, **self.label(row))
            (self.buffer.when_saved if durable else self.buffer.when_kept)(row, done)
            return merged
        actor = old.actor
        if actor is not None and not self._clock.covers(old.state, incoming, actor):
            actor = None
            self.runtime.emit("record-behind", was=old.actor, **self.label(row))
        self._save(row, old, merged, actor, why, done, durable, **came)
        return merged

    def combine(self, ours: State, incoming: State, why: str) -> State:
        """The state after this replica received `incoming`."""
        return self._clock.sync(ours, incoming)

    def _reconcile(self, row: Row) -> Reconcile:
        """What becomes of concurrent versions in `row`."""
        versioning = self._versioning
        if not versioning.lww_buckets:
            return versioning.default
        return versioning.of(self._key_of(row))

    def join(self, key: Key, a: State, b: State) -> State:
        """The two states of `key`, merged."""
        return self._versioning.of(key).settle(self._clock.sync(a, b))

    def remove(self, row: Row, done: Done) -> None:
        """Forget a record altogether (a hint that was handed off)."""
        try:
            old = self.get(row)
        except Damaged:
            old = None
        self.runtime.emit("deleted", **self.label(row))
        self.write(row, old, None, done, durable=True)

    def actor_for(self, row: Row, old: Record | Outline | None, context: State) -> str:
        """The actor to stamp `row` with. A new epoch begins where there is no record,
        where there is none yet, and where a client knows more of the actor than the record
        does."""
        self.identity.look_at(context)
        if (
            old is not None
            and old.actor is not None
            and self.identity.usable(old.actor)
            and self._clock.covers(old.state, context, old.actor)
        ):
            return old.actor
        actor = self.identity.new_actor()
        if actor is None:
            raise NoActor
        if context and (old is None or old.actor is None):
            self._note_context(row, context, actor)
        return actor

    def _note_context(self, row: Row, context: State, actor: str) -> None:
        """Log that a client has seen a version which this node has stamped and has no record of:
        of before a wipe, or of before a crash."""
        seen = [name for name in context if name.partition(":")[0] == self.identity.node]
        if seen:
            self.runtime.emit("context-ahead", seen=seen, actor=actor, **self.label(row))

    def _save(
        self,
        row: Row,
        old: Record | None,
        state: State,
        actor: str | None,
        why: str,
        done: Done,
        durable: bool,
        **fields: Any,
    ) -> None:
        """`fields`: further fields of the line in the event log."""
        new = Record(state, actor, clock.digest(state))
        line = {"why": why, "hash": f"{new.hash:016x}", **fields, "holds": clock.dots(state)}
        line.update(self._in_memory(durable))
        line.update(self.label(row))
        self.runtime.log("stored", line)
        self.write(row, old, new, done, durable)

    def _in_memory(self, durable: bool) -> dict[str, Any]:
        """What a line of the event log has of a write that may be acknowledged from memory."""
        return {"durable": False} if self._memory and not durable else {}

    def write(
        self, row: Row, old: Record | None, new: Record | None, done: Done, durable: bool
    ) -> None:
        """Replace `row`, `old`, by `new` (None: delete it)."""
        if self.damaged:
            self.damaged.pop(row, None)
        self.outlines.drop(row)
        self.buffer.put(row, new, durable, done)
        self.announce(row, old, new)

    def announce(self, row: Row, old: Record | None, new: Record | None) -> None:
        """Report that `row` went from `old` to `new`."""
        self.on_change(row, old, new)

    def _undone(
        self, row: Row, record: Record | None, stored: Record | None, **fields: object
    ) -> None:
        """Log what a line `stored` or `deleted` was too early about."""
        was, now = (None if each is None else f"{each.hash:016x}" for each in (record, stored))
        self.runtime.emit("undone", hash=was, now=now, **fields, **self.label(row))

    def _lost(self, row: Row, record: Record | None) -> None:
        """A change could not be stored: the stored row is the present one again."""
        self.identity.distrust()
        self.outlines.drop(row)
        try:
            stored = self._durable(row)
        except ReadFailed as failed:
            damaged = isinstance(failed, Damaged)
            if damaged:  # not reported beside: the tree would take the row out twice
                self.damaged[row] = None
            self._undone(row, record, None, unreadable=True)
            self.announce(row, record, None)
            if not damaged:
                self.on_unreadable(row, record)
            return
        self._undone(row, record, stored)
        if stored is None and record is not None:
            self.on_undone(row)
        self.announce(row, record, stored)
