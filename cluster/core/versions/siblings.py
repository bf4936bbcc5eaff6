"""The limit on the siblings of one key.

Every put carries, stores, hashes and logs the whole state of its key, so that n blind puts to
one key cost the square of n; and a state that no frame can carry can be neither read nor
repaired. Hence a version that would be one sibling too many is refused before it is stamped. A
merge is never refused: replicas have to agree, and what each of them stamped was within the limit,
also where more was there already.
So a key holds at most the limit of every node that stamped it while they were cut off from one
another, and the frames between nodes carry that (cluster.net.wire).
"""

from __future__ import annotations

from dataclasses import dataclass

from dynamesis.cluster.core.protocol.messages import State


@dataclass(frozen=True)
class SiblingLimit:
    """At most so many siblings of a key, and bytes of their values; `node` is the one that stamps
    under it."""

    count: int
    bytes: int
    node: str

    def exceeded(self, before: State, after: State) -> bool:
        """Whether a put that leaves `after` of `before` is one too many. One version alone never
        is, nor a put that leaves fewer siblings, or fewer bytes, than there were: unless it leaves
        more of this node's own than it may have. (Nodes that replace one by one what they all
        have, each for itself, would else double it whenever they are apart.)"""
        siblings = _count(after)
        if siblings <= 1:
            return False
        size = size_of(after)
        if siblings <= self.count and size <= self.bytes:
            return False
        return self._grows(before, after) or self._grows(self._own(before), self._own(after))

    def _grows(self, before: State, after: State) -> bool:
        siblings, size = _count(after), size_of(after)
        return siblings > 1 and (
            (siblings > self.count and siblings > _count(before))
            or (size > self.bytes and size > size_of(before))
        )

    def _own(self, state: State) -> State:
        """What actors of this node have stamped, in any of its lives."""
        return {a: entry for a, entry in state.items() if a.rsplit(":", 2)[0] == self.node}


def _count(state: State) -> int:
    return sum([len(entry.values) for entry in state.values()])


def size_of(state: State) -> int:
    """Bytes of the values of all siblings."""
    return sum([len(v.value) for entry in state.values() for _, v in entry.values])
