"""Who owns which partition: a deterministic claim that moves the fewest (section 6.2).

What is wanted, in this order: every node owns its weight's share, to within one
partition; any N consecutive partitions, the wrap-around included, belong to distinct
nodes (else a preference list has to walk on, and its load falls on few); as few
partitions as possible change hands; any N + 1 consecutive ones are distinct too, and
neighbours lie in different zones.

A first ring is found by depth-first search. A ring that follows another begins with it,
hands over what is too much, and is then improved by exchanging owners: worse rings are
accepted within a threshold that falls to nothing (Dueck and Scheuer, "Threshold
accepting", 1990). The numbers that it draws come from a generator of its own with a
fixed seed, so that every node computes the same ring from the same arguments.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from math import ceil
from operator import ne

from .dice import Dice

_STEPS = 100_000
#: shares are floats; this much is rounding
_FUZZ = 1e-9
#: what one flaw costs: two of the same owner within N, a partition moved, and what is
#: only a preference
_CLASH, _MOVE, _PREFERENCE = 128, 16, 1


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
    nodes = sorted(members)
    if not nodes or partitions < 1:
        raise ValueError("a ring needs at least one node and one partition")
    share = shares(nodes, partitions, spread - 1, weights or {})
    kept = Counter(previous or ())
    targets = _targets(share, partitions, kept)
    fresh = None if previous else _fresh(targets, partitions, spread)
    if fresh is not None and not zones:
        return fresh
    width = _width(targets, partitions, spread - 1)
    bounds = {node: (int(part + _FUZZ), ceil(part - _FUZZ)) for node, part in share.items()}
    improver = _Improver(bounds, previous or (), width, spread, zones or {})
    start = fresh or _inherit(targets, partitions, previous or ())
    fewest = sum(max(0, targets[node] - kept[node]) for node in nodes) if previous else 0
    return tuple(improver.best(start, _search(targets, partitions, width), fewest))


def shares(
    nodes: Sequence[str], partitions: int, n: int, weights: Mapping[str, float]
) -> dict[str, float]:
    """The partitions due to each node by its weight, fractions included. Raises ValueError
    for a weight that is none, and for a share above Q/N."""
    for node, weight in weights.items():
        if not weight > 0:
            raise ValueError(f"weight of {node}: {weight}; it must be more than 0")
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


def _targets(shares: dict[str, float], partitions: int, kept: Counter[str]) -> dict[str, int]:
    """Whole partitions for each node: its share rounded down or up, up first for those who
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


def _fresh(targets: dict[str, int], partitions: int, spread: int) -> tuple[str, ...] | None:
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


# ---- a ring that follows another


def _inherit(targets: dict[str, int], partitions: int, previous: Sequence[str]) -> list[str]:
    """`previous` with every node cut down to its target, and the rest dealt out."""
    left = dict(targets)
    owners: list[str | None] = []
    for p in range(partitions):
        owner = previous[p] if p < len(previous) else None
        stays = owner is not None and left.get(owner, 0) > 0
        owners.append(owner if stays else None)
        if owner is not None and stays:
            left[owner] -= 1
    dealt = []
    for owner in owners:
        if owner is None:
            owner = max(left, key=lambda node: left[node])
            left[owner] -= 1
        dealt.append(owner)
    return dealt


class _Improver:
    """Exchanges the owners of two partitions, or hands one over, at random."""

    def __init__(
        self,
        bounds: dict[str, tuple[int, int]],
        previous: Sequence[str],
        width: int,
        spread: int,
        zones: Mapping[str, str],
    ) -> None:
        """`bounds`: the fewest and the most partitions of each node. No owner twice within
        `width` if it can be helped, nor within `spread` for choice."""
        self._bounds = bounds
        self._previous = previous
        self._zones = zones
        apart = min(spread - 1, len({zones.get(node, "") for node in bounds})) if zones else 0
        #: (distance, cost of one owner twice, cost of one zone twice)
        self._pairs = [
            (d, _CLASH if d < width else _PREFERENCE, _PREFERENCE * (d < apart))
            for d in range(1, max(spread, width, apart))
        ]
        self._owners: list[str] = []
        self._count: Counter[str] = Counter()
        self._dice = Dice(0)

    def best(
        self, start: Sequence[str], afresh: Sequence[str] | None, fewest: int
    ) -> Sequence[str]:
        """The best of some walks from `start`, or the first that moves no more than the
        `fewest`; one from `afresh`, which has no clash, where those end with one."""
        steps = 500 + 150 * len(start)
        ring = self.improve(start, steps)
        for _ in range(min(31, 256 // len(start))):
            if self._moved(ring) <= fewest and not self._clashes(ring):
                return ring
            ring = min(ring, self.improve(start, steps), key=self._total)
        if self._clashes(ring):
            ring = self.improve(ring, 4 * steps)
        if afresh is not None and self._clashes(ring):
            ring = self.improve(afresh, steps)
        return ring

    def _clashes(self, owners: Sequence[str]) -> bool:
        self._owners = list(owners)
        size = len(owners)
        apart = [distance for distance, cost, _ in self._pairs if cost == _CLASH]
        return any(owners[p] == owners[p - distance] for p in range(size) for distance in apart)

    def improve(self, owners: Sequence[str], steps: int) -> list[str]:
        """The best ring met in so many steps from `owners`."""
        size = len(owners)
        self._owners, self._count = list(owners), Counter(owners)
        cost = least = self._total(owners)
        best, flawed = list(owners), list(range(size))
        for step in range(steps):
            if step % 64 == 0:
                flawed = [p for p in range(size) if self._flaws(p)] or flawed
            a, b = flawed[self._dice.roll(len(flawed))], self._dice.roll(size)
            before = self._flaws(a) + self._flaws(b)
            undo = self._owners[a], self._owners[b]
            self._set(a, b, undo[1], undo[1] if self._may_give(*undo) else undo[0])
            change = self._flaws(a) + self._flaws(b) - before
            if change > _MOVE * (steps - step) // steps:
                self._set(a, b, *undo)
                continue
            cost += change
            if cost < least:
                # when a and b are neighbours, the change counts what is between them twice
                cost = self._total(self._owners)
            if cost < least:
                best, least = list(self._owners), cost
        return best

    def _total(self, owners: Sequence[str]) -> int:
        """The cost of a whole ring, every pair counted once."""
        self._owners = list(owners)
        flaws = sum(self._flaws(p) for p in range(len(self._owners)))
        return (flaws + _MOVE * self._moved(owners)) // 2

    def _moved(self, owners: Sequence[str]) -> int:
        return sum(map(ne, owners, self._previous))

    def _may_give(self, giver: str, taker: str) -> bool:
        """Whether one partition may go from `giver` to `taker` and nothing come back."""
        fewest, most = self._bounds[giver][0], self._bounds[taker][1]
        return self._count[giver] > fewest and self._count[taker] < most and self._dice.roll(2) == 0

    def _set(self, a: int, b: int, owner_a: str, owner_b: str) -> None:
        for p, owner in ((a, owner_a), (b, owner_b)):
            self._count[self._owners[p]] -= 1
            self._count[owner] += 1
            self._owners[p] = owner

    def _flaws(self, p: int) -> int:
        """What the partition `p` costs where it is; each pair counts at both of its ends."""
        owners, zones, size = self._owners, self._zones, len(self._owners)
        owner = owners[p]
        cost = _MOVE if p < len(self._previous) and owner != self._previous[p] else 0
        for distance, same_owner, same_zone in self._pairs:
            for q in (p - distance, p + distance):
                other = owners[q % size]
                if other == owner:
                    cost += same_owner
                elif same_zone and zones.get(other, "") == zones.get(owner, ""):
                    cost += same_zone
        return cost
