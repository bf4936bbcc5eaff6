"""Where operations come from, and how one source follows another.

Anything that yields operations is a Source: an Op (emitted once), a list or tuple
(one after the other), None (nothing), or a Generator. Combinators take Sources.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import msgspec
from dynamesis.checkers.history.op import Op
from dynamesis.harness.generators.base import PENDING, Context, Generator, Pending, Step, assign
from dynamesis.harness.generators.rng import Rng

Source: TypeAlias = "Generator | Op | Sequence[Source] | None"


class One(msgspec.Struct, frozen=True):
    """One operation, once."""

    template: Op

    def op(self, ctx: Context) -> Step:
        assigned = assign(self.template, ctx)
        if isinstance(assigned, Pending):
            return assigned, self
        return None if assigned is None else (assigned, None)

    def update(self, ctx: Context, event: Op) -> Generator | None:
        return self


class Concat(msgspec.Struct, frozen=True):
    """The items from number `at` on, each after the one before is exhausted. `current` is
    what is left of item `at`. Only it gets events."""

    items: tuple[Generator, ...]
    at: int
    current: Generator

    def op(self, ctx: Context) -> Step:
        at, current = self.at, self.current
        while True:
            step = current.op(ctx)
            if step is not None:
                op, after = step
                return op, self._from(at, after)
            at += 1
            if at == len(self.items):
                return None
            current = self.items[at]

    def update(self, ctx: Context, event: Op) -> Generator | None:
        after = self.current.update(ctx, event)
        return self if after is self.current else self._from(self.at, after)

    def _from(self, at: int, current: Generator | None) -> Generator | None:
        if current is not None:
            return Concat(self.items, at, current)
        at += 1
        return Concat(self.items, at, self.items[at]) if at < len(self.items) else None


class Exhausted(msgspec.Struct, frozen=True):
    """Nothing, from the start."""

    def op(self, ctx: Context) -> Step:
        return None

    def update(self, ctx: Context, event: Op) -> Generator | None:
        return self


#: All are alike.
EXHAUSTED = Exhausted()


def lift(source: Source) -> Generator:
    """The generator of a source."""
    if source is None:
        return Exhausted()
    if isinstance(source, Op):
        return One(source)
    if isinstance(source, Sequence):
        return concat(*source)
    return source


def concat(*sources: Source) -> Generator:
    """One after the other, without waiting for what is still in flight."""
    items = tuple(lift(source) for source in sources)
    return Concat(items, 0, items[0]) if items else Exhausted()


def invoke(f: str, **fields: Any) -> Op:
    """A template of an invocation, for whichever process is free."""
    return Op(type="invoke", process=-1, f=f, **fields)


def log(message: str) -> Generator:
    """A remark that goes into the history when its turn comes; it occupies no thread."""
    return One(Op(type="info", process="harness", f="log", value=message))


class Draw(msgspec.Struct, frozen=True):
    """Operations without end, each drawn anew."""

    rng: Rng
    make: Callable[[Rng], tuple[Op, Rng]]

    def op(self, ctx: Context) -> Step:
        if not ctx.free:
            return PENDING, self
        template, rng = self.make(self.rng)
        assigned = assign(template, ctx)
        if isinstance(assigned, Op):
            return assigned, msgspec.structs.replace(self, rng=rng)
        return assigned or PENDING, self

    def update(self, ctx: Context, event: Op) -> Generator | None:
        return self


def draw(rng: Rng, make: Callable[[Rng], tuple[Op, Rng]]) -> Generator:
    """What `make` draws, for ever. `make` must be a pure function."""
    return Draw(rng, make)
