"""Bugs of reads and read repair."""

from __future__ import annotations

from dynamesis.cluster.core.node.node import Node
from dynamesis.cluster.core.node.parts import Parts
from dynamesis.cluster.core.protocol.messages import Entry, State
from dynamesis.cluster.core.protocol.storage_reader import ReadFailed
from dynamesis.cluster.core.requests.get import GetRequest
from dynamesis.cluster.core.requests.phase import Phase
from dynamesis.cluster.core.ring.sloppy_quorum import ReplicaSlot
from dynamesis.cluster.core.storage.record_table import Record, RecordTable
from dynamesis.cluster.core.storage.row_keys import Row


class _Overwriting(RecordTable):
    def combine(self, ours: State, incoming: State, why: str) -> State:
        return incoming if why == "read-repair" else super().combine(ours, incoming, why)


class RepairOverwrites(Node):
    """A write that reached the replica after the read did is gone again."""

    parts = Parts(objects=_Overwriting)


class _FirstOnly(GetRequest):
    def send_repair(self, holder: str, merged: State) -> None:
        super().send_repair(holder, _first(merged))


class RepairFirstOnly(Node):
    """Of several siblings only the first is written back, under the clock of them all."""

    parts = Parts(get_request=_FirstOnly)


class _Eager(GetRequest):
    def is_stale(self, state: State, merged: State) -> bool:
        return True


class RepairEqual(Node):
    """Every read writes to every replica, whether it lacks anything or not."""

    parts = Parts(get_request=_Eager)


class _Hurried(GetRequest):
    def take_in(self, place: ReplicaSlot, state: State | None, durable: bool) -> None:
        if self.phase is Phase.OPEN:
            super().take_in(place, state, durable)


class NoLinger(Node):
    """A get ends once R have answered: a replica that answers late is not repaired."""

    parts = Parts(get_request=_Hurried)


class _BlindToErrors(RecordTable):
    def get(self, row: Row) -> Record | None:
        try:
            return super().get(row)
        except ReadFailed:
            return None


class ErrorIsNotfound(Node):
    """A record that cannot be read is taken for one that is not there."""

    parts = Parts(objects=_BlindToErrors)


def _first(state: State) -> State:
    kept: State = {}
    found = False
    for actor in sorted(state):
        entry = state[actor]
        kept[actor] = Entry(entry.n, () if found else entry.values[:1], entry.extra)
        found = found or bool(entry.values)
    return kept
