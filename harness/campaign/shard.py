"""A part of a campaign that one machine runs: `--shard I/N`.

The cells are dealt out in the order of a hash of their names. So any N shards have every cell
exactly once and differ by one cell at most, whichever machine computes them; and neighbours in the
matrix, which take alike long and fail alike, come into different shards."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import sha256

from dynamesis.harness.campaign.matrix import Cell
from dynamesis.harness.usage.exits import UsageError

MOST = 100_000
_SHARD = re.compile(r"([0-9]{1,9})/([0-9]{1,9})")


@dataclass(frozen=True, order=True)
class Shard:
    """Shard `number`, from 1, of `of`."""

    number: int
    of: int

    @classmethod
    def parse(cls, text: str) -> Shard:
        """From `2/3`. Raises UsageError."""
        match = _SHARD.fullmatch(text.strip())
        shard = cls(int(match[1]), int(match[2])) if match else cls(0, 0)
        if not 1 <= shard.number <= shard.of <= MOST:
            raise UsageError(
                f"--shard: {text!r} is not a shard; write I/N, 1 <= I <= N <= {MOST}, such as 2/3"
            )
        return shard

    def __str__(self) -> str:
        return f"{self.number}/{self.of}"

    def deal(self, cells: Iterable[Cell]) -> tuple[Cell, ...]:
        """The cells of this shard, in their order."""
        listed = tuple(cells)
        dealt = sorted(listed, key=lambda cell: (_hash(cell), cell.name))
        ours = set(dealt[self.number - 1 :: self.of])
        return tuple(cell for cell in listed if cell in ours)


#: a campaign that one machine runs whole
WHOLE = Shard(1, 1)


def _hash(cell: Cell) -> str:
    return sha256(cell.name.encode()).hexdigest()
