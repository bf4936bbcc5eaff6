"""Which messages make sense. A frame can be well formed and still name a partition that
is not there: a question like that gets a refusal, an answer counts as one, and nothing is done.

Keys and options of clients are judged where requests are admitted (node).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from dynamesis.cluster.core.membership.changes import is_id
from dynamesis.cluster.core.protocol.messages import (
    Change,
    ForwardPut,
    Gossip,
    GossipReply,
    Key,
    Layout,
    Message,
    Ping,
    Reap,
    ReplicaGet,
    ReplicaGetReply,
    ReplicaPut,
    State,
    SyncKey,
    SyncKeyReply,
    TreeKeys,
    TreeKeysReply,
    TreeLeaves,
    TreeLeavesReply,
    TreeRoots,
    TreeRootsReply,
)
from dynamesis.cluster.core.protocol.names import MOST_KEY, name_objection
from dynamesis.cluster.core.protocol.params import Params
from dynamesis.cluster.core.storage.merkle import LEAVES, WIDTH
from dynamesis.cluster.core.versions import vector

_COUNT = 1 << 53
#: the answers that name places and keys; what others have in them is compared, or merged
_JUDGED = frozenset((GossipReply, TreeKeysReply, TreeLeavesReply, TreeRootsReply))
#: the questions that name no place and no key that could be wrong
_NAMELESS = frozenset((Ping, Reap))
#: a state of vectors has to be read as text before it can be merged
_JUDGED_VECTORS = _JUDGED | {ReplicaGetReply, SyncKeyReply}


def judged(params: Params) -> frozenset[type]:
    """The types of answers that objection() has to be asked about."""
    return _JUDGED_VECTORS if params.clock == "vector" else _JUDGED


def objection(message: Message, params: Params) -> str | None:
    """What is wrong with another node's question or answer; None if nothing is."""
    if type(message) in _NAMELESS:
        return None
    match message:  # what comes most often first: each case that does not match is asked
        case Gossip() | GossipReply():
            wrong = _changes(message.requests)
            if wrong is None and message.layout is not None:
                wrong = _layout(message.layout, params)
            return wrong
        case ReplicaPut() | ReplicaGet():
            wrong = _key(message.key)
            if wrong is None and message.hint_for is not None:
                wrong = name_objection(message.hint_for)
            if wrong is None and isinstance(message, ReplicaPut):
                wrong = _state(message.state, params)
            return wrong
        case SyncKey():
            return _key(message.key) or _state(message.state, params)
        case ReplicaGetReply() | SyncKeyReply():
            return _state(message.state, params)
        case ForwardPut():
            return None if 0 <= message.hops <= _COUNT else f"hops is {message.hops}"
        case TreeRoots():
            return _within("partition", message.roots, params.partitions)
        case TreeRootsReply():
            return _within("partition", message.branches, params.partitions)
        case TreeLeaves():
            return _places(message.branches, "branch", WIDTH, params.partitions)
        case TreeKeys() | TreeLeavesReply():
            return _places(message.leaves, "leaf", LEAVES, params.partitions)
        case TreeKeysReply():
            return next(filter(None, (_key(key) for key in message.keys)), None)
    return None


def _changes(requests: Mapping[str, Change]) -> str | None:
    for id, change in requests.items():
        if not is_id(id) or change.id != id:
            return f"a change of the membership is called {id[:80]!r}"
        if wrong := name_objection(change.node):
            return wrong
    return None


def _key(key: Key) -> str | None:
    """Not held to `max_key`: what was stored while that was higher is still moved and repaired."""
    if 0 < len(key) <= MOST_KEY:
        return None
    return f"the key is {len(key)} bytes; it must be 1 to {MOST_KEY}"


def _state(state: State | None, params: Params) -> str | None:
    if not state or params.clock != "vector" or vector.is_state(state):
        return None
    return "the state is none of plain vectors"


def _within(what: str, numbers: Iterable[int], limit: int) -> str | None:
    for number in numbers:
        if not 0 <= number < limit:
            return f"{what} is {number}; it must be 0 to {limit - 1}"
    return None


def _places(
    places: Mapping[int, Iterable[int]], what: str, limit: int, partitions: int
) -> str | None:
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
    if not layout.members or len({*layout.members}) < len(layout.members):
        return "the layout names no member, or one twice"
    for name in dict.fromkeys((*layout.members, *layout.owners)):
        if wrong := name_objection(name):
            return wrong
    if not set(layout.target) <= set(layout.members):
        return "the layout gives partitions to a node that is not a member"
    return _within("partition", layout.ready, params.partitions)
