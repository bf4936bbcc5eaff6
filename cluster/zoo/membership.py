"""Bugs of membership, placement and failure detection."""

from __future__ import annotations

import msgspec

from cluster.core.membership import merge_layouts
from cluster.core.messages import Change, Layout
from cluster.core.node import Node


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
