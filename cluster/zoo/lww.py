"""Bugs where the last writer wins: the wrong writer, or not the same one everywhere."""

from __future__ import annotations

from dataclasses import replace

import msgspec
from dynamesis.cluster.core.node.node import Node
from dynamesis.cluster.core.node.parts import Parts
from dynamesis.cluster.core.protocol.messages import State, Version
from dynamesis.cluster.core.protocol.params import Params
from dynamesis.cluster.core.storage.record_table import RecordTable
from dynamesis.cluster.core.versions import clock
from dynamesis.cluster.core.versions.versioning import LastWriteWins, Versioning, versioning

_LATEST = "@"


class _OwnClock(LastWriteWins):
    def settle(self, state: State) -> State:
        settled = super().settle(state)
        return {a: entry for a, entry in settled.items() if entry.values or a == _LATEST}


def _own_clock(params: Params) -> Versioning:
    return replace(versioning(params), lww=_OwnClock())


class LwwOwnClock(Node):
    """The winner keeps its own clock alone: what it beat is not known to be beaten."""

    parts = Parts(versioning=_own_clock)


class _WallDated(LastWriteWins):
    def date(self, version: Version, context: State, state: State, wall: int) -> Version:
        return msgspec.structs.replace(version, at=wall)


def _wall_dated(params: Params) -> Versioning:
    return replace(versioning(params), lww=_WallDated())


class LwwClientTime(Node):
    """A write is dated by the wall clock, be it behind what the write follows on."""

    parts = Parts(versioning=_wall_dated)


class _LastArrived(RecordTable):
    def combine(self, ours: State, incoming: State, why: str) -> State:
        if _LATEST not in incoming:
            return super().combine(ours, incoming, why)
        return {**clock.seen(ours), **incoming}


class LwwArrival(Node):
    """At a replica what arrives last wins, whenever it was written."""

    parts = Parts(objects=_LastArrived)
