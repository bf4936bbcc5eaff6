"""Computes the replicas of a key from the ring in test.json.

Dynamo's strategy 3 (paper, section 6.2): Q equal partitions of the 128-bit MD5 ring, each
owned by a node. A key's preference list is the distinct owners met when walking the ring
from the key's partition; the first N are its primaries. Where nodes lie in zones, a node
is passed over once its zone has its share of the N, unless no other node is left (section
4.6). Written here a second time on purpose: a checker must not trust the code it checks.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from hashlib import md5
from typing import Any


@dataclass(frozen=True)
class CheckedRing:
    """Owner of each partition, and how many replicas a key has; (node, zone) of each node that
    lies in one, and (zone, how many replicas it holds at most)."""

    owners: tuple[str, ...]
    n: int
    zones: tuple[tuple[str, str], ...] = ()
    quotas: tuple[tuple[str, int], ...] = ()
    _of_key: dict[str, tuple[str, ...]] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )
    _of_partition: dict[int, tuple[str, ...]] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )

    @classmethod
    def of(cls, test: Mapping[str, Any] | None) -> CheckedRing | None:
        """The ring of a test.json; None if that is absent or has none. Where every node holds
        every key (`"replicas": "all"`), all are primaries."""
        ring = (test or {}).get("ring")
        if everywhere(test):
            nodes = tuple((test or {}).get("nodes") or ())
            return cls(nodes, len(nodes)) if nodes else None
        if not isinstance(ring, Mapping) or not ring.get("owners"):
            return None
        return cls.of_node(ring, int((test or {}).get("n", ring.get("n", 3))))

    @classmethod
    def of_node(cls, ring: Mapping[str, Any], n: int) -> CheckedRing:
        """The ring as a node describes it: `owners`, and where there are any, `zones` and
        `zone_replicas`. Without the latter each zone holds an equal share, rounded up."""
        zones, given = ring.get("zones") or {}, ring.get("zone_replicas") or {}
        names = sorted(set(zones.values()))
        quotas = {zone: given.get(zone, 0) if given else -(-n // len(names)) for zone in names}
        return cls(tuple(ring["owners"]), n, tuple(zones.items()), tuple(quotas.items()))

    @property
    def members(self) -> tuple[str, ...]:
        """The nodes that own anything."""
        return tuple(sorted(set(self.owners)))

    def partition(self, key: str) -> int:
        """The partition of a key."""
        return _hash(key) * len(self.owners) >> 128

    def primaries(self, key: str) -> tuple[str, ...]:
        """The N nodes that should hold a key; fewer only when there are fewer nodes."""
        found = self._of_key.get(key)
        if found is None:
            found = self._of_key[key] = self.holders(self.partition(key))
        return found

    def holders(self, partition: int) -> tuple[str, ...]:
        """The N nodes that should hold every key of a partition."""
        found = self._of_partition.get(partition)
        if found is None:
            found = self._of_partition[partition] = _walk(self, partition)
        return found


def everywhere(test: Mapping[str, Any] | None) -> bool:
    """Whether every node is to hold every key, as test.json has it."""
    return (test or {}).get("replicas") == "all"


@lru_cache(maxsize=4096)
def _hash(key: str) -> int:
    """Where a key lies on the ring, of 128 bits."""
    return int.from_bytes(md5(key.encode()).digest())


@lru_cache(maxsize=4096)
def _walk(ring: CheckedRing, first: int) -> tuple[str, ...]:
    met = tuple(dict.fromkeys(ring.owners[first:] + ring.owners[:first]))
    if not ring.zones:
        return met[: ring.n]
    zone_of, left = dict(ring.zones), dict(ring.quotas)
    taken = []
    for node in met:
        zone = zone_of.get(node)
        if zone is None or left[zone] > 0:
            taken.append(node)
            if zone is not None:
                left[zone] -= 1
    passed = [node for node in met if node not in taken]
    return (*taken, *passed)[: ring.n]
