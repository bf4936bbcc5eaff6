"""Ways to make one value of siblings, for `Client.update`.

Two replicas, or two clients, may merge the same siblings concurrently and in any order, and
their results become siblings in turn. It ends well where merging is a join: commutative,
associative, idempotent (Shapiro et al., "Conflict-free Replicated Data Types", 2011).
All of these are. A tombstone beside a value gives way to it, as in the paper's shopping
cart: the author of the value had not seen it deleted.

    union       values are JSON arrays, taken as sets
    highest()   one of the siblings stays whole: the greatest by a function of yours
    latest()    the same, by a field of JSON objects, such as the time that you write there

A set that things are taken out of needs more than a union, which brings back what one
sibling still has: keep the removals in the value too (workloads/cart.py does).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any

from dynamesis.cluster.core.protocol.messages import Version

#: the value for all siblings; there are none where the key is new
Merge = Callable[[Sequence[Version]], bytes]


def standing(siblings: Sequence[Version]) -> list[bytes]:
    """The values among siblings, without tombstones."""
    return [sibling.value for sibling in siblings if not sibling.deleted]


def union(siblings: Sequence[Version]) -> bytes:
    """The union of JSON arrays, sorted; `[]` of nothing. Raises ValueError for a value that
    is not a JSON array."""
    items: dict[str, object] = {}
    for value in standing(siblings):
        array = json.loads(value)
        if not isinstance(array, list):
            raise ValueError(f"{value!r} is not a JSON array")
        items |= {json.dumps(item, sort_keys=True): item for item in array}
    return json.dumps([items[name] for name in sorted(items)], sort_keys=True).encode()


def highest(rank: Callable[[bytes], Any], nothing: bytes = b"") -> Merge:
    """Keeps the value whose `rank` is highest, of equals the one whose bytes are greatest;
    `nothing` where there is none. `highest(int)` for numbers in ASCII."""

    def merge(siblings: Sequence[Version]) -> bytes:
        values = standing(siblings)
        return max(values, key=lambda value: (rank(value), value)) if values else nothing

    return merge


def latest(field: str = "time", nothing: bytes = b"{}") -> Merge:
    """Keeps the JSON object whose `field` is highest. The others are lost: of two writers
    that did not know of each other, one wins."""
    return highest(lambda value: json.loads(value)[field], nothing)
