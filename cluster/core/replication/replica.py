"""What this node answers as a replica: for keys that it owns, and for those it keeps for
others.

Persist before reply: nothing is acknowledged, and nothing is shown to a reader, that is
not durable here, unless `durability` is `buffered`: then it is what the buffer keeps.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Sequence

from dynamesis.cluster.core.protocol.messages import Key, State, Version
from dynamesis.cluster.core.protocol.storage_reader import ReadFailed
from dynamesis.cluster.core.replication.hints import Hints, size_with
from dynamesis.cluster.core.ring.placement import Placement
from dynamesis.cluster.core.runtime.runtime import Runtime
from dynamesis.cluster.core.storage.buffer import Done
from dynamesis.cluster.core.storage.record_table import Record, RecordTable
from dynamesis.cluster.core.storage.row_keys import Row, hint_row, object_row
from dynamesis.cluster.core.versions import clock

#: answer(state or None for not found, None), or answer(None, error code)
Answered = Callable[[State | None, str | None], None]
#: the same, with whether all of the state is on the disk
Shown = Callable[[State | None, str | None, bool], None]


class Replica:
    def __init__(
        self,
        node: str,
        runtime: Runtime,
        placement: Callable[[], Placement | None],
        partition: Callable[[Key], int],
        objects: RecordTable,
        hints: Hints,
        limit: int,
        durable: bool,
    ) -> None:
        self.node = node
        self._runtime = runtime
        self._placement = placement
        self._partition = partition
        self.objects = objects
        self.hints = hints
        self._limit = limit
        #: whether what is stored here outlives the process
        self.durable = durable

    def holds(self, key: Key) -> bool:
        """Whether this node is to hold `key`, now or soon."""
        return self.keeps(self._partition(key))

    def keeps(self, partition: int) -> bool:
        """Whether this node is to hold `partition`, now or soon."""
        view = self._placement()
        return view is not None and view.holds(self.node, partition)

    def keeps_all(self, partitions: Iterable[int]) -> bool:
        """Whether this node is to hold all of `partitions`, now or soon."""
        view = self._placement()
        return view is not None and view.held(self.node) >= {*partitions}

    def row(self, key: Key) -> Row:
        """The row of this node's own record of `key`."""
        return object_row(self._partition(key), key)

    def own(self, key: Key) -> Record | None:
        """This node's own record of `key`, durable or not. Raises ReadFailed."""
        return self.objects.get(self.row(key))

    def get(self, key: Key, hint_for: str | None, answer: Shown) -> None:
        """All that this node holds of `key`, hints for others included, once durable. Asked
        as a primary (hint_for None), it must be one: else its ignorance would count."""
        partition = self._partition(key)
        if hint_for is None and not self.keeps(partition):
            self._runtime.note("not-primary", asked="get")
            answer(None, "not-primary", False)
            return
        row = object_row(partition, key)
        usual = self.all_is(row, key)
        try:
            held = [] if usual else self._held(key)
            record = self.objects.get(row) if usual else None
        except ReadFailed:
            answer(None, "storage-read", False)
            return
        if record is None:
            self._show(key, held, answer)
        else:
            answer(self.objects.join(key, {}, record.state), None, self.durable)

    def all_is(self, row: Row, key: Key) -> bool:
        """The usual case of a read: all that this node holds of `key` is its own record, and
        that is durable."""
        return self.objects.saved(row) and not self.hints.targets(key)

    def _show(self, key: Key, held: list[tuple[RecordTable, Row, Record]], answer: Shown) -> None:
        """Answer with all of `held`, merged, once each of it may be shown."""
        stored = self.durable and not any(
            records.buffer.promised(name) for records, name, _ in held
        )
        state: State = {}
        for _, _, record in held:
            state = self.objects.join(key, state, record.state)
        waiting = len(held)
        if not waiting:
            answer(None, None, False)

        def saved(code: str | None) -> None:
            nonlocal waiting
            waiting -= 1
            if code is not None and waiting >= 0:
                waiting = -1
                answer(None, code, False)
            elif waiting == 0:
                answer(state, None, stored)

        for records, name, _ in held:
            records.buffer.when_kept(name, saved)

    def _held(self, key: Key) -> list[tuple[RecordTable, Row, Record]]:
        places = [(self.objects, self.row(key))]
        places += [(self.hints.records, hint_row(t, key)) for t in self.hints.targets(key)]
        found = [(records, name, records.get(name)) for records, name in places]
        return [(records, name, record) for records, name, record in found if record is not None]

    def put(
        self,
        key: Key,
        state: State,
        hint_for: str | None,
        why: str,
        done: Done,
        durable: bool = True,
    ) -> None:
        """Sync `state` into the record of `key`, or into the hint for another node; done()
        once that is as `durable` as was asked."""
        if hint_for is None or hint_for == self.node:
            partition = self._partition(key)
            if not self.keeps(partition):
                self._runtime.note("not-primary", asked="put")
                done("not-primary")
                return
            self.objects.merge(object_row(partition, key), state, why, done, durable)
        elif self._may_keep(hint_for, key, clock.versions(state)):
            self.hints.records.merge(hint_row(hint_for, key), state, why, done, durable)
        else:
            done("overloaded")

    def stamp(
        self,
        key: Key,
        hint_for: str | None,
        context: State,
        version: Version,
        done: Done,
        durable: bool = True,
    ) -> tuple[State, State] | None:
        """Coordinate a put here: give `version` its dot (see RecordTable.stamp)."""
        if hint_for is None:
            return self.objects.stamp(self.row(key), context, version, done, durable)
        if not self._may_keep(hint_for, key, [version]):
            done("overloaded")
            return None
        name = hint_row(hint_for, key)
        return self.hints.records.stamp(name, context, version, done, durable)

    def _may_keep(self, target: str, key: Key, versions: Sequence[Version]) -> bool:
        """Whether a hint that grows by these keeps all hints within their limit."""
        if self.hints.bytes + size_with(key, versions) <= self._limit:
            return True
        self._runtime.note("hint-refused", target=target, bytes=self.hints.bytes)
        return False

    def sync(self, key: Key, state: State | None, why: str, answer: Answered) -> None:
        """Merge with a peer's state, and answer with the result once it is durable."""
        if not self.holds(key):
            self._runtime.note("not-primary", asked="sync")
            answer(None, "not-primary")
            return
        if state is None:
            self._own(key, answer)
            return

        def saved(code: str | None) -> None:
            if code is None:
                self._own(key, answer)
            else:
                answer(None, code)

        self.objects.merge(self.row(key), state, why, saved)

    def _own(self, key: Key, answer: Answered) -> None:
        try:
            record = self.own(key)
        except ReadFailed:
            answer(None, "storage-read")
            return
        state = None if record is None else record.state
        self.when_saved(key, lambda code: answer(state if code is None else None, code))

    def when_saved(self, key: Key, done: Done) -> None:
        """done() once what this node holds of `key` itself now is durable: nothing is sent before,
        since after a crash its dots would name something else."""
        self.objects.buffer.when_saved(self.row(key), done)

    def when_partitions_saved(self, partitions: Container[int], done: Done) -> None:
        """done() once all that this node holds of these partitions now is durable."""
        buffer = self.objects.buffer
        unsaved = [row for row in buffer.pending if (row[0] << 8 | row[1]) in partitions]
        buffer.when_all_saved(unsaved, done)
