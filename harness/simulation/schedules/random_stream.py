"""Draws from one random stream, one after the other."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TypeVar

from dynamesis.harness.generators import Rng

T = TypeVar("T")


class RandomStream:
    """A stream of a seed, used up as it is drawn from: for functions that draw many things and
    give none of the stream on."""

    def __init__(self, rng: Rng) -> None:
        self.rng = rng

    def chance(self, probability: float) -> bool:
        """True with this probability."""
        drawn, self.rng = self.rng.chance(probability)
        return drawn

    def choice(self, items: Sequence[T]) -> T:
        """One of the items."""
        drawn, self.rng = self.rng.choice(items)
        return drawn

    def weighted(self, weights: Mapping[T, int]) -> T:
        """One of the keys, as likely as its weight."""
        at = self.between(1, sum(weights.values()))
        for item, weight in weights.items():
            at -= weight
            if at <= 0:
                return item
        raise AssertionError("the weights add up")

    def sample(self, items: Sequence[T], count: int) -> tuple[T, ...]:
        """So many of the items, in random order."""
        drawn, self.rng = self.rng.sample(items, min(count, len(items)))
        return drawn

    def some(self, items: Sequence[T], share: float) -> tuple[T, ...]:
        """Each of the items with this probability, at least one, in their order."""
        kept = tuple([item for item in items if self.chance(share)])
        return kept or (self.choice(items),)

    def between(self, low: int, high: int) -> int:
        """An integer from `low` to `high`."""
        drawn, self.rng = self.rng.between(low, high)
        return drawn

    def uniform(self, low: float, high: float) -> float:
        """A number from `low` to `high`, in thousandths."""
        drawn, self.rng = self.rng.uniform(low, high)
        return round(drawn, 3)

    def magnitude(self, low: float, high: float) -> float:
        """A number from `low` to `high`, each power of ten as likely as the next."""
        return round(math.exp(self.uniform(math.log(low), math.log(high))), 3)
