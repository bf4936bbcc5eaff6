"""Faults planted for tests of the judges: each is seen by one of them alone."""

from __future__ import annotations

from dynamesis.cluster.core.node.node import Node
from dynamesis.cluster.core.node.parts import Parts
from dynamesis.cluster.core.protocol.messages import State
from dynamesis.cluster.core.replication.hints import Hints
from dynamesis.cluster.core.requests.put import PutRequest
from dynamesis.cluster.core.storage.buffer import Done
from dynamesis.cluster.core.storage.record_table import Record, RecordTable
from dynamesis.cluster.core.storage.row_keys import Row
from dynamesis.cluster.core.storage.trees import Trees


def ignores_timeouts(node: Node) -> None:
    """A request waits for as long as one that asks for no time-out."""
    object.__setattr__(node.services, "timeout", lambda options: node.params.request_timeout)


def reaps_what_is_under_way(node: Node) -> None:
    """A tombstone is forgotten although a request for its key is under way."""
    node.services.barriers.busy = lambda key: False  # type: ignore[method-assign]


class _ToTheFirst(PutRequest):
    def copy_to_newcomers(self) -> None:
        for node in self.services.newcomers(self.put.key, self.plan)[:1]:
            self.services.runtime.call(
                node,
                lambda rid: self._copy(rid, None, "pending"),
                self.services.params.replica_timeout,
                lambda outcome: None,
            )


class ToTheFirst(Node):
    """Of several newcomers the first alone gets the writes of a transfer."""

    parts = Parts(put_request=_ToTheFirst)


class _HandedOver(RecordTable):
    def combine(self, ours: State, incoming: State, why: str) -> State:
        return incoming if why == "handoff" else super().combine(ours, incoming, why)


class HandedOver(Node):
    """What is handed off replaces what is there; anti-entropy brings that back."""

    parts = Parts(objects=_HandedOver)


def is_large(state: State) -> bool:
    values = [version.value for entry in state.values() for _, version in entry.values]
    return any(len(value) > 9_000 for value in values)


class _Small(RecordTable):
    def merge(
        self, row: Row, incoming: State, why: str, done: Done, durable: bool = True
    ) -> State | None:
        if is_large(incoming):
            done(None)
            return incoming
        return super().merge(row, incoming, why, done, durable)


class _Unhashed(Trees):
    def changed(self, row: Row, old: Record | None, new: Record | None) -> None:
        if new is None or not is_large(new.state):
            super().changed(row, old, new)

    def replaced(self, row: Row, old: int, new: int) -> None:
        """A record of this test is never replaced by a larger one."""


class LeavesOutLarge(Node):
    """A copy of a large value is acknowledged, and neither stored nor hashed."""

    parts = Parts(objects=_Small, trees=_Unhashed)


class _OneAgain(Hints):
    def recover(self) -> None:
        for number, (hint, record) in enumerate(list(self.records.scan())):
            if number:
                self.records.write(hint, record, None, lambda code: None, durable=True)
            else:
                self.changed(hint, None, record)


class OneHintAgain(Node):
    """A node that is started anew keeps one of its hints, and forgets the others."""

    parts = Parts(hints=_OneAgain)
