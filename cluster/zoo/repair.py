"""Bugs of read repair."""

from __future__ import annotations

from dynamesis.cluster.core.node.node import Node
from dynamesis.cluster.core.protocol.messages import Entry, State
from dynamesis.cluster.core.protocol.storage_reader import ReadFailed
from dynamesis.cluster.core.requests.get import GetRequest
from dynamesis.cluster.core.ring.sloppy_quorum import ReplicaSlot
from dynamesis.cluster.core.storage.record_table import Record


def repair_overwrites(node: Node) -> None:
    """A write that reached the replica after the read did is gone again."""
    combine = node.objects.combine

    def overwrite(ours: State, incoming: State, why: str) -> State:
        return incoming if why == "read-repair" else combine(ours, incoming, why)

    node.objects.combine = overwrite  # type: ignore[method-assign]


def repair_first_only(node: Node) -> None:
    """Of several siblings only the first is written back, under the clock of them all."""

    class FirstOnly(GetRequest):
        def send_repair(self, holder: str, merged: State) -> None:
            super().send_repair(holder, _first(merged))

    node.get_request = FirstOnly


def repair_equal(node: Node) -> None:
    """Every read writes to every replica, whether it lacks anything or not."""

    class Eager(GetRequest):
        def is_stale(self, state: State, merged: State) -> bool:
            return True

    node.get_request = Eager


def no_linger(node: Node) -> None:
    """Once R have answered nobody waits for the rest: who answers late is not repaired."""

    class Hasty(GetRequest):
        def _hear(self, place: ReplicaSlot, state: State | None, durable: bool) -> None:
            if not self._responded:
                super()._hear(place, state, durable)

    node.get_request = Hasty


def error_is_notfound(node: Node) -> None:
    """A record that cannot be read is taken for one that is not there."""
    get = node.objects.get

    def read(key: bytes) -> Record | None:
        try:
            return get(key)
        except ReadFailed:
            return None

    node.objects.get = read  # type: ignore[method-assign]


def _first(state: State) -> State:
    kept: State = {}
    found = False
    for actor in sorted(state):
        entry = state[actor]
        kept[actor] = Entry(entry.n, () if found else entry.values[:1], entry.extra)
        found = found or bool(entry.values)
    return kept
