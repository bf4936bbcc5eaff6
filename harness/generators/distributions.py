"""Which key next: uniform, exponential, Zipf, or one hot key.

A distribution is a table of cumulative weights over ranks; the most likely rank is 0.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Generic, TypeVar

from dynamesis.harness.generators.rng import Rng

T = TypeVar("T")


@dataclass(frozen=True)
class Weighted(Generic[T]):
    """Items, each with the cumulative weight of those up to and with it."""

    items: tuple[T, ...]
    cumulative: tuple[float, ...]

    def pick(self, rng: Rng) -> tuple[T, Rng]:
        """One item, with a likelihood by its weight."""
        value, rng = rng.uniform(0.0, self.cumulative[-1])
        index = bisect_right(self.cumulative, value)
        return self.items[min(index, len(self.items) - 1)], rng


def weighted(items: Sequence[T], weights: Sequence[float]) -> Weighted[T]:
    """Any distribution over finitely many items. Raises ValueError on no items, on a
    weight that is negative or not finite, and when all weights are zero."""
    if len(items) != len(weights) or not items:
        raise ValueError(f"{len(items)} items with {len(weights)} weights")
    if any(not math.isfinite(w) or w < 0 for w in weights) or sum(weights) <= 0:
        raise ValueError(f"weights must be finite, not negative, not all zero: {weights}")
    return Weighted(tuple(items), tuple(accumulate(weights)))


def uniform(items: Sequence[T]) -> Weighted[T]:
    """Every item as likely as every other."""
    return weighted(items, [1.0] * len(items))


def exponential(items: Sequence[T], fraction: float = 0.2, share: float = 0.8) -> Weighted[T]:
    """Weights that fall by a constant factor from item to item, such that the first
    `fraction` of the items get `share` of the draws (the convention of YCSB)."""
    if not (0 < fraction < 1 and 0 < share < 1):
        raise ValueError(f"fraction and share must lie in (0, 1): {fraction}, {share}")
    decay = -math.log(1 - share) / (fraction * len(items))
    return weighted(items, [math.exp(-decay * rank) for rank in range(len(items))])


def zipf(items: Sequence[T], exponent: float = 0.99) -> Weighted[T]:
    """Item of rank r (from 1) has weight r ** -exponent; 0.99 is the skew of YCSB."""
    return weighted(items, [(rank + 1) ** -exponent for rank in range(len(items))])


def hot_key(items: Sequence[T], share: float = 0.9) -> Weighted[T]:
    """The first item gets `share` of the draws, the others the rest in equal parts."""
    if not 0 < share <= 1:
        raise ValueError(f"share must lie in (0, 1]: {share}")
    cold = len(items) - 1
    return weighted(items, [share if cold else 1.0, *[(1 - share) / max(cold, 1)] * cold])


#: The distributions by the names that options use.
DISTRIBUTIONS = {
    "uniform": uniform,
    "exponential": exponential,
    "zipf": zipf,
    "hot-key": hot_key,
}
