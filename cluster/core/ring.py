"""Placement: MD5, Q equal partitions, and preference lists (sections 4.2, 4.3, 6.2).

The 128-bit ring is cut into Q equal partitions (strategy 3 of section 6.2); each is
owned by one node, and a key's preference list is the walk from its partition that
skips nodes already met. The claim spreads ownership so that any few consecutive
partitions, the wrap-around included, belong to distinct nodes: then a node's loss is
shared by many, and no walk has to go far.
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import md5

_RING = 128
_STEPS = 200_000


def position(key: bytes) -> int:
    """Where a key lies on the ring of 2**128."""
    return int.from_bytes(md5(key, usedforsecurity=False).digest(), "big")


def partition_of(key: bytes, partitions: int) -> int:
    """Which of `partitions` equal slices a key falls into, from 0."""
    return position(key) * partitions >> _RING


def claim(
    members: Sequence[str],
    partitions: int,
    spread: int,
    previous: Sequence[str] | None = None,
) -> tuple[str, ...]:
    """The owner of each partition: shares within one of each other, and owners distinct
    in every window of `spread` consecutive partitions, as far as that is possible."""
    nodes = sorted(members)
    for width in range(min(spread, len(nodes)), 0, -1):
        owners = _search(nodes, partitions, width)
        if owners is not None:
            return owners
    raise ValueError("a ring needs at least one node and one partition")


def _search(nodes: list[str], partitions: int, width: int) -> tuple[str, ...] | None:
    """Depth-first with the least-recently used of the neediest nodes first; None when the
    budget of steps ends."""
    base, more = divmod(partitions, len(nodes))
    left = {node: base + (i < more) for i, node in enumerate(nodes)}
    owners: list[str] = []
    choices = [_candidates(owners, left, partitions, width)]
    for _ in range(_STEPS):
        if len(owners) == partitions:
            return tuple(owners)
        if choices[-1]:
            node = choices[-1].pop()
            owners.append(node)
            left[node] -= 1
            choices.append(_candidates(owners, left, partitions, width))
        elif owners:
            choices.pop()
            left[owners.pop()] += 1
        else:
            return None
    return None


def _candidates(owners: list[str], left: dict[str, int], total: int, width: int) -> list[str]:
    """Who may own the next partition, best last."""
    here = len(owners)
    near = owners[max(0, here - width + 1) :]
    # past the end of the ring the window reaches back to its beginning
    over = here + width - total
    if over > 0:
        near = near + owners[:over]
    recent = {node: i for i, node in enumerate(owners[-len(left) :])}
    free = [node for node, n in left.items() if n > 0 and node not in near]
    return sorted(free, key=lambda node: (left[node], -recent.get(node, -1), node))


class Ring:
    """A fixed assignment of partitions to nodes. N primaries a key."""

    def __init__(self, owners: Sequence[str], n: int) -> None:
        self.owners = tuple(owners)
        self.n = n
        self._walks = [self._walk(p) for p in range(len(self.owners))]
        self._primaries = [walk[:n] for walk in self._walks]

    def _walk(self, partition: int) -> tuple[str, ...]:
        turned = self.owners[partition:] + self.owners[:partition]
        return tuple(dict.fromkeys(turned))

    def partition(self, key: bytes) -> int:
        """The partition that `key` falls into, 0 to Q-1."""
        return partition_of(key, len(self.owners))

    def preference(self, partition: int) -> tuple[str, ...]:
        """All nodes for a partition: N primaries, then the fallbacks in order."""
        return self._walks[partition]

    def primaries(self, partition: int) -> tuple[str, ...]:
        return self._primaries[partition]

    def shared(self, a: str, b: str) -> list[int]:
        """The partitions of which both nodes are primaries."""
        return [
            p for p in range(len(self.owners)) if a in self.primaries(p) and b in self.primaries(p)
        ]
