"""Who ought to hold a key, from what the cluster says of its ring.

The ring of Dynamo's section 6.2: Q equal partitions of the 128-bit MD5 circle, each with
an owner; a key's primaries are the first N distinct owners from its partition on.
"""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import md5
from itertools import combinations
from typing import Any


def primaries(ring: Mapping[str, Any], key: str) -> tuple[str, ...]:
    """The N nodes that ought to hold `key`, coordinator first."""
    place = int.from_bytes(md5(key.encode(), usedforsecurity=False).digest(), "big")
    return _walk(ring, place * len(ring["owners"]) >> 128)


def replica_pairs(ring: Mapping[str, Any]) -> set[tuple[str, str]]:
    """Every two nodes that are primaries of a common partition, each pair in order."""
    groups = {_walk(ring, partition) for partition in range(len(ring["owners"]))}
    return {pair for group in groups for pair in combinations(sorted(group), 2)}


def _walk(ring: Mapping[str, Any], partition: int) -> tuple[str, ...]:
    owners = ring["owners"]
    return tuple(dict.fromkeys([*owners[partition:], *owners[:partition]]))[: ring["n"]]
