"""Placement: MD5, Q equal partitions, and preference lists (sections 4.2, 4.3, 6.2).

The 128-bit ring is cut into Q equal partitions (strategy 3 of section 6.2); each is
owned by one node (by which: cluster.core.ring.claim), and a key's preference list is the
walk from its partition that skips nodes already met. Where zones are named, the walk
also skips a node whose zone has its share of the N replicas, as long as another can be
found (section 4.6: each object is replicated across multiple data centers).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from hashlib import md5
from math import ceil

from dynamesis.cluster.core.protocol.messages import Key

_RING = 128


def position(key: Key) -> int:
    """Where a key lies on the ring of 2**128."""
    return int.from_bytes(md5(key, usedforsecurity=False).digest(), "big")


@lru_cache(maxsize=2048)  # a request asks several times for the place of one key
def partition_of(key: Key, partitions: int) -> int:
    """Which of `partitions` equal slices a key falls into, from 0."""
    return position(key) * partitions >> _RING


@lru_cache(maxsize=8)  # nodes that share a process share a ring
def _walks(owners: tuple[str, ...]) -> Sequence[tuple[str, ...]]:
    """The nodes in the order in which the walk from each partition meets them first."""
    return [tuple(dict.fromkeys(owners[p:] + owners[:p])) for p in range(len(owners))]


class Ring:
    """A fixed assignment of partitions to nodes. N primaries a key."""

    def __init__(
        self,
        owners: Sequence[str],
        n: int,
        zones: Mapping[str, str] | None = None,
        zone_replicas: Mapping[str, int] | None = None,
    ) -> None:
        """`zones`: node -> zone; `zone_replicas`: zone -> replicas it shall hold of each
        key, by default an equal share of N."""
        self.owners = tuple(owners)
        self.n = n
        self._zones = dict(zones or {})
        shares = dict(zone_replicas or {})
        for zone in sorted({self._zones[node] for node in self.owners if node in self._zones}):
            shares.setdefault(zone, 0 if zone_replicas else ceil(n / len({*self._zones.values()})))
        self._zone_replicas = shares
        walks = _walks(self.owners)
        self.all_walks = [self._across_zones(met) for met in walks] if self._zones else walks
        self.all_primaries = [walk[:n] for walk in self.all_walks]

    def _across_zones(self, met: tuple[str, ...]) -> tuple[str, ...]:
        """`met` with the N first chosen so that every zone has its replicas."""
        room = dict(self._zone_replicas)
        chosen: list[str] = []
        for node in met:
            zone = self._zones.get(node, "")
            if len(chosen) < self.n and room.get(zone, self.n) > 0:
                room[zone] = room.get(zone, self.n) - 1
                chosen.append(node)
        rest = [node for node in met if node not in chosen]
        return (*chosen, *rest)

    def partition(self, key: Key) -> int:
        """The partition that `key` falls into, 0 to Q-1."""
        return partition_of(key, len(self.owners))

    def preference(self, partition: int) -> tuple[str, ...]:
        """All nodes for a partition: N primaries, then the fallbacks in order."""
        return self.all_walks[partition]

    def primaries(self, partition: int) -> tuple[str, ...]:
        return self.all_primaries[partition]

    def shared(self, a: str, b: str) -> list[int]:
        """The partitions of which both nodes are primaries."""
        return [
            p for p in range(len(self.owners)) if a in self.primaries(p) and b in self.primaries(p)
        ]
