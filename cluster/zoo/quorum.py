"""Bugs of quorums and durability: what an acknowledgement guarantees."""

from __future__ import annotations

from typing import Any

from dynamesis.cluster.core.node.node import Node
from dynamesis.cluster.core.node.parts import Parts
from dynamesis.cluster.core.protocol.messages import State
from dynamesis.cluster.core.requests.get import GetRequest
from dynamesis.cluster.core.requests.put import PutRequest
from dynamesis.cluster.core.ring.sloppy_quorum import ReplicaSlot
from dynamesis.cluster.core.runtime.runtime import Runtime
from dynamesis.cluster.core.storage.buffer import Done
from dynamesis.cluster.core.storage.record_table import Record, RecordTable
from dynamesis.cluster.core.storage.row_keys import Row


class _CountsItselfTwice(PutRequest):
    def count(self, place: ReplicaSlot, durable: bool) -> None:
        super().count(place, durable)
        if place.holder == self.services.node:
            super().count(ReplicaSlot(place.primary, f"{place.holder}, again"), durable)


class WCountsTwice(Node):
    """The coordinator counts as a client of itself, and so does its copy."""

    parts = Parts(put_request=_CountsItselfTwice)


class _Believing(GetRequest):
    def counts(self, place: ReplicaSlot, state: State | None) -> bool:
        return True


class NotfoundQuorum(Node):
    """A fallback that has nothing is believed: its not-found counts towards R."""

    parts = Parts(get_request=_Believing)


class _CountsThePlan(PutRequest):
    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self._counted: set[str] = set()

    def count(self, place: ReplicaSlot, durable: bool) -> None:
        super().count(place, durable)
        self._counted.add(place.holder)
        for other in self.plan.places:
            if other.hint_for is None and other.holder not in self._counted:
                super().count(other, False)


class PwOnPlan(Node):
    """PW is judged on the nodes that were to answer: a primary counts before it has."""

    parts = Parts(put_request=_CountsThePlan)


class _Hasty(RecordTable):
    def write(
        self, row: Row, old: Record | None, new: Record | None, done: Done, durable: bool
    ) -> None:
        super().write(row, old, new, lambda code: None, durable)
        self.runtime.after(0.0, lambda: done(None))


class AckBeforeDurable(Node):
    """Acknowledged when it was given to the disk, not when the disk had it."""

    parts = Parts(objects=_Hasty, hint_records=_Hasty)


class _AllTogether(Runtime):
    def persisted(self, token: int, reason: str | None = None) -> None:
        for waiting in [token, *self.persists] if reason is None else [token]:
            if waiting in self.persists:
                super().persisted(waiting, reason)


class LogTail(Node):
    """When one batch is durable, those behind it in the log are taken to be so too."""

    parts = Parts(runtime=_AllTogether)
