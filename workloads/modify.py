"""The one thing that clients of Dynamo do: read, change, write back with the context.

A cycle is a get, and upon its ok a write whose basis is that get. But a store that is
always writeable is written to by clients who have not read: because they are going on from
their own last write, because what they know is old, because the get failed, or because
they never ask. Each is a share of the cycles. What is written is the workload's part: a
pure function.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from checkers.op import Op, Sibling
from harness.generators import Rng
from harness.generators.distributions import Weighted

from .base import Load, Option
from .script import Script
from .twins import akin


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


#: Keys of which a client remembers what it last knew.
REMEMBERED = 32


@dataclass(frozen=True)
class Known:
    """What a client knows of a key: the completion that told it, whose context covers these
    siblings. Without a basis it knows nothing, and writes blindly."""

    basis: int | None = None
    siblings: tuple[Sibling, ...] = ()


@dataclass(frozen=True)
class Shares:
    """Shares of cycles that are blind, or begin with a write on what was known before
    (`stale`); of ok writes that another follows on at once (`chained`); of failed gets upon
    which is written all the same (`unread`); of writes with another key's context, by a
    mistake that a store must refuse (`foreign`)."""

    blind: float
    stale: float
    chained: float
    unread: float
    foreign: float

    @classmethod
    def of(cls, load: Load) -> Shares:
        """As the options say."""
        return cls(*(load.number(name) for name in _MEANINGS))

    def after(self, last: Op) -> float:
        """How likely the same key is written after `last`."""
        if last.f == "get":
            return 1.0 if last.type == "ok" else self.unread
        return self.chained if last.type == "ok" else 0.0


_MEANINGS = {
    "blind": "share of cycles that write without a context",
    "stale": "share of cycles that write on what was known before, without reading",
    "chained": "share of ok writes that another one follows on at once",
    "unread": "share of failed gets upon which is written all the same",
    "foreign": "share of writes with the context of another key, which must be refused",
}


def share_options(
    blind: float = 0.1,
    stale: float = 0.1,
    chained: float = 0.25,
    unread: float = 0.5,
    foreign: float = 0.0,
) -> dict[str, Option]:
    """The options of a workload that reads, modifies and writes, with these defaults."""
    defaults = (blind, stale, chained, unread, foreign)
    named = zip(_MEANINGS.items(), defaults, strict=True)
    return {name: Option(default, (0.0, 1.0), meaning) for (name, meaning), default in named}


@dataclass(frozen=True)
class ReadModifyWrite:
    """`known`: by key, the longest unused first. `wrote`: the version written last."""

    rng: Rng
    keys: Weighted[str]
    modify: Modify
    shares: Shares
    serial: int = 0
    known: Mapping[str, Known] = field(default_factory=dict)
    wrote: Sibling | None = None

    def next(self, process: int, last: Op | None) -> tuple[Op, Script]:
        """Go on from `last`, or begin another cycle."""
        if last is None or last.key is None:
            return self._begin(process)
        writes, rng = self.rng.chance(self.shares.after(last))
        script = replace(self._learned(last.key, last) if last.type == "ok" else self, rng=rng)
        return script._write(process, last.key) if writes else script._begin(process)

    def _learned(self, key: str, last: Op) -> ReadModifyWrite:
        covered = (self.wrote,) if self.wrote is not None else ()
        siblings = tuple(last.siblings or ()) if last.f == "get" else covered
        known = {k: v for k, v in self.known.items() if k != key}
        if len(known) >= REMEMBERED:
            del known[next(iter(known))]
        return replace(self, known={**known, key: Known(last.index, siblings)})

    def _begin(self, process: int) -> tuple[Op, Script]:
        key, rng = self.keys.pick(self.rng)
        blind, rng = rng.chance(self.shares.blind)
        stale, rng = rng.chance(self.shares.stale)
        script = replace(self, rng=rng)
        if blind:
            return script._write(process, key, Known())
        if stale and key in self.known:
            return script._write(process, key)
        return Op(f="get", key=key), script

    def _write(self, process: int, key: str, known: Known | None = None) -> tuple[Op, Script]:
        known = self.known.get(key, Known()) if known is None else known
        change, rng = self.modify(self.rng, Seen(process, self.serial, known.siblings))
        if change is None:
            other, rng = self.keys.pick(rng)
            return Op(f="get", key=other), replace(self, rng=rng)
        wrote = Sibling(f"{process}.{self.serial}", change.value, change.delete)
        f = "delete" if change.delete else "put"
        basis, rng = self._basis(rng, key, known)
        op = Op(f=f, key=key, id=wrote.id, value=change.value, basis=basis)
        return op, replace(self, rng=rng, serial=self.serial + 1, wrote=wrote)

    def _basis(self, rng: Rng, key: str, known: Known) -> tuple[int | None, Rng]:
        """What `known` rests on, or by mistake what is known of another key does: of its
        twin, if that is known."""
        mistaken, rng = rng.chance(self.shares.foreign)
        others = [name for name in self.known if name != key]
        if not mistaken or not others:
            return known.basis, rng
        name, rng = rng.choice([name for name in others if akin(name, key)] or others)
        return self.known[name].basis, rng
