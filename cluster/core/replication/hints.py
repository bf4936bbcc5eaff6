"""Hinted handoff (section 4.6): writes kept for unreachable primaries, and handed off later.

A hint is a record under (target, key), in a durable table of its own. Being a record, it
is stamped and merged like any other and has its own actor: what is handed off and
deleted is never begun again under an old epoch. Versions of a key for one target share
a hint, merged, so that a hot key cannot fill the table.

A hint is deleted by compare-and-delete: only after the target has acknowledged it as
durable (as far as its storage can be), and only if nothing was merged into it meanwhile.
A hint for a node that does not own its key any more goes to all primaries of the key: it may
be one of the W copies that a write was acknowledged for, and a primary may have another.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from itertools import islice

from dynamesis.cluster.core.protocol.messages import (
    Answer,
    Key,
    ReplicaPut,
    ReplicaPutReply,
    State,
    Version,
)
from dynamesis.cluster.core.protocol.storage_reader import Damaged, ReadFailed
from dynamesis.cluster.core.runtime.runtime import Failure, Runtime
from dynamesis.cluster.core.storage.buffer import Done
from dynamesis.cluster.core.storage.record_table import Record, RecordTable
from dynamesis.cluster.core.storage.row_keys import Row, hint_label, hint_row, split_hint

#: bytes that the index of this process takes for a hint, as measured, rounded up
_INDEXED = 512


class Hints:
    """The hints of this node: an index by target, and the scan that hands them off."""

    def __init__(
        self,
        node: str,
        runtime: Runtime,
        records: RecordTable,
        interval: float,
        timeout: float,
        *,
        destinations: Callable[[str, Key], tuple[str, ...]],
        window: Callable[[], int],
        pause: Callable[[], float],
        keep: Callable[[Key, State, Done], None],
    ) -> None:
        """`interval`: seconds between two scans; `timeout`: seconds for each answer.
        `destinations(target, key)`: all nodes that must have a hint for `target` before it is
        deleted, () if none can have it yet; `window`: how many hints a target may have under
        way; `pause`: seconds that handing off rests before the next ones; `keep(key, state,
        done)` merges a state into this node's own record."""
        self._node = node
        self._runtime = runtime
        self.records = records
        self._interval = interval
        self._timeout = timeout
        #: target -> key -> (size, since when), oldest first
        self._waiting: dict[str, dict[Key, tuple[int, float]]] = {}
        self._targets: dict[Key, dict[str, None]] = {}
        self._in_flight: dict[Row, tuple[str, ...]] = {}
        self._under_way = False
        #: when those that are in flight were begun with
        self._since = 0.0
        #: target -> how many of its hints may be under way, as it keeps up with them
        self._pace: dict[str, int] = {}
        self.bytes = 0
        self.kept = 0
        self.handed_off = 0
        self.given_up = 0
        self.destinations = destinations
        self.window = window
        self.pause = pause
        self.keep = keep

    def recover(self) -> None:
        """Find the hints of an earlier life. Raises ReadFailed."""
        for hint, record in self.records.scan():
            self.changed(hint, None, record)

    def start(self) -> None:
        self._runtime.every(self._interval, self.hand_off)

    def changed(self, hint: Row, old: Record | None, new: Record | None) -> None:
        target, key = split_hint(hint)
        before, since = self._waiting.get(target, {}).get(key, (0, self._runtime.now))
        size = 0 if new is None else _size(key, new)
        self.bytes += size - before
        if new is not None:
            self.kept += key not in self._waiting.get(target, {})
            self._wait_for(target, key, size, since)
        elif key in self._waiting.get(target, {}):
            del self._waiting[target][key]
            del self._targets[key][target]
            if not self._targets[key]:
                del self._targets[key]

    def undone(self, hint: Row) -> None:
        """A hint could not be stored: what it was for was refused, and it was never kept."""
        target, key = split_hint(hint)
        self.kept -= key in self._waiting.get(target, {})

    def look_again(self, hint: Row, new: Record | None) -> None:
        """It is not known whether this hint is there: a change to `new` (None: its deletion)
        failed, and it cannot be read. So it counts as one, of unknown size, until a scan can."""
        target, key = split_hint(hint)
        self.kept += new is None  # counted as handed off or given up, and there again
        self._wait_for(target, key, 0, self._runtime.now)

    def _wait_for(self, target: str, key: Key, size: int, since: float) -> None:
        self._waiting.setdefault(target, {})[key] = (size, since)
        self._targets.setdefault(key, {})[target] = None

    def targets(self, key: Key) -> tuple[str, ...]:
        """The nodes for which this node keeps a hint of `key`."""
        return tuple(self._targets.get(key, ())) if self._targets else ()

    def count(self) -> dict[str, int]:
        """target -> hints kept for it."""
        return {target: len(keys) for target, keys in self._waiting.items() if keys}

    def account(self) -> dict[str, int]:
        """What became of all hints of this life: `kept` is the sum of the others."""
        held = sum(self.count().values())
        return {
            "hints_kept": self.kept,
            "hints_handed_off": self.handed_off,
            "hints_given_up": self.given_up,
            "hints_held": held,
        }

    def oldest(self) -> float:
        """How long the oldest hint has waited in this life of the node (s); 0 without any."""
        now = self._runtime.now
        firsts = [next(iter(keys.values())) for keys in self._waiting.values() if keys]
        return now - min((since for _, since in firsts), default=now)

    # ---- handing off

    def hand_off(self) -> None:
        """Send the oldest hints of every healthy target, some at a time: fewer to one that does
        not keep up."""
        if not self._in_flight:
            self._since = self._runtime.now
        for target, keys in self._waiting.items():
            window = min(self.window(), self._pace.get(target, self.window()))
            for key in list(islice(keys, window)):
                to = self.destinations(target, key)
                if to:
                    self.send(target, key, to)

    def send(self, target: str, key: Key, to: tuple[str, ...]) -> None:
        """Hand one hint off to all of `to`."""
        hint = hint_row(target, key)
        if hint in self._in_flight:
            return
        try:
            record = self.records.get(hint)
        except Damaged:
            self._give_up(hint)  # the other copies have to do
            return
        except ReadFailed:
            self._runtime.emit("hint-unreadable", target=target, key=key)
            return
        if record is None:  # it was looked for again, and is not there
            self.undone(hint)
            self.changed(hint, None, None)
            return
        if not self.records.saved(hint):
            # nothing is sent before it is durable: after a crash its dots would name something else
            again = partial(self._once_saved, target, key, to)
            self.records.buffer.when_saved(hint, again)
            return
        self._in_flight[hint] = to
        left, everywhere = len(to), True

        def given(kept: bool) -> None:
            nonlocal left, everywhere
            left -= 1
            everywhere &= kept
            if not left:
                self._answered(target, key, record, everywhere)

        for node in to:
            self._give(node, key, record.state, given)

    def _once_saved(self, target: str, key: Key, to: tuple[str, ...], code: str | None) -> None:
        if code is None:
            self.send(target, key, to)

    def _give(self, node: str, key: Key, state: State, done: Callable[[bool], None]) -> None:
        """Give a state to `node`; done(whether it is durable there)."""
        if node == self._node:
            self.keep(key, state, lambda code: done(code is None))
            return
        self._runtime.call(
            node,
            lambda rid: ReplicaPut(rid, key, state, None, "handoff"),
            self._timeout,
            lambda answer: done(self.is_kept(answer)),
        )

    def _answered(self, target: str, key: Key, sent: Record, kept: bool) -> None:
        hint = hint_row(target, key)
        to = self._in_flight.pop(hint, ())
        pace = self._pace.get(target, self.window())
        self._pace[target] = min(self.window(), pace + 1) if kept else max(1, pace // 2)
        if kept and self.unchanged(hint, sent):
            self.handed_off += 1
            self.records.remove(hint, lambda code: None)
            fields = {"hash": f"{sent.hash:016x}", "to": list(to)}
            self._runtime.emit("handed-off", target=target, key=key, **fields)
            if not self._in_flight and not self._under_way:
                # not immediately: what this node keeps itself is answered before the scan is over
                self._under_way = True
                self._runtime.after(self._rest(), self._go_on)
        else:
            self._runtime.note("handoff-outrun" if kept else "handoff-failed", target=target)

    def _rest(self) -> float:
        """Seconds until the next hints: while clients ask, as long as the last ones took."""
        pause = self.pause()
        return max(pause, self._runtime.now - self._since) if pause else 0.0

    def _go_on(self) -> None:
        self._under_way = False
        self.hand_off()

    def discard(self) -> None:
        """Delete all hints, whether or not another node has them."""
        for target, keys in self._waiting.items():
            for key in list(keys):
                self._give_up(hint_row(target, key))

    def _give_up(self, hint: Row) -> None:
        self.given_up += 1
        self._runtime.emit("hint-given-up", **hint_label(hint))
        self.records.remove(hint, lambda code: None)

    def is_kept(self, answer: Answer | Failure) -> bool:
        """True when the hint is durable where it belongs."""
        return isinstance(answer, ReplicaPutReply) and answer.error is None

    def unchanged(self, hint: Row, sent: Record) -> bool:
        """True when the hint is still the one that was sent."""
        try:
            now = self.records.get(hint)
        except ReadFailed:
            return False
        return now is not None and now.hash == sent.hash


def _size(key: Key, record: Record) -> int:
    """Bytes that a hint takes, on disk and in the index of this process."""
    versions = (v for entry in record.state.values() for _, v in entry.values)
    return size_with(key, versions)


def size_with(key: Key, versions: Iterable[Version]) -> int:
    """Bytes that a hint of `key` with these versions takes; by no more than that grows one that
    they are added to."""
    return _INDEXED + 2 * len(key) + sum(len(version.value) + 64 for version in versions)
