"""Bugs of quorums and durability: what an acknowledgement is worth."""

from __future__ import annotations

from dynamesis.cluster.core.node.node import Node
from dynamesis.cluster.core.protocol.messages import State
from dynamesis.cluster.core.requests.get import GetRequest
from dynamesis.cluster.core.requests.put import PutRequest
from dynamesis.cluster.core.ring.sloppy_quorum import ReplicaSlot
from dynamesis.cluster.core.storage.buffer import Done
from dynamesis.cluster.core.storage.record_table import Record, RecordTable


def w_counts_twice(node: Node) -> None:
    """The coordinator counts as a client of itself, and so does its copy."""

    class Twice(PutRequest):
        def count(self, place: ReplicaSlot, durable: bool) -> None:
            super().count(place, durable)
            if place.holder == self._s.node:
                super().count(ReplicaSlot(place.primary, f"{place.holder}, again"), durable)

    node.put_request = Twice


def notfound_quorum(node: Node) -> None:
    """A fallback that has nothing is believed: its not-found counts towards R."""

    class Believing(GetRequest):
        def counts(self, place: ReplicaSlot, state: State | None) -> bool:
            return True

    node.get_request = Believing


def ack_before_durable(node: Node) -> None:
    """Acknowledged when it was given to the disk, not when the disk had it."""
    for records in (node.objects, node.hints.records):
        _acknowledge_at_once(node, records)


def pw_on_plan(node: Node) -> None:
    """PW is judged on who was to answer: a primary counts before it has."""

    class Planned(PutRequest):
        def count(self, place: ReplicaSlot, durable: bool) -> None:
            super().count(place, durable)
            for other in self._plan.places:
                if other.hint_for is None:
                    self._tally._answered.setdefault(other.holder, (True, False))

    node.put_request = Planned


def log_tail(node: Node) -> None:
    """When one batch is durable, those behind it in the log are taken to be so too."""
    runtime = node.runtime
    persisted = runtime.persisted

    def all_of_them(token: int, reason: str | None = None) -> None:
        for waiting in [token, *runtime._persists] if reason is None else [token]:
            if waiting in runtime._persists:
                persisted(waiting, reason)

    runtime.persisted = all_of_them  # type: ignore[method-assign]


def _acknowledge_at_once(node: Node, records: RecordTable) -> None:
    put = records._put

    def hasty(
        key: bytes, old: Record | None, new: Record | None, done: Done, durable: bool
    ) -> None:
        put(key, old, new, lambda code: None, durable)
        node.runtime.after(0.0, lambda: done(None))

    records._put = hasty  # type: ignore[method-assign]
