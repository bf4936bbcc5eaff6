"""What a hunt runs next: the combinations of a campaign, with seeds that are drawn.

A round has every combination once, in an order of its own. Seeds come from the hunt's own seed, so
that two hunts with one `--seed` draw the same tests.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property

from dynamesis.harness.campaign.spec import Campaign
from dynamesis.harness.generators import Rng
from dynamesis.harness.hunt.trials import Trial
from dynamesis.harness.worlds.options import SIMULATED, why_not
from dynamesis.harness.worlds.test_spec import TestSpec

#: seeds are below it: short to read, and enough
_SEEDS = 2**32


@dataclass(frozen=True)
class Draws:
    """Tests without end."""

    combinations: tuple[TestSpec, ...]
    seed: int

    @classmethod
    def of(cls, campaign: Campaign, seed: int) -> Draws:
        """Those of a campaign, whatever seeds it names."""
        named = {(c.workload, c.nemesis, c.config): replace(c, seed=1) for c in campaign.cells}
        return cls(tuple(campaign.spec(cell) for cell in named.values()), seed)

    @cached_property
    def simulated(self) -> tuple[TestSpec, ...]:
        """The combinations that can be simulated; links and clocks are then of that world."""
        own = {name: TestSpec.flags()[name].default for name in ("links", "clocks", "drivers")}
        there = (replace(spec, world=SIMULATED, **own) for spec in self.combinations)
        return tuple(dict.fromkeys(spec for spec in there if why_not(spec) is None))

    @property
    def why_not_simulated(self) -> str | None:
        """Why none of the combinations can be simulated; None where one can."""
        if self.simulated:
            return None
        reasons = (why_not(replace(spec, world=SIMULATED)) for spec in self.combinations)
        return next(filter(None, reasons), "there is no combination")

    def round(self, number: int, world: str, times: int) -> Iterator[Trial]:
        """`times` trials of every combination that this world can have, in turn."""
        drawn = self.simulated if world == SIMULATED else self.combinations
        rng = Rng(self.seed).split(f"round {number} {world}")
        for _ in range(times):
            order, rng = rng.shuffle(drawn)
            for spec in order:
                seed, rng = rng.below(_SEEDS)
                yield Trial(replace(spec, seed=seed))
