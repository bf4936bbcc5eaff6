"""The hash trees of this node, and what keeps them true to its records (section 4.7).

Every change of a record changes its tree in the same step, before the change is durable;
a change that is lost is taken back. So trees and records agree at any instant, but only
while the process lives. A clean stop therefore writes the trees down, and last of all a
mark; the next life removes the mark before it writes anything else, or, where the disk refuses
that, together with what it writes first. Without a mark it is unknown what a crash cut off, and
the trees are made anew from the records.

Making them anew goes in slices of a few milliseconds, between which the node does its
work. The scan moves a cursor through the rows in order: a change behind the cursor goes
into the new trees immediately, one ahead of it will be met there. At boot there are no trees
until the scan ends, and no exchange is begun or answered; on schedule (hash trees cannot
see a row that rotted on disk, a scan can) the old ones serve until then.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterable

import msgspec
from dynamesis.cluster.core.protocol.events import Write
from dynamesis.cluster.core.protocol.messages import Key
from dynamesis.cluster.core.protocol.storage_reader import Damaged, Reader, ReadFailed
from dynamesis.cluster.core.runtime.runtime import Runtime
from dynamesis.cluster.core.storage.merkle import LEAVES, Tree, item_hash, leaf_of
from dynamesis.cluster.core.storage.record_table import Record, RecordTable
from dynamesis.cluster.core.storage.row_keys import PLACE, Row, leaf_prefix, split_object
from dynamesis.cluster.core.versions import clock

_MARK = b"trees"
#: before all rows
_START = Row(b"")
#: rows and bytes that one slice of a scan takes, and seconds until the next one
_SLICE_ROWS, _SLICE_BYTES, _PAUSE = 128, 256 << 10, 0.004
_READ_AGAIN = 1.0
#: rows that wait to be put into the trees at most: so many take about a millisecond
_REPLACED = 1024


class _Mark(msgspec.Struct, array_like=True):
    """A clean stop: leaves a tree, and how many records each partition has."""

    leaves: int
    counts: dict[int, int]


class Forest:
    """One tree a partition, and how many records are in it. What is asked for again and again
    (roots, which partitions are held) is kept until a record changes."""

    def __init__(self) -> None:
        self.trees: dict[int, Tree] = {}
        self.counts: dict[int, int] = {}
        self._roots: dict[int, int] = {}
        #: partitions whose root may be another one than in `_roots`
        self._stale: dict[int, None] = {}
        self._held: list[int] | None = None
        #: rows that took the place of others since the trees were last looked at: the hash that
        #: the tree has, and the one of now
        self._replaced: dict[Row, tuple[int, int]] = {}

    def replace(self, row: Row, old: int, new: int) -> None:
        """The hash of the record at `row` went from `old` to `new`. The trees get it when they are
        looked at: a row that is written often costs them once."""
        replaced = self._replaced
        before = replaced.get(row)
        replaced[row] = (old if before is None else before[0]), new
        if before is None and len(replaced) >= _REPLACED:
            self._settle()

    def _settle(self) -> None:
        """Bring the trees up to date."""
        replaced, self._replaced = self._replaced, {}
        trees, stale = self.trees, self._stale
        for row, (old, new) in replaced.items():
            partition = row[0] << 8 | row[1]
            key: Key = row[PLACE:]  # type: ignore[assignment]
            tree = trees.get(partition) or self.of(partition)
            tree.toggle(row[2] << 8 | row[3], item_hash(key, old) ^ item_hash(key, new))
            stale[partition] = None

    def of(self, partition: int) -> Tree:
        if self._replaced:
            self._settle()
        tree = self.trees.get(partition)
        if tree is None:
            tree = self.trees[partition] = Tree()
        return tree

    def change(self, row: Row, old: int | None, new: int | None) -> None:
        """The hash of the record at `row` went from `old` to `new` (None: no record)."""
        if row in self._replaced:
            self._settle()
        partition, key = split_object(row)
        if old is None or new is None:
            self.count(partition, (new is not None) - (old is not None))
        tree = self.trees.get(partition) or self.of(partition)
        tree.change(key, old, new)
        self._stale[partition] = None

    def count(self, partition: int, more: int) -> None:
        """So many records more are in a partition."""
        if more or partition not in self.counts:
            self.counts[partition] = self.counts.get(partition, 0) + more
            self._held = None

    def recount(self, partition: int, leaf: int, items: Iterable[tuple[Key, int]]) -> None:
        """Make a leaf anew from its (key, record hash) pairs."""
        self.of(partition).recount(leaf, items)
        self._stale[partition] = None

    def held(self) -> list[int]:
        """The partitions that have records; not to be changed."""
        if self._held is None:
            self._held = sorted(p for p, count in self.counts.items() if count)
        return self._held

    def adopt(self, counts: dict[int, int], trees: dict[int, Tree]) -> None:
        """Take up trees that were written down."""
        self.counts, self.trees = counts, trees
        self._stale, self._held = dict.fromkeys(trees), None

    def roots(self) -> dict[int, int]:
        """The roots of the partitions that are not empty; not to be changed."""
        if self._replaced:
            self._settle()
        for partition in self._stale:
            root = self.trees[partition].root()
            if root:
                self._roots[partition] = root
            else:
                self._roots.pop(partition, None)
        self._stale = {}
        return self._roots


class Trees:
    """The forest that serves, and the one that is being made."""

    def __init__(
        self,
        runtime: Runtime,
        store: Reader,
        objects: RecordTable,
        expiry: float,
        *,
        on_row: Callable[[Row, Record], None],
    ) -> None:
        """`expiry`: seconds after which trees are made anew from the records. `on_row` is
        called for every record that a scan meets."""
        self.runtime = runtime
        self._store = store
        self._objects = objects
        self._expiry = expiry
        self.serving: Forest | None = None
        self._coming: Forest | None = None
        self._cursor = _START
        #: whether the trees that serve lack a row that could not be read
        self._lacking = False
        self._scheduled = False
        self.rebuilds = 0
        self.on_row = on_row

    # ---- reading

    @property
    def complete(self) -> bool:
        """Whether there are trees to compare."""
        return self.serving is not None

    @property
    def rebuilding(self) -> bool:
        """Whether every record is being read, to make them anew."""
        return self._coming is not None

    @property
    def _forest(self) -> Forest:
        return self.serving or self._coming or Forest()

    @property
    def objects(self) -> int:
        """How many records there are, as far as is known."""
        return sum(self._forest.counts.values())

    def held(self) -> list[int]:
        """The partitions that have records."""
        return self._forest.held()

    def roots(self) -> dict[int, int]:
        """The roots of the partitions that are not empty; not to be changed."""
        return self._forest.roots()

    def of(self, partition: int) -> Tree:
        return self._forest.of(partition)

    def keys(self, partition: int, leaves: list[int]) -> dict[Key, int]:
        """key -> record hash, for the keys in these leaves (durable records)."""
        return {
            split_object(row)[1]: record.hash
            for leaf in leaves
            for row, record in self._objects.scan(leaf_prefix(partition, leaf))
        }

    # ---- keeping them true

    def changed(self, row: Row, old: Record | None, new: Record | None) -> None:
        """The record at `row` went from `old` to `new`."""
        before = None if old is None else old.hash
        after = None if new is None else new.hash
        if self.serving is not None:
            self.serving.change(row, before, after)
        if self._coming is not None and row <= self._cursor:
            self._coming.change(row, before, after)

    def replaced(self, row: Row, old: int, new: int) -> None:
        """As `changed`, by hashes, for a record that takes the place of another."""
        if self.serving is not None:
            self.serving.replace(row, old, new)
        if self._coming is not None and row <= self._cursor:
            self._coming.replace(row, old, new)

    def damaged(self, row: Row) -> None:
        """The record of a row was found damaged: without it the tree differs from those of
        the other replicas, and that is what heals it."""
        partition, key = split_object(row)
        leaf = leaf_of(key)
        if self.serving is not None:
            self.serving.count(partition, -1)
            self.serving.recount(partition, leaf, self.keys(partition, [leaf]).items())
        if self._coming is not None and row <= self._cursor:
            self._coming, self._cursor = Forest(), _START

    def unreadable(self, row: Row) -> None:
        """A change of a row could not be stored, and it is not known what is there: the trees do
        not have it, and are made anew once all can be read."""
        self._lacking = True
        if self._coming is not None and row <= self._cursor:
            self._coming, self._cursor = Forest(), _START
        self.rebuild()

    def readable(self, row: Row, record: Record) -> None:
        """A row that was found damaged can be read again."""
        self.changed(row, None, record)

    # ---- from one life to the next

    def recover(self) -> None:
        """Take up the trees of a clean stop, or begin to make them. Raises ReadFailed."""
        try:
            self.serving = self._written_down()
        except Damaged as damage:
            self.runtime.emit("row-damaged", table="meta", reason=str(damage))
        self.runtime.persist_first((Write("meta", _MARK, None),))
        if self.serving is None:
            self.rebuild()
        else:
            self.runtime.emit("trees-kept", objects=self.objects)
        if not self._scheduled:
            self._scheduled = True
            self.runtime.after(self._expiry, self.expire)

    def _written_down(self) -> Forest | None:
        raw = self._store.get("meta", _MARK)
        if raw is None:
            return None
        mark = msgspec.msgpack.decode(raw, type=_Mark)
        trees: dict[int, Tree] = {}
        for partition in mark.counts:
            leaves = self._store.get("meta", _row(partition))
            if leaves is None or len(leaves) != 8 * mark.leaves or mark.leaves != LEAVES:
                return None
            trees[partition] = Tree(array("Q", leaves))
        forest = Forest()
        forest.adopt(mark.counts, trees)
        return forest

    def put_away(self) -> None:
        """Write the trees down for the next life. Every record must be durable by now, and
        none may change any more. Trees that lack a record which could not be read are not: the
        next life may be able to read it."""
        forest = self.serving
        if forest is None or not self._objects.settled or self._lacking or self._objects.damaged:
            return
        counts = {p: count for p, count in sorted(forest.counts.items()) if count}
        rows = [Write("meta", _row(p), forest.of(p).dump()) for p in counts]
        mark = msgspec.msgpack.encode(_Mark(LEAVES, counts))
        self.runtime.before_all = ()  # where the last mark is still there, nothing has been stored
        self.runtime.persist((*rows, Write("meta", _MARK, mark)), lambda reason: None)

    # ---- making them anew

    def rebuild(self) -> None:
        """Make the trees anew from the records, a slice at a time; nothing if that is under
        way already."""
        if self._coming is None:
            self._coming, self._cursor = Forest(), _START
            self.scan_slice()

    def expire(self) -> None:
        """Begin to make the trees anew, as is done every `expiry` seconds."""
        self.rebuild()
        self.runtime.after(self._expiry, self.expire)

    def scan_slice(self) -> None:
        """Read a slice of records into the trees that are being made."""
        coming = self._coming
        assert coming is not None
        rows, size = 0, 0
        try:
            for row, record in self._objects.scan(after=self._cursor):
                coming.change(row, None, record.hash)
                self.on_row(row, record)
                self._cursor = row
                rows += 1
                size += sum(len(version.value) for version in clock.versions(record.state))
                if rows >= _SLICE_ROWS or size >= _SLICE_BYTES:
                    self.scan_on(_PAUSE)
                    return
        except ReadFailed as error:
            self.runtime.emit("rebuild-failed", reason=str(error))
            self.scan_on(_READ_AGAIN)
            return
        self._finish(coming)

    def scan_on(self, delay: float) -> None:
        """Read the next slice of records, `delay` seconds from now."""
        self.runtime.after(delay, self.scan_slice)

    def _finish(self, coming: Forest) -> None:
        before, self.serving, self._coming = self.serving, coming, None
        self._lacking = False
        self.rebuilds += 1
        self.runtime.emit("trees-rebuilt", objects=self.objects, boot=before is None)
        if before is not None and before.roots() != coming.roots():
            was, now = before.roots(), coming.roots()
            drifted = sorted(p for p in {*was, *now} if was.get(p) != now.get(p))
            self.runtime.emit("tree-drift", partitions=drifted)


def _row(partition: int) -> bytes:
    return b"tree:%d" % partition
