"""Randomness as a value: splitmix64 (Steele, Lea, Flood 2014).

Each draw returns what was drawn and the successor, so that a generator that holds an Rng
stays pure, and the same seed gives the same test on every machine and Python.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TypeVar

import msgspec

T = TypeVar("T")

_MASK = (1 << 64) - 1
_GAMMA = 0x9E3779B97F4A7C15


def _mix(z: int) -> int:
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & _MASK
    return z ^ (z >> 31)


class Rng(msgspec.Struct, frozen=True):
    """A stream of pseudorandom numbers, begun by a seed: any integer."""

    state: int

    def next(self) -> tuple[int, Rng]:
        """A uniform integer of 64 bits."""
        z = state = (self.state + _GAMMA) & _MASK
        # _mix, in place: scripts draw by the ten thousand
        z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & _MASK
        return z ^ (z >> 31), Rng(state)

    def split(self, label: int | str) -> Rng:
        """An independent stream, the same for the same label; this one is not advanced."""
        state = _mix((self.state + _GAMMA) & _MASK)
        for byte in str(label).encode():
            state = _mix((state ^ byte) + _GAMMA & _MASK)
        return Rng(state)

    def below(self, n: int) -> tuple[int, Rng]:
        """A uniform integer in [0, n). The bias of the product is under n / 2**64."""
        if n < 1:
            raise ValueError(f"nothing to draw from: n is {n}")
        value, rng = self.next()
        return (value * n) >> 64, rng

    def between(self, low: int, high: int) -> tuple[int, Rng]:
        """A uniform integer in [low, high], both ends included."""
        value, rng = self.below(high - low + 1)
        return low + value, rng

    def unit(self) -> tuple[float, Rng]:
        """A uniform float in [0, 1)."""
        value, rng = self.next()
        return (value >> 11) / (1 << 53), rng

    def uniform(self, low: float, high: float) -> tuple[float, Rng]:
        """A uniform float in [low, high)."""
        value, rng = self.unit()
        return low + (high - low) * value, rng

    def exponential(self, mean: float) -> tuple[float, Rng]:
        """An exponentially distributed float: gaps so drawn make a Poisson process."""
        value, rng = self.unit()
        return -mean * math.log1p(-value), rng

    def chance(self, probability: float) -> tuple[bool, Rng]:
        """True with this probability."""
        if not 0 < probability < 1:  # as many chances are; the stream advances all the same
            return probability >= 1, Rng((self.state + _GAMMA) & _MASK)
        value, rng = self.next()
        return (value >> 11) / (1 << 53) < probability, rng

    def choice(self, items: Sequence[T]) -> tuple[T, Rng]:
        """One of the items, uniformly. Raises ValueError when there is none."""
        index, rng = self.below(len(items))
        return items[index], rng

    def sample(self, items: Sequence[T], k: int) -> tuple[tuple[T, ...], Rng]:
        """k different items, in random order. Raises ValueError when there are fewer."""
        if not 0 <= k <= len(items):
            raise ValueError(f"cannot draw {k} of {len(items)} items")
        pool, rng = list(items), self
        for i in range(k):
            j, rng = rng.between(i, len(pool) - 1)
            pool[i], pool[j] = pool[j], pool[i]
        return tuple(pool[:k]), rng

    def shuffle(self, items: Sequence[T]) -> tuple[tuple[T, ...], Rng]:
        """All the items, in random order."""
        return self.sample(items, len(items))
