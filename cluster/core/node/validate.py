"""Which messages make sense. A frame can be well formed and still name a partition that
is not there; the sender gets a refusal, and nothing is done.

Keys and options of clients are judged where requests are admitted (node).
"""

from __future__ import annotations

from collections.abc import Iterable

from dynamesis.cluster.core.membership.changes import is_id
from dynamesis.cluster.core.protocol.messages import (
    ForwardPut,
    Gossip,
    Key,
    Layout,
    Message,
    ReplicaGet,
    ReplicaPut,
    SyncKey,
    TreeKeys,
    TreeLeaves,
    TreeRoots,
)
from dynamesis.cluster.core.protocol.params import Params
from dynamesis.cluster.core.storage.merkle import LEAVES, WIDTH

_COUNT = 1 << 53


def objection(message: Message, params: Params) -> str | None:
    """What is wrong with another node's question; None if nothing is."""
    kind = type(message)
    if kind is ReplicaPut or kind is ReplicaGet or kind is SyncKey:
        return _key(message.key, params)  # type: ignore[union-attr]
    match message:
        case ForwardPut():
            return None if 0 <= message.hops <= _COUNT else f"hops is {message.hops}"
        case TreeRoots():
            return _within("partition", message.roots, params.partitions)
        case TreeLeaves():
            return _places(message.branches, "branch", WIDTH, params.partitions)
        case TreeKeys():
            return _places(message.leaves, "leaf", LEAVES, params.partitions)
        case Gossip():
            for id in message.requests:
                if not is_id(id):
                    return f"a change of the membership is called {id[:80]!r}"
            return None if message.layout is None else _layout(message.layout, params)
    return None


def _key(key: Key, params: Params) -> str | None:
    if 0 < len(key) <= params.max_key:
        return None
    return f"the key is {len(key)} bytes; it must be 1 to {params.max_key}"


def _within(what: str, numbers: Iterable[int], limit: int) -> str | None:
    for number in numbers:
        if not 0 <= number < limit:
            return f"{what} is {number}; it must be 0 to {limit - 1}"
    return None


def _places(places: dict[int, list[int]], what: str, limit: int, partitions: int) -> str | None:
    wrong = _within("partition", places, partitions)
    for numbers in places.values():
        wrong = wrong or _within(what, numbers, limit)
    return wrong


def _layout(layout: Layout, params: Params) -> str | None:
    if not 0 < layout.version < _COUNT:
        return f"the layout's version is {layout.version}"
    for name, owners in (("owners", layout.owners), ("target", layout.target)):
        if len(owners) != params.partitions:
            return f"the layout has {len(owners)} {name}; the ring has {params.partitions}"
    if not layout.members or not all((*layout.members, *layout.owners, *layout.target)):
        return "the layout names no member, or one without a name"
    if not set(layout.target) <= set(layout.members):
        return "the layout gives partitions to a node that is not a member"
    return _within("partition", layout.ready, params.partitions)
