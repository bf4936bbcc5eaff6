"""Seeded randomness for the core, which may not draw any of its own (splitmix64,
Steele, Lea and Flood 2014)."""

from __future__ import annotations

from collections.abc import Sequence

_MASK = (1 << 64) - 1


class Rng:
    def __init__(self, seed: int) -> None:
        self._state = seed & _MASK

    def roll(self, sides: int) -> int:
        """A number from 0 to sides - 1."""
        self._state = (self._state + 0x9E3779B97F4A7C15) & _MASK
        z = self._state
        z = ((z ^ z >> 30) * 0xBF58476D1CE4E5B9) & _MASK
        z = ((z ^ z >> 27) * 0x94D049BB133111EB) & _MASK
        return (z ^ z >> 31) % sides

    def choice(self, items: Sequence[str]) -> str:
        return items[self.roll(len(items))]
