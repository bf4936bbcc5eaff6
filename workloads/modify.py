"""The one thing that clients of Dynamo do: read, change, write back with the context.

A cycle is a get, and upon its ok a write whose basis is that get. A share of the writes
goes on from the context that the client's own last write gave it, without reading again;
another share is blind. What is written is the workload's part: a pure function.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from checkers.op import Op, Sibling
from harness.generators import Rng
from harness.generators.distributions import Weighted

from .script import Script


@dataclass(frozen=True)
class Change:
    """What to write: a value, or a delete."""

    value: Any = None
    delete: bool = False


@dataclass(frozen=True)
class Seen:
    """What a writer knows: its process, how many writes its thread has begun (so that the
    pair is unique), and the siblings that its context covers; none for a blind write."""

    process: int
    serial: int
    siblings: tuple[Sibling, ...]

    @property
    def values(self) -> tuple[Any, ...]:
        """The values of the siblings that are not deleted."""
        return tuple(sibling.value for sibling in self.siblings if not sibling.deleted)

    @property
    def number(self) -> int:
        """An integer that no other write of the test has: Cantor's pairing."""
        diagonal = self.process + self.serial
        return diagonal * (diagonal + 1) // 2 + self.serial


#: (rng, what is known) -> (what to write, if anything, rng)
Modify = Callable[[Rng, Seen], tuple[Change | None, Rng]]


@dataclass(frozen=True)
class ReadModifyWrite:
    """`wrote`: the version that the last operation wrote, if it was a write."""

    rng: Rng
    keys: Weighted[str]
    modify: Modify
    blind: float
    chained: float
    serial: int = 0
    wrote: Sibling | None = None

    def next(self, process: int, last: Op | None) -> tuple[Op, Script]:
        """Write on what a get showed; after a write perhaps another; else begin anew."""
        if last is not None and last.type == "ok":
            if last.f == "get":
                return self._write(self.rng, process, last, tuple(last.siblings or ()))
            chained, rng = self.rng.chance(self.chained)
            if chained and self.wrote is not None:
                return self._write(rng, process, last, (self.wrote,))
            return self._begin(rng, process)
        return self._begin(self.rng, process)

    def _begin(self, rng: Rng, process: int) -> tuple[Op, Script]:
        blind, rng = rng.chance(self.blind)
        if not blind:
            return self._get(rng)
        key, rng = self.keys.pick(rng)
        return self._write(rng, process, Op(key=key), (), blind=True)

    def _get(self, rng: Rng) -> tuple[Op, Script]:
        key, rng = self.keys.pick(rng)
        return Op(f="get", key=key), replace(self, rng=rng, wrote=None)

    def _write(
        self, rng: Rng, process: int, on: Op, siblings: tuple[Sibling, ...], blind: bool = False
    ) -> tuple[Op, Script]:
        change, rng = self.modify(rng, Seen(process, self.serial, siblings))
        if change is None:
            return self._get(rng)
        op = Op(
            f="delete" if change.delete else "put",
            key=on.key,
            id=f"{process}.{self.serial}",
            value=None if change.delete else change.value,
            basis=None if blind else on.index,
        )
        assert op.id is not None
        wrote = Sibling(op.id, op.value, change.delete)
        return op, replace(self, rng=rng, serial=self.serial + 1, wrote=wrote)
