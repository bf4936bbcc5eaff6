"""The cells of a campaign: every combination of workload, nemesis, configuration and seed
that the matrix has, without what is excluded, and with what is included beside it."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

AXES = ("workload", "nemesis", "config", "seed")

#: by axis the values to combine, or those that a cell must have
Block = Mapping[str, Sequence[Any]]


@dataclass(frozen=True)
class Cell:
    """One test to run. `config` is a name of the campaign's configurations."""

    workload: str
    nemesis: str
    config: str
    seed: int

    @property
    def name(self) -> str:
        """Unique in a campaign."""
        return f"{self.workload}/{self.nemesis}/{self.config}/{self.seed}"

    def matches(self, block: Block) -> bool:
        """Whether every axis that the block names has one of its values."""
        return all(getattr(self, axis) in values for axis, values in block.items())


def cells(matrix: Block, include: Iterable[Block], exclude: Sequence[Block]) -> tuple[Cell, ...]:
    """In the order of the matrix, seed by seed, so that a budget that ends early has seen all
    combinations once; included cells come last and cannot be excluded. An axis that an
    inclusion does not name has all values of the matrix."""
    kept = [cell for cell in _product(matrix) if not any(map(cell.matches, exclude))]
    more = [cell for block in include for cell in _product({**matrix, **block})]
    return tuple(dict.fromkeys([*kept, *more]))


def _product(block: Block) -> list[Cell]:
    by_seed = itertools.product(block["seed"], *(block[axis] for axis in AXES[:-1]))
    return [Cell(workload, nemesis, config, seed) for seed, workload, nemesis, config in by_seed]
