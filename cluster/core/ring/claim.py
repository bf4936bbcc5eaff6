"""The owner of each partition: a deterministic claim that moves the fewest (section 6.2).

What is wanted, in this order: every node owns its weight's share, to within one
partition; any N consecutive partitions, the wrap-around included, belong to distinct
nodes (else a preference list has to walk on, and its load falls on few); as few
partitions as possible change hands; any N + 1 consecutive ones are distinct too, and
neighbours lie in different zones.

A first ring is found by depth-first search. A ring that follows another begins with it,
hands over what is too much, and is then improved by exchanging owners (ring_optimizer.py).
Every node computes the same ring from the same arguments.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from functools import lru_cache
from math import ceil, gcd

from dynamesis.cluster.core.ring.ring_optimizer import OwnerSwap

_STEPS = 100_000
#: shares are floats; this much is rounding
_FUZZ = 1e-9
#: above it the sums that shares are made of round too much
_MOST_WEIGHT = 1e6
#: the owner of a partition before the first claim
_UNOWNED = ""
#: a stride of this share of a ring scatters best
_GOLDEN = 0.618


def claim(
    members: Sequence[str],
    partitions: int,
    spread: int,
    previous: Sequence[str] | None = None,
    weights: Mapping[str, float] | None = None,
    zones: Mapping[str, str] | None = None,
) -> tuple[str, ...]:
    """The owner of each partition. `spread` is N + 1; `previous` are the owners until now;
    `weights` (default 1) set shares; `zones` names each node's zone. Raises ValueError for
    a weight whose share is above Q/N: its replicas could not be kept apart."""
    before = tuple(previous) if previous else None
    weighed, lies = tuple((weights or {}).items()), tuple((zones or {}).items())
    return _claimed(tuple(sorted(members)), partitions, spread, before, weighed, lies)


@lru_cache(maxsize=4096)  # all nodes of a process ask for the same, and one after the other
def _claimed(
    nodes: tuple[str, ...],
    partitions: int,
    spread: int,
    previous: tuple[str, ...] | None,
    weights: tuple[tuple[str, float], ...],
    zones: tuple[tuple[str, str], ...],
) -> tuple[str, ...]:
    if not nodes or partitions < 1:
        raise ValueError("a ring needs at least one node and one partition")
    share = shares(nodes, partitions, spread - 1, dict(weights))
    before = previous or (_UNOWNED,) * partitions
    kept = Counter(before)
    targets = _targets(share, partitions, kept)
    fresh = None if previous else _fresh(tuple(targets.items()), partitions, spread)
    if fresh is not None and not zones:
        return fresh
    width = _width(targets, partitions, spread - 1)
    bounds = {node: (int(part + _FUZZ), ceil(part - _FUZZ)) for node, part in share.items()}
    exchange = OwnerSwap(bounds, before, width, spread, dict(zones))
    start = fresh or _inherit(targets, before, spread)
    fewest = sum(max(0, targets[node] - kept[node]) for node in nodes)
    return exchange.best(start, lambda: _search(dict(targets), partitions, width), fewest)


def shares(
    nodes: Sequence[str], partitions: int, n: int, weights: Mapping[str, float]
) -> dict[str, float]:
    """The partitions due to each node by its weight, fractions included. Raises ValueError
    for a weight that is none, and for a share above Q/N."""
    for node, weight in weights.items():
        if not weight > 0:
            raise ValueError(f"weight of {node}: {weight}; it must be more than 0")
        if weight > _MOST_WEIGHT:
            raise ValueError(f"weight of {node}: {weight}; it must be at most {_MOST_WEIGHT:g}")
    total = sum(weights.get(node, 1.0) for node in nodes)
    due = {node: partitions * weights.get(node, 1.0) / total for node in nodes}
    limit = max(partitions / max(n, 1), partitions / len(nodes))
    for node, share in due.items():
        if share > limit * (1 + _FUZZ):
            raise ValueError(
                f"weight of {node}: {weights.get(node, 1.0):g} gives it {share:.1f} of "
                f"{partitions} partitions; more than {limit:.1f} (Q/N) cannot be kept on "
                "distinct nodes"
            )
    return due


def owning(nodes: Sequence[str], partitions: int, n: int, weights: Mapping[str, float]) -> int:
    """How many of the nodes own a partition of a first ring. Raises as `shares` does."""
    targets = _targets(shares(nodes, partitions, n, weights), partitions, Counter())
    return sum(count > 0 for count in targets.values())


def _targets(shares: dict[str, float], partitions: int, kept: Counter[str]) -> dict[str, int]:
    """Whole partitions for each node: its share rounded down or up, up first for those that
    would otherwise have to give one away."""
    targets = {node: int(share + _FUZZ) for node, share in shares.items()}

    def claim_to_more(node: str) -> tuple[bool, float, str]:
        return kept[node] <= targets[node], targets[node] - shares[node], node

    fractional = [node for node in targets if shares[node] - targets[node] > _FUZZ]
    for node in sorted(fractional, key=claim_to_more)[: partitions - sum(targets.values())]:
        targets[node] += 1
    return targets


def _width(targets: dict[str, int], partitions: int, most: int) -> int:
    """The widest window, up to `most`, whose owners can all be distinct: a node that owns k
    partitions of Q has two of them at most Q/k apart."""
    biggest = max(targets.values())
    return max(1, min(most, len(targets), partitions // max(biggest, 1)))


# ---- a first ring


@lru_cache(maxsize=8)  # founders claim alike, and where they share a process, once is enough
def _fresh(
    share: tuple[tuple[str, int], ...], partitions: int, spread: int
) -> tuple[str, ...] | None:
    targets = dict(share)
    for width in range(_width(targets, partitions, spread), 0, -1):
        owners = _search(dict(targets), partitions, width)
        if owners is not None or width < spread:
            return owners
    return None


def _search(left: dict[str, int], partitions: int, width: int) -> tuple[str, ...] | None:
    """Depth-first with the least-recently used of the neediest nodes first; None when the
    budget of steps ends."""
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
    """The nodes that may own the next partition, best last."""
    here = len(owners)
    near = owners[max(0, here - width + 1) :]
    # past the end of the ring the window reaches back to its beginning
    over = here + width - total
    if over > 0:
        near = near + owners[:over]
    recent = {node: i for i, node in enumerate(owners[-len(left) :])}
    free = [node for node, n in left.items() if n > 0 and node not in near]
    return sorted(free, key=lambda node: (left[node], -recent.get(node, -1), node))


# ---- a ring that follows another


def _inherit(targets: dict[str, int], previous: Sequence[str], spread: int) -> list[str]:
    """`previous` with every node cut down to its target, and the rest dealt out: what is too
    much from all over the ring, to the node that needs most of those that own nothing near it."""
    partitions = len(previous)
    kept = Counter(previous)
    spare = {node: kept[node] - targets.get(node, 0) for node in kept}
    needs = {node: target - kept[node] for node, target in targets.items() if target > kept[node]}
    owners = list(previous)
    for width in range(spread, 0, -1):
        for p in _scattered(partitions):
            giver = owners[p]
            if spare.get(giver, 0) <= 0:
                continue
            near = {owners[(p + d) % partitions] for d in range(1 - width, width)}
            able = [node for node in needs if needs[node] > 0 and node not in near]
            if able:
                owners[p] = max(able, key=lambda node: needs[node])
                spare[giver] -= 1
                needs[owners[p]] -= 1
    return owners


def _scattered(partitions: int) -> list[int]:
    """All partitions, each far from those before it."""
    stride = next(s for s in range(int(partitions * _GOLDEN) + 1, 0, -1) if gcd(s, partitions) == 1)
    return [i * stride % partitions for i in range(partitions)]
