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
from dynamesis.cluster.core.protocol.messages import State, Version
from dynamesis.cluster.core.protocol.storage_reader import Damaged, Reader, ReadFailed
from dynamesis.cluster.core.runtime.runtime import Runtime
from dynamesis.cluster.core.storage.buffer import Buffer, Done
from dynamesis.cluster.core.versions import clock
from dynamesis.cluster.core.versions.identity import Identity
from dynamesis.cluster.core.versions.versioning import Versioning


class Record(msgspec.Struct, array_like=True, frozen=True):
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
        key_of: Callable[[bytes], bytes],
        memory: int,
        interval: float,
        *,
        on_change: Callable[[bytes, Record | None, Record | None], None],
        on_damage: Callable[[bytes], None],
        label: Callable[[bytes], dict[str, Any]],
    ) -> None:
        """`key_of` a row: the key whose record it is. `memory` and `interval` as for a
        Buffer. `on_change(row, old, new)` is called for each change as it is made,
        `on_damage(row)` when a row is found damaged; `label`: how a row is named in the event
        log."""
        self.table = table
        self.buffer = Buffer[Record](
            table, runtime, _encode, self._lost, memory, interval, lambda key: self.label(key)
        )
        #: rows that are damaged, as far as has been seen
        self.damaged: dict[bytes, None] = {}
        self._clock = versioning.clock
        self._reconcile = versioning.of
        self._key_of = key_of
        self._runtime = runtime
        self._store = store
        self._identity = identity
        self.on_change = on_change
        self.on_damage = on_damage
        self.label = label

    # ---- reading

    def get(self, key: bytes) -> Record | None:
        """The present record, durable or not. Raises ReadFailed; Damaged, once it has
        been reported."""
        unsaved = self.buffer.get(key)
        if unsaved is not None:
            return unsaved.value
        try:
            raw = self._store.get(self.table, key)
            return None if raw is None else self._read(key, raw)
        except Damaged as damage:
            self._report(damage.key)
            raise

    def scan(
        self, prefix: bytes = b"", after: bytes | None = None
    ) -> Iterator[tuple[bytes, Record]]:
        """The records in row order, strictly after `after`, durable or not; damaged rows
        are reported and passed over. Raises ReadFailed."""
        unsaved = self.buffer.rows(prefix, after)
        new = sorted(key for key, record in unsaved.items() if record is not None)
        new.reverse()
        for row, record in self._stored(prefix, after):
            while new and new[-1] <= row:
                key = new.pop()
                yield key, unsaved[key]  # type: ignore[misc]
            if row not in unsaved:
                yield row, record
        for key in reversed(new):
            yield key, unsaved[key]  # type: ignore[misc]

    def _stored(self, prefix: bytes, after: bytes | None) -> Iterator[tuple[bytes, Record]]:
        while True:
            try:
                for row, raw in self._store.scan(self.table, prefix, after):
                    after = row
                    yield row, self._read(row, raw)
                return
            except Damaged as damage:
                after = damage.key
                if self.buffer.get(after) is None:
                    self._report(after)

    def _read(self, key: bytes, raw: bytes) -> Record:
        try:
            return _decode(raw)
        except msgspec.MsgspecError:
            raise Damaged(self.table, key) from None

    def _report(self, key: bytes) -> None:
        if key not in self.damaged:
            self.damaged[key] = None
            self._runtime.emit("row-damaged", table=self.table, **self.label(key))
            self.on_damage(key)

    def saved(self, key: bytes) -> bool:
        """Whether the row of `key` is durable."""
        return self.buffer.get(key) is None

    @property
    def settled(self) -> bool:
        """Whether every row is durable."""
        return not len(self.buffer)

    # ---- writing

    def stamp(
        self, key: bytes, context: State, version: Version, done: Done, durable: bool = True
    ) -> tuple[State, State] | None:
        """Put `version` under a new dot; returns the state and what the put's answer covers,
        or None when the write could not even begin, after done(code). `durable` as for a
        Buffer."""
        try:
            old = self.get(key)
            actor = self.actor_for(key, old, context)
        except ReadFailed:
            done("storage-read")
            return None
        except NoActor:
            done("not-ready")
            return None
        state = {} if old is None else old.state
        if old is not None and old.actor not in (None, actor):
            fields = {"was": old.actor, "actor": actor}
            self._runtime.emit("epoch-renewed", **fields, **self.label(key))
        reconcile = self._reconcile(self._key_of(key))
        version = reconcile.date(version, context, state, self._runtime.wall)
        event = self._clock.next_event(state, actor)
        after = reconcile.settle(self.apply(context, version, state, actor, event))
        self._save(key, old, after, actor, "stamp", done, durable, dot=f"{actor}:{event}")
        covers = self._clock.with_dot(context, actor, event, version.at)
        return after, reconcile.cover(covers, version)

    def apply(
        self, context: State, version: Version, state: State, actor: str, event: int
    ) -> State:
        """The state that a put leaves behind."""
        return self._clock.update(context, version, state, actor, event)

    def merge(
        self, key: bytes, incoming: State, why: str, done: Done, durable: bool = True
    ) -> State | None:
        """Sync `incoming` into the record; returns the new state, or None when that
        could not begin, after done(code). `durable` as for a Buffer."""
        self._identity.look_at(incoming)
        try:
            old = self.get(key)
        except Damaged:
            old, why = None, f"{why}, healed"
        except ReadFailed:
            done("storage-read")
            return None
        came = {"incoming": hash_of(incoming)} if why.startswith("handoff") else {}
        if old is None:
            self._save(key, None, incoming, None, why, done, durable, **came)
            return incoming
        merged = self._reconcile(self._key_of(key)).settle(self.combine(old.state, incoming, why))
        if merged == old.state:
            self._runtime.emit("held", why=why, hash=f"{old.hash:016x}", **came, **self.label(key))
            (self.buffer.when_saved if durable else self.buffer.when_kept)(key, done)
            return merged
        actor = old.actor
        if actor is not None and not self._clock.covers(old.state, incoming, actor):
            actor = None
        self._save(key, old, merged, actor, why, done, durable, **came)
        return merged

    def combine(self, ours: State, incoming: State, why: str) -> State:
        """The state after this replica received `incoming`."""
        return self._clock.sync(ours, incoming)

    def join(self, key: bytes, a: State, b: State) -> State:
        """What two states of `key` are together."""
        return self._reconcile(key).settle(self._clock.sync(a, b))

    def remove(self, key: bytes, done: Done) -> None:
        """Forget a record altogether (a hint that was handed off)."""
        try:
            old = self.get(key)
        except Damaged:
            old = None
        self._runtime.emit("deleted", **self.label(key))
        self.write(key, old, None, done, durable=True)

    def actor_for(self, key: bytes, old: Record | None, context: State) -> str:
        """The actor to stamp the row of `key` with. A new epoch begins where there is no record,
        where none was stamped yet, and where a client knows more of the actor than the record
        does."""
        self._identity.look_at(context)
        if (
            old is not None
            and old.actor is not None
            and self._identity.usable(old.actor)
            and self._clock.covers(old.state, context, old.actor)
        ):
            return old.actor
        actor = self._identity.new_actor()
        if actor is None:
            raise NoActor
        return actor

    def _save(
        self,
        key: bytes,
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
        fields |= {"holds": clock.dots(state), **self.label(key)}
        self._runtime.emit("stored", why=why, hash=f"{new.hash:016x}", **fields)
        self.write(key, old, new, done, durable)

    def write(
        self, key: bytes, old: Record | None, new: Record | None, done: Done, durable: bool
    ) -> None:
        """Replace the row of `key`, `old`, by `new` (None: delete it)."""
        self.damaged.pop(key, None)
        self.buffer.put(key, new, durable, done)
        self.announce(key, old, new)

    def announce(self, key: bytes, old: Record | None, new: Record | None) -> None:
        """Report that the row of `key` went from `old` to `new`."""
        self.on_change(key, old, new)

    def _lost(self, key: bytes, record: Record | None) -> None:
        """A change could not be stored: the stored row is the present one again."""
        self._identity.distrust()
        try:
            self.announce(key, record, self.get(key))
        except ReadFailed:
            self.announce(key, record, None)
