"""The three ways to cut the ring that the paper compares (section 6.2, figure 8).

1. T random tokens a node, and the tokens are the partitions: a node's load follows the
   luck of the arcs.
2. T random tokens a node, and Q equal partitions that go to the first N nodes whose
   tokens follow: placement is as lucky as before, and the partitions must be written down
   as well.
3. Q equal partitions, Q/S to a node: what cluster.core.ring.claim computes.

Load-balance efficiency is the mean load of a node over the largest. Load is the share of
the ring that a node stores, keys being spread by MD5. Metadata is counted in entries:
one a token, one a partition.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Sequence
from hashlib import md5

from dynamesis.cluster.core.ring.claim import claim
from dynamesis.cluster.core.ring.ring import Ring

_RING = 1 << 128
#: strategy 2 needs many more partitions than tokens (section 6.2: Q >> S * T)
_PARTITIONS_A_TOKEN = 4

Point = tuple[int, str]


def random_tokens(nodes: int, tokens: int, seed: int) -> list[Point]:
    """`tokens` pseudo-random positions for each of `nodes` nodes, in ring order."""
    return sorted(
        (int.from_bytes(md5(f"{seed} {node} {i}".encode()).digest(), "big"), f"n{node}")
        for node in range(nodes)
        for i in range(tokens)
    )


def walk(ring: Sequence[Point], start: int, n: int) -> tuple[str, ...]:
    """The first `n` distinct nodes at or after the token number `start`."""
    turned = (node for _, node in (*ring[start:], *ring[:start]))
    found: dict[str, None] = {}
    for node in turned:
        found[node] = None
        if len(found) == n:
            break
    return tuple(found)


def by_tokens(ring: Sequence[Point], n: int) -> dict[str, float]:
    """Strategy 1: node -> its load, when each arc belongs to the token at its end."""
    load: defaultdict[str, float] = defaultdict(float)
    for i, (position, _) in enumerate(ring):
        arc = (position - ring[i - 1][0]) % _RING / _RING
        for node in walk(ring, i, n):
            load[node] += arc
    return dict(load)


def by_tokens_and_partitions(ring: Sequence[Point], partitions: int, n: int) -> dict[str, float]:
    """Strategy 2: node -> its load, when a partition goes to the tokens after its end."""
    positions = [position for position, _ in ring]
    load: defaultdict[str, float] = defaultdict(float)
    for p in range(1, partitions + 1):
        start = bisect_left(positions, p * _RING // partitions) % len(ring)
        for node in walk(ring, start, n):
            load[node] += 1 / partitions
    return dict(load)


def by_partitions(nodes: int, partitions: int, n: int) -> dict[str, float]:
    """Strategy 3: node -> its load."""
    ring = Ring(claim([f"n{i}" for i in range(nodes)], partitions, n + 1), n)
    load: defaultdict[str, float] = defaultdict(float)
    for p in range(partitions):
        for node in ring.primaries(p):
            load[node] += 1 / partitions
    return dict(load)


def efficiency(load: dict[str, float], nodes: int) -> float:
    """Mean load over the largest: 1.0 is perfect balance."""
    return sum(load.values()) / nodes / max(load.values())


def figure_8(
    tokens: Sequence[int] = (1, 2, 4, 8, 16, 32, 64), nodes: int = 30, n: int = 3, seeds: int = 5
) -> list[dict[str, float]]:
    """Efficiency of each strategy at equal metadata, one row a size: {"metadata": entries,
    "1": ..., "2": ..., "3": ...}; the strategies with luck in them are averaged over seeds."""
    rows = []
    for t in tokens:
        metadata = nodes * t
        fewer = max(1, t // (1 + _PARTITIONS_A_TOKEN))
        partitions = max(nodes, metadata - nodes * fewer)
        one = [efficiency(by_tokens(random_tokens(nodes, t, s), n), nodes) for s in range(seeds)]
        two = [
            efficiency(
                by_tokens_and_partitions(random_tokens(nodes, fewer, s), partitions, n), nodes
            )
            for s in range(seeds)
        ]
        rows.append(
            {
                "metadata": metadata,
                "1": sum(one) / seeds,
                "2": sum(two) / seeds,
                "3": efficiency(by_partitions(nodes, metadata, n), nodes),
            }
        )
    return rows
