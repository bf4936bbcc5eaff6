"""Bugs where the last writer wins: who was last?"""

from __future__ import annotations

import msgspec
from dynamesis.cluster.core.node.node import Node
from dynamesis.cluster.core.protocol.messages import State, Version
from dynamesis.cluster.core.versions import clock

_LATEST = "@"


def lww_own_clock(node: Node) -> None:
    """The winner keeps its own clock alone: what it beat is not known to be beaten."""
    lww = node.versioning.lww
    settle = lww.settle

    def own(state: State) -> State:
        settled = settle(state)
        return {a: entry for a, entry in settled.items() if entry.values or a == _LATEST}

    lww.settle = own  # type: ignore[method-assign]


def lww_client_time(node: Node) -> None:
    """A write is dated by the wall clock, be it behind what the write follows on."""

    def date(version: Version, context: State, state: State, wall: int) -> Version:
        return msgspec.structs.replace(version, at=wall)

    node.versioning.lww.date = date  # type: ignore[method-assign]


def lww_arrival(node: Node) -> None:
    """At a replica what arrives last wins, whenever it was written."""
    combine = node.objects.combine

    def last(ours: State, incoming: State, why: str) -> State:
        if _LATEST not in incoming:
            return combine(ours, incoming, why)
        return {**clock.seen(ours), **incoming}

    node.objects.combine = last  # type: ignore[method-assign]
