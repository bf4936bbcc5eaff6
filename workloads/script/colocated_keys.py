"""Keys that every Dynamo ring keeps together.

Partitions are equal slices of the MD5 ring (paper, section 6.2), so that two keys whose
hashes begin with the same bits lie in one partition, whatever the ring, and so with the
same replicas, the same version actors, hint stores and Merkle trees. Only there can a
store mistake what belongs to one key for another's.
"""

from __future__ import annotations

from functools import lru_cache
from hashlib import md5
from itertools import count, islice

#: Leading bits that colocated keys share: enough for rings of up to 4096 partitions.
BITS = 12


#: Leading bits of keys that are many: enough for rings of up to 64 partitions.
FEWER_BITS = 6


def _leading(key: str, bits: int = BITS) -> int:
    return int.from_bytes(md5(key.encode(), usedforsecurity=False).digest()[:2]) >> (16 - bits)


@lru_cache(maxsize=1024)
def colocated_key(key: str) -> str:
    """The first of `key`.0, `key`.1, ... that lies where `key` does."""
    wanted = _leading(key)
    return next(name for i in count() if _leading(name := f"{key}.{i}") == wanted)


@lru_cache(maxsize=1024)
def together(key: str, many: int) -> tuple[str, ...]:
    """The first so many of `key`.0, `key`.1, ... that a ring of 64 partitions keeps where
    `key` lies."""
    wanted = _leading(key, FEWER_BITS)
    names = (f"{key}.{i}" for i in count())
    return tuple(islice((name for name in names if _leading(name, FEWER_BITS) == wanted), many))


def akin(key: str, other: str) -> bool:
    """Whether both are colocated with one key, by their names."""
    return key.partition(".")[0] == other.partition(".")[0]
