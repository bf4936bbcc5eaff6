"""Keys that live for so many operations, and make room for the next.

The search for a linearization grows with the operations of a key, and lists grow with what is
appended to them. So a key that has had its share is given up: `k0` for `k0.1`, that for `k0.2`,
each as likely as the one before it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from dynamesis.harness.generators import Rng
from dynamesis.harness.generators.distributions import Weighted
from dynamesis.workloads.script.shared import Share


@dataclass(frozen=True)
class RotatingKeys:
    """`life`: the uses after which a key is given up; `uses`: how often each of the slots was
    used, over all of its keys."""

    slots: Weighted[str]
    life: int
    uses: Mapping[str, int] = field(default_factory=dict)

    def share(self, share: Share) -> RotatingKeys:
        """The keys for one of several drivers, each with its part of a key's life."""
        return RotatingKeys(self.slots, share.of_life(self.life))

    def pick(self, rng: Rng) -> tuple[str, Rng]:
        """One of the slots, as likely as its distribution has it."""
        return self.slots.pick(rng)

    def key(self, slot: str) -> str:
        """The key that a slot has now."""
        generation = self.uses.get(slot, 0) // self.life
        return f"{slot}.{generation}" if generation else slot

    def age(self, slot: str) -> int:
        """How often the key that a slot has now was used."""
        return self.uses.get(slot, 0) % self.life

    def used(self, slot: str) -> RotatingKeys:
        """The keys after one more use of the slot's."""
        return RotatingKeys(self.slots, self.life, {**self.uses, slot: self.uses.get(slot, 0) + 1})
