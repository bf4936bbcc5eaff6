"""Derives from a set of changes which nodes are leaving, gone, closed or taking part.

An id begins with an age, one above the greatest that its author knew, so that ids sort
after what they followed on; then come the author and a number that no other life of any
node was given, so that no two changes share one, whatever a disk has forgotten.

Four kinds: `join`, `leave` and `remove` are asked for by an administrator. `close` is added
of a node that has left or was removed, when the cluster is done with it
(decommission). From then on no state that it sends is taken, and its name is never taken again:
a node that comes back under it may come with its old disk.
"""

from __future__ import annotations

import re

from dynamesis.cluster.core.protocol.messages import Change, Layout

#: every change that was ever asked for, by id: a set that only grows
Requests = dict[str, Change]

_ID = re.compile(r"(\d{6})-.")


def change_id(requests: Requests, author: str, entropy: int, kind: str, node: str) -> str:
    """A new id. `entropy`: the number of its author's life."""
    age = 1 + max((int(id[:6]) for id in requests), default=0)
    return f"{age:06d}-{author}-{entropy:016x}-{kind}-{node}"


def is_id(id: str) -> bool:
    """Whether `id` may have been made by change_id."""
    return _ID.match(id) is not None


def known(layout: Layout) -> tuple[str, ...]:
    """Members, and owners on their way out."""
    return tuple(sorted({*layout.members, *layout.owners}))


def open_requests(layout: Layout, requests: Requests) -> list[Change]:
    """Requests that no layout has taken up yet, in one order on all nodes. To close a node
    that is not a member takes no layout."""
    return [
        requests[id]
        for id in sorted(requests)
        if id not in layout.applied
        and (requests[id].kind != "close" or requests[id].node in layout.members)
    ]


def claimant(layout: Layout, requests: Requests) -> str:
    """The claimant, which makes the next layout: the first member by name that is not leaving."""
    leaving = {c.node for c in open_requests(layout, requests) if c.kind != "join"}
    staying = [m for m in layout.members if m not in leaving]
    return min(staying or layout.members)


def gone(layout: Layout, requests: Requests) -> set[str]:
    """The nodes that were removed since they last joined: no transfer waits for them. A
    removal that was passed over is none."""
    removed = set()
    for id in sorted(requests):
        change = requests[id]
        passed_over = id in layout.applied and change.node in layout.members
        if change.kind == "remove" and not passed_over:
            removed.add(change.node)
        elif change.kind == "join":
            removed.discard(change.node)
    return removed | closed(requests)


def closed(requests: Requests) -> set[str]:
    """The nodes that the cluster has closed: it takes nothing from them any more."""
    return {change.node for change in requests.values() if change.kind == "close"}


def former(layout: Layout, requests: Requests) -> set[str]:
    """Nodes that have left or were removed, and may still hold the only copy of a write."""
    if not requests:
        return set()
    taken_in = [requests[id] for id in layout.applied if id in requests]
    went = {change.node for change in taken_in if change.kind in ("leave", "remove")}
    return went - {*known(layout), *closed(requests)}


def participants(layout: Layout, requests: Requests) -> frozenset[str]:
    """Which states are merged, and which nodes are asked before a tombstone is forgotten."""
    return frozenset(known(layout)) - closed(requests) | former(layout, requests)


def after(members: tuple[str, ...], changes: list[Change]) -> tuple[str, ...]:
    """The members once `changes` are made."""
    now = dict.fromkeys(members)
    for change in changes:
        if change.kind == "join":
            now[change.node] = None
        else:
            now.pop(change.node, None)
    return tuple(sorted(now))
