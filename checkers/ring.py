"""Who should hold a key: the ring as test.json tells it.

Dynamo's strategy 3 (paper, section 6.2): Q equal partitions of the 128-bit MD5 ring, each
owned by a node. A key's preference list is the distinct owners met when walking the ring
from the key's partition; the first N are its primaries. Written here a second time on
purpose: a checker must not trust the code it checks.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from hashlib import md5
from typing import Any


@dataclass(frozen=True)
class Ring:
    """Owner of each partition, and how many replicas a key has."""

    owners: tuple[str, ...]
    n: int

    @classmethod
    def of(cls, test: Mapping[str, Any] | None) -> Ring | None:
        """The ring of a test.json; None if that is absent or tells none."""
        ring = (test or {}).get("ring")
        if not isinstance(ring, Mapping) or not ring.get("owners"):
            return None
        return cls(tuple(ring["owners"]), int((test or {}).get("n", ring.get("n", 3))))

    @property
    def members(self) -> tuple[str, ...]:
        """The nodes that own anything."""
        return tuple(sorted(set(self.owners)))

    def partition(self, key: str) -> int:
        """The partition of a key."""
        return int.from_bytes(md5(key.encode()).digest()) * len(self.owners) >> 128

    def primaries(self, key: str) -> tuple[str, ...]:
        """The N nodes that should hold a key; fewer only when there are fewer nodes."""
        return _walk(self.owners, self.partition(key), self.n)


@lru_cache(maxsize=4096)
def _walk(owners: tuple[str, ...], first: int, n: int) -> tuple[str, ...]:
    return tuple(dict.fromkeys(owners[first:] + owners[:first]))[:n]
