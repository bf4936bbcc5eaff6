"""How a ring is improved: partitions exchange owners, or one is handed over, at random, and
worse rings are accepted within a threshold that falls to nothing (Dueck and Scheuer,
"Threshold accepting", 1990).

The numbers that it draws come from a generator of its own with a fixed seed, so that every
node computes the same ring from the same arguments. Owners are numbers here, and a search
ends as soon as nothing is left to wish for: it runs on a node's event loop.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence

from dynamesis.cluster.core.runtime.rng import Rng

#: what one flaw costs: two of the same owner within N, a partition moved, and what is
#: only a preference
_CLASH, _MOVE, _PREFERENCE = 128, 16, 1
#: a walk takes so many steps and so many more a partition
_STEPS = (500, 50)
#: steps without a better ring after which a walk ends, a partition
_PATIENCE = 12
#: walks at most, and partitions in all of them together
_WALKS = (31, 255)


class OwnerSwap:
    """Makes rings for `bounds`: the fewest and the most partitions of each node. No owner
    twice within `width` if it can be helped, nor within `spread` for choice."""

    def __init__(
        self,
        bounds: Mapping[str, tuple[int, int]],
        previous: Sequence[str],
        width: int,
        spread: int,
        zones: Mapping[str, str],
    ) -> None:
        self._nodes = sorted(bounds)
        self._number = {node: i for i, node in enumerate(self._nodes)}
        self._fewest = [bounds[node][0] for node in self._nodes]
        self._most = [bounds[node][1] for node in self._nodes]
        self._previous = [self._number.get(node, -1) for node in previous]
        self._zone = [zones.get(node, "") for node in self._nodes]
        apart = min(spread - 1, len(set(self._zone))) if zones else 0
        size = len(previous)
        self._near = range(1, width)
        #: (offset of a neighbour, cost of one owner twice), and offsets that zones matter at
        self._offsets = [
            (offset, _CLASH if d < width else _PREFERENCE)
            for d in range(1, max(spread, width))
            for offset in _both_ways(d, size)
        ]
        self._zone_offsets = [offset for d in range(1, apart) for offset in _both_ways(d, size)]
        self._owners: list[int] = []
        self._count: Counter[int] = Counter()
        self._rng = Rng(0)

    def best(
        self, start: Sequence[str], afresh: Callable[[], Sequence[str] | None], fewest: int
    ) -> tuple[str, ...]:
        """The best of some walks from `start`, or the first that moves no more than the
        `fewest`; one from `afresh`, which has no clash, where those end with one."""
        begin = [self._number[node] for node in start]
        enough = _MOVE * fewest
        ring = self._walk(begin, 1, enough)
        for _ in range(min(_WALKS[0], _WALKS[1] // len(begin))):
            if self._cost(ring) < enough + _MOVE:
                break
            ring = min(ring, self._walk(begin, 1, enough), key=self._cost)
        if self._clashes(ring):
            ring = self._walk(ring, 4, enough)
        other = afresh() if self._clashes(ring) else None
        if other is not None:
            ring = self._walk([self._number[node] for node in other], 1, enough)
        return tuple(self._nodes[owner] for owner in ring)

    def _walk(self, owners: list[int], length: int, enough: int) -> list[int]:
        """The best ring met from `owners`, or the first that costs no more than `enough`."""
        size = len(owners)
        steps = length * (_STEPS[0] + _STEPS[1] * size)
        cost = least = self._cost(owners)
        ring, best = self._owners, owners
        flawed = list(range(size))
        since = 0
        for step in range(steps):
            if least <= enough or since > length * (_STEPS[0] + _PATIENCE * size):
                break
            if step % 64 == 0:
                flawed = [p for p in range(size) if self._flaws(p, ring[p])] or flawed
            since += 1
            drawn = self._rng.roll(size * len(flawed))
            a, b = flawed[drawn // size], drawn % size
            old_a, old_b = ring[a], ring[b]
            if old_a == old_b:
                continue
            before = self._flaws(a, old_a) + self._flaws(b, old_b)
            new_a, new_b = old_b, self._given(old_a, old_b)
            ring[a], ring[b] = new_a, new_b
            change = self._flaws(a, new_a) + self._flaws(b, new_b) - before
            if change > _MOVE * (steps - step) // steps:
                ring[a], ring[b] = old_a, old_b
                continue
            if new_b == old_b:
                self._count[old_a] -= 1
                self._count[old_b] += 1
            cost += change
            if cost < least:
                # when a and b are neighbours, the change counts what is between them twice
                cost = self._sum(ring)
            if cost < least:
                best, least, since = list(ring), cost, 0
        return best

    def _given(self, giver: int, taker: int) -> int:
        """The owner of what was the `taker`'s, once it has one of the `giver`'s partitions: the
        giver, or, where both may keep such numbers, at times the taker still."""
        may = (
            self._count[giver] > self._fewest[giver]
            and self._count[taker] < self._most[taker]
            and self._rng.roll(2) == 0
        )
        return taker if may else giver

    # ---- what a ring costs

    def _cost(self, owners: list[int]) -> int:
        """The cost of a whole ring, every pair counted once. It is the current one then."""
        self._owners, self._count = list(owners), Counter(owners)
        return self._sum(owners)

    def _sum(self, owners: list[int]) -> int:
        flaws = sum(self._flaws(p, owner) for p, owner in enumerate(owners))
        moved = sum(
            1 for owner, before in zip(owners, self._previous, strict=True) if owner != before
        )
        return (flaws + _MOVE * moved) // 2

    def _clashes(self, owners: list[int]) -> bool:
        return any(owners[p] == owners[p - d] for p in range(len(owners)) for d in self._near)

    def _flaws(self, p: int, owner: int) -> int:
        """What the partition `p` costs with this owner; each pair counts at both its ends."""
        owners = self._owners
        cost = _MOVE if owner != self._previous[p] else 0
        for offset, twice in self._offsets:
            if owners[p + offset] == owner:
                cost += twice
        for offset in self._zone_offsets:
            other = owners[p + offset]
            if other != owner and self._zone[other] == self._zone[owner]:
                cost += _PREFERENCE
        return cost


def _both_ways(distance: int, size: int) -> tuple[int, int]:
    """Offsets to the two partitions so far away, as indices that need no modulo."""
    back = distance % size
    return -back, back - size
