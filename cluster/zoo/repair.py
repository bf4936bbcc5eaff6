"""Bugs of read repair."""

from __future__ import annotations

from cluster.core.get import GetRequest
from cluster.core.messages import Entry, State
from cluster.core.node import Node


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


def _first(state: State) -> State:
    kept: State = {}
    found = False
    for actor in sorted(state):
        entry = state[actor]
        kept[actor] = Entry(entry.n, () if found else entry.values[:1], entry.extra)
        found = found or bool(entry.values)
    return kept
