"""Bugs of membership: which nodes are members, which one plans, and which owns what."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
from dynamesis.cluster.core.membership.changes import claimant
from dynamesis.cluster.core.membership.detector import Detector
from dynamesis.cluster.core.membership.membership import Membership, merge_layouts
from dynamesis.cluster.core.node.node import Node
from dynamesis.cluster.core.node.parts import Parts
from dynamesis.cluster.core.protocol.messages import Change, Layout
from dynamesis.cluster.core.protocol.params import Params
from dynamesis.cluster.core.protocol.storage_reader import Reader
from dynamesis.cluster.core.ring.placement import Rules
from dynamesis.cluster.core.ring.ring import Ring
from dynamesis.cluster.core.runtime.runtime import Runtime


class _United(Membership):
    def adopt(self, layout: Layout | None, requests: dict[str, Change]) -> bool:
        ours = self.layout
        merged = merge_layouts(ours, layout)
        if ours is not None and layout is not None and merged is not None:
            members = tuple(sorted({*ours.members, *layout.members}))
            layout = msgspec.structs.replace(merged, members=members)
            self.layout = msgspec.structs.replace(ours, members=ours.members)
        return super().adopt(layout, requests)


class GhostMember(Node):
    """Members are merged as a union: a node that was removed comes back with stale gossip."""

    parts = Parts(membership=_United)


class _Dated(Membership):
    #: of the same node, for its wall clock; ClockMerge sets it
    runtime: Runtime

    def next_layout(self, layout: Layout, **changes: Any) -> Layout:
        following = super().next_layout(layout, **changes)
        return msgspec.structs.replace(following, version=self.runtime.wall)

    def mark_ready(self, partition: int) -> None:
        layout = self.layout
        assert layout is not None
        ready = {**layout.ready, partition: (*layout.ready.get(partition, ()), self.node)}
        later = msgspec.structs.replace(layout, ready=ready, version=self.runtime.wall)
        self.adopt(later, {})


class ClockMerge(Node):
    """Which nodes are members, and which are ready, is one value with a date, by any
    clock: of two the later one is kept."""

    parts = Parts(membership=_Dated)

    def __init__(self, params: Params, store: Reader, entropy: int) -> None:
        super().__init__(params, store, entropy)
        assert isinstance(self.membership, _Dated)
        self.membership.runtime = self.runtime


class _Rivals(Membership):
    def advance(self) -> None:
        me, layout = self.node, self.layout
        self.node = me if layout is None else claimant(layout, self.requests)
        super().advance()
        self.node = me

    def adopt(self, layout: Layout | None, requests: dict[str, Change]) -> bool:
        ours = self.layout
        rival = ours and layout and not set(ours.applied) <= set(layout.applied)
        return False if rival else super().adopt(layout, requests)


class DoubleClaim(Node):
    """Every member plans, and one that has a plan takes none that does not continue from it."""

    parts = Parts(membership=_Rivals)


class _Dealt(Rules):
    """Partitions are dealt out in turn, and N in a row are taken for N nodes."""

    def claim(
        self, members: Sequence[str], partitions: int, previous: Sequence[str] | None = None
    ) -> tuple[str, ...]:
        return tuple(sorted(members)[p % len(members)] for p in range(partitions))

    def ring(self, owners: Sequence[str]) -> Ring:
        return _InARow(owners, self.n)


class _InARow(Ring):
    def __init__(self, owners: Sequence[str], n: int) -> None:
        super().__init__(owners, n)
        twice = (*owners, *owners)
        self.all_primaries = [twice[p : p + n] for p in range(len(owners))]
        self.all_walks = [
            (*first, *(node for node in walk if node not in first))
            for first, walk in zip(self.all_primaries, self.all_walks, strict=True)
        ]


class TailViolation(Node):
    """Partitions are dealt out without a look at where the ring ends and begins again."""

    parts = Parts(rules=_Dealt)


class _Unforgiving(Detector):
    def contacted(self, peer: str) -> None:
        self.watch([peer])


class BannedForever(Node):
    """A peer that was once suspected is never asked again."""

    parts = Parts(detector=_Unforgiving)


class LoneRing(Node):
    """A node that finds no cluster immediately bootstraps one of its own."""

    def start(self, intact: bool) -> None:
        super().start(intact)
        if self.membership.layout is None and not self.params.members:
            me = (self.params.node,)
            owners = me * self.params.partitions
            self.membership.adopt(Layout(99, me[0], me, owners, owners), {})
