"""What this node holds: one record a key, and one a hint, with their write buffer.

A record is its state and the actor under which this node stamps it. The buffer holds
what has been given to the shell and is not durable yet. The next write of a key must
build on it; a reader must wait for it, or it would see what a crash may take back.

Only three things ever change a record: `stamp` makes a dot, `merge` syncs, `remove`
deletes a hint. Nothing overwrites.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import msgspec

from . import clock
from .events import Table, Write
from .identity import Identity
from .kernel import Kernel
from .messages import State, Version
from .store import Reader, ReadFailed
from .versioning import Versioning

#: done(None) once durable, done(code) with a code of cluster.core.errors otherwise.
Done = Callable[[str | None], None]


class Record(msgspec.Struct, array_like=True, frozen=True):
    """`actor` is the one that this node stamps this record with; None before the first."""

    state: State
    actor: str | None
    hash: int


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Record).decode


@dataclass(slots=True)
class _Unsaved:
    record: Record | None
    token: int


class NoActor(Exception):
    """No epoch is leased at this instant."""


class Records:
    """One table of records. `on_change(key, old, new)` hears of each change as it is made."""

    def __init__(
        self,
        table: Table,
        kernel: Kernel,
        store: Reader,
        identity: Identity,
        versioning: Versioning,
        key_of: Callable[[bytes], bytes],
    ) -> None:
        """`key_of` a row: the key whose record it is."""
        self.table = table
        self._clock = versioning.clock
        self._reconcile = versioning.of
        self._key_of = key_of
        self._kernel = kernel
        self._store = store
        self._identity = identity
        self._unsaved: dict[bytes, _Unsaved] = {}
        self._waiting: dict[int, list[Done]] = {}
        self.on_change: Callable[[bytes, Record | None, Record | None], None] = (
            lambda key, old, new: None
        )
        #: how a row is named in the event log
        self.label: Callable[[bytes], dict[str, Any]] = lambda key: {"key": key}

    # ---- reading

    def get(self, key: bytes) -> Record | None:
        """The record as it stands, durable or not. Raises ReadFailed."""
        unsaved = self._unsaved.get(key)
        if unsaved is not None:
            return unsaved.record
        raw = self._store.get(self.table, key)
        return None if raw is None else _decode(raw)

    def when_saved(self, key: bytes, done: Done) -> None:
        """done() once what stands under `key` now is durable: at once if it is. Later
        writes of the key do not prolong the wait."""
        unsaved = self._unsaved.get(key)
        if unsaved is None:
            done(None)
        else:
            self._waiting.setdefault(unsaved.token, []).append(done)

    def scan(
        self, prefix: bytes = b"", after: bytes | None = None
    ) -> Iterator[tuple[bytes, Record]]:
        """The durable records in row order, strictly after `after`."""
        for row, raw in self._store.scan(self.table, prefix, after):
            yield row, _decode(raw)

    def page(
        self, after: bytes, rows: int, size: int
    ) -> tuple[list[tuple[bytes, Record]], bytes | None]:
        """Some of the records behind the row `after`, as they stand, durable or not; and how
        far they go: None if that is the end. At most so many `rows`, and little more bytes
        than `size`. A row that is damaged is reported and left out. Raises ReadFailed."""
        found: dict[bytes, bytes] = {}
        end: bytes | None = None
        try:
            for row, raw in self._store.scan(self.table, b"", after):
                found[row] = raw
                size -= len(raw)
                if len(found) == rows or size <= 0:
                    end = row
                    break
        except ReadFailed as error:
            if error.key is None:
                raise
            self._kernel.emit("unreadable", table=self.table, row=error.key, reason=str(error))
            end = error.key
        records: dict[bytes, Record | None] = {row: _decode(raw) for row, raw in found.items()}
        for row, unsaved in self._unsaved.items():
            if row > after and (end is None or row <= end):
                records[row] = unsaved.record
        return [(row, r) for row in sorted(records) if (r := records[row]) is not None], end

    def saved(self, key: bytes) -> bool:
        """Whether what stands under `key` is durable."""
        return key not in self._unsaved

    @property
    def settled(self) -> bool:
        """Whether everything that stands is durable."""
        return not self._unsaved

    # ---- writing

    def stamp(
        self, key: bytes, context: State, version: Version, done: Done
    ) -> tuple[State, State] | None:
        """Put `version` under a new dot; returns the state and what the put's answer covers,
        or None when the write could not even begin, after done(code)."""
        try:
            old = self.get(key)
            actor = self._actor(old, context)
        except ReadFailed:
            done("storage-read")
            return None
        except NoActor:
            done("not-ready")
            return None
        state = {} if old is None else old.state
        reconcile = self._reconcile(self._key_of(key))
        version = reconcile.date(version, context, state, self._kernel.wall)
        event = self._clock.next_event(state, actor)
        after = reconcile.settle(self.apply(context, version, state, actor, event))
        self._save(key, old, after, actor, "stamp", done)
        covers = self._clock.with_dot(context, actor, event, version.at)
        return after, reconcile.cover(covers, version)

    def apply(
        self, context: State, version: Version, state: State, actor: str, event: int
    ) -> State:
        """The state that a put leaves behind."""
        return self._clock.update(context, version, state, actor, event)

    def merge(self, key: bytes, incoming: State, why: str, done: Done) -> State | None:
        """Sync `incoming` into the record; returns what stands now, or None when that
        could not begin, after done(code)."""
        self._identity.look_at(incoming)
        try:
            old = self.get(key)
        except ReadFailed:
            done("storage-read")
            return None
        if old is None:
            self._save(key, None, incoming, None, why, done)
            return incoming
        merged = self._reconcile(self._key_of(key)).settle(self.combine(old.state, incoming, why))
        if merged == old.state:
            self.when_saved(key, done)
            return merged
        actor = old.actor
        if actor is not None and not self._clock.covers(old.state, incoming, actor):
            actor = None
        self._save(key, old, merged, actor, why, done)
        return merged

    def combine(self, ours: State, incoming: State, why: str) -> State:
        """What stands after a replica hears of `incoming`."""
        return self._clock.sync(ours, incoming)

    def join(self, key: bytes, a: State, b: State) -> State:
        """What two states of `key` are together."""
        return self._reconcile(key).settle(self._clock.sync(a, b))

    def remove(self, key: bytes, done: Done) -> None:
        """Forget a record altogether (a hint that was handed off)."""
        self._put(key, self.get(key), None, done)

    def _actor(self, old: Record | None, context: State) -> str:
        """The actor to stamp with. A new epoch begins where there is no record, where none
        was stamped yet, and where a client knows more of the actor than the record does."""
        self._identity.look_at(context)
        if old is not None and old.actor is not None and self._identity.may_carry_on(old.actor):
            if self._clock.covers(old.state, context, old.actor):
                return old.actor
            self._kernel.emit("epoch-behind", actor=old.actor)
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
    ) -> None:
        new = Record(state, actor, clock.digest(state))
        self._kernel.emit("stored", why=why, hash=f"{new.hash:016x}", **self.label(key))
        self._put(key, old, new, done)

    def _put(self, key: bytes, old: Record | None, new: Record | None, done: Done) -> None:
        raw = None if new is None else _encode(new)
        token = self._kernel.persist(
            (Write(self.table, key, raw),), lambda reason: self._stored(key, token, reason, done)
        )
        self._unsaved[key] = _Unsaved(new, token)
        self.on_change(key, old, new)

    def _stored(self, key: bytes, token: int, reason: str | None, done: Done) -> None:
        unsaved = self._unsaved.get(key)
        if unsaved is not None and unsaved.token == token:
            del self._unsaved[key]
            if reason is not None:
                self._lost(key, unsaved.record)
        if reason is not None:
            self._kernel.emit("storage-error", table=self.table, key=key, reason=reason)
        code = None if reason is None else "storage-write"
        for told in (done, *self._waiting.pop(token, ())):
            told(code)

    def _lost(self, key: bytes, record: Record | None) -> None:
        """The buffered record did not become durable: the stored one stands again."""
        try:
            self.on_change(key, record, self.get(key))
        except ReadFailed:
            self.on_change(key, record, None)
