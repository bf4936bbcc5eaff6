"""Bugs of membership, placement and failure detection."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
from dynamesis.cluster.core.membership.changes import claimant
from dynamesis.cluster.core.membership.membership import merge_layouts
from dynamesis.cluster.core.node.node import Node
from dynamesis.cluster.core.protocol.messages import Change, Layout
from dynamesis.cluster.core.ring.placement import Rules
from dynamesis.cluster.core.ring.ring import Ring


def ghost_member(node: Node) -> None:
    """Members are merged as a union: whoever was removed comes back with stale gossip."""
    membership = node.membership
    adopt = membership.adopt

    def revive(layout: Layout | None, requests: dict[str, Change]) -> bool:
        ours = membership.layout
        merged = merge_layouts(ours, layout)
        if ours is not None and layout is not None and merged is not None:
            everybody = tuple(sorted({*ours.members, *layout.members}))
            layout = msgspec.structs.replace(merged, members=everybody)
            membership.layout = msgspec.structs.replace(ours, members=ours.members)
        return adopt(layout, requests)

    membership.adopt = revive  # type: ignore[method-assign]


def clock_merge(node: Node) -> None:
    """Who belongs, and who is ready, is one value with a date, by whose clock ever: of two
    the later one is kept."""
    membership, following = node.membership, node.membership._next

    def dated(layout: Layout, **changes: Any) -> Layout:
        return msgspec.structs.replace(following(layout, **changes), version=node.runtime.wall)

    def mark_ready(partition: int) -> None:
        layout = membership.layout
        assert layout is not None
        ready = {**layout.ready, partition: (*layout.ready.get(partition, ()), membership._node)}
        later = msgspec.structs.replace(layout, ready=ready, version=node.runtime.wall)
        membership.adopt(later, {})

    membership._next = dated  # type: ignore[method-assign]
    membership.mark_ready = mark_ready  # type: ignore[method-assign]


def double_claim(node: Node) -> None:
    """Every member plans, and who has a plan takes none that does not go on from it."""
    membership = node.membership
    advance, adopt = membership.advance, membership.adopt

    def plan() -> None:
        me, layout = membership._node, membership.layout
        membership._node = me if layout is None else claimant(layout, membership.requests)
        advance()
        membership._node = me

    def keep(layout: Layout | None, requests: dict[str, Change]) -> bool:
        ours = membership.layout
        rival = ours and layout and not set(ours.applied) <= set(layout.applied)
        return False if rival else adopt(layout, requests)

    membership.advance = plan  # type: ignore[method-assign]
    membership.adopt = keep  # type: ignore[method-assign]


class _Dealt(Rules):
    """Partitions are dealt out in turn, and N in a row are taken for N nodes."""

    def claim(
        self, members: Sequence[str], partitions: int, previous: Sequence[str] | None = None
    ) -> tuple[str, ...]:
        return tuple(sorted(members)[p % len(members)] for p in range(partitions))

    def ring(self, owners: Sequence[str]) -> Ring:
        ring, twice = super().ring(owners), (*owners, *owners)
        in_a_row = [twice[p : p + self.n] for p in range(len(owners))]
        ring._primaries = in_a_row
        ring._walks = [
            (*first, *(node for node in walk if node not in first))
            for first, walk in zip(in_a_row, ring._walks, strict=True)
        ]
        return ring


def tail_violation(node: Node) -> None:
    """Partitions are dealt out without a look at where the ring ends and begins again."""
    node.rules = node.membership._rules = _Dealt(node.params.n)


def banned_forever(node: Node) -> None:
    """A peer that was once suspected is never asked again."""
    node.detector.heard = lambda peer: node.detector.watch([peer])  # type: ignore[method-assign]


def lone_ring(node: Node) -> None:
    """A node that hears of no cluster at once founds one of its own."""
    start = node._start

    def found(intact: bool) -> None:
        start(intact)
        if node.membership.layout is None and not node.params.members:
            me = (node.params.node,)
            owners = me * node.params.partitions
            node.membership.adopt(Layout(99, me[0], me, owners, owners), {})

    node._start = found  # type: ignore[method-assign]
