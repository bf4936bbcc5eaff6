"""What becomes of operations on their way: map, filter, f_map, trace."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import msgspec
from dynamesis.checkers.history.op import Op
from dynamesis.harness.generators.base import Context, Generator, Pending, Step
from dynamesis.harness.generators.sources import Source, lift
from dynamesis.harness.generators.wrapper import Wrapper


class Map(Wrapper, frozen=True):
    change: Callable[[Op], Op]

    def op(self, ctx: Context) -> Step:
        step = self.gen.op(ctx)
        if step is None:
            return None
        op, after = step
        return op if isinstance(op, Pending) else self.change(op), self.around(after)


def map(change: Callable[[Op], Op], source: Source) -> Generator:
    """Every operation as `change` makes it; `change` is pure and returns a new Op."""
    return Map(lift(source), change)


class _Rename(msgspec.Struct, frozen=True):
    names: Mapping[str, str]

    def __call__(self, op: Op) -> Op:
        return msgspec.structs.replace(op, f=self.names.get(op.f, op.f))


def f_map(names: Mapping[str, str], source: Source) -> Generator:
    """Operations with their `f` renamed, where `names` has another one for it."""
    return map(_Rename(dict(names)), source)


class Filter(Wrapper, frozen=True):
    keep: Callable[[Op], bool]

    def op(self, ctx: Context) -> Step:
        gen: Generator | None = self.gen
        while gen is not None:
            step = gen.op(ctx)
            if step is None:
                return None
            op, gen = step
            if isinstance(op, Pending) or self.keep(op):
                return op, self.around(gen)
        return None


def filter(keep: Callable[[Op], bool], source: Source) -> Generator:
    """Only the operations for which `keep` holds. A source without end of which none is
    kept would be asked for ever."""
    return Filter(lift(source), keep)


class Trace(Wrapper, frozen=True):
    label: str
    write: Callable[[str], None]

    def op(self, ctx: Context) -> Step:
        step = self.gen.op(ctx)
        self.write(f"{self.label} op at {ctx.time} ns: {None if step is None else step[0]}")
        return None if step is None else (step[0], self.around(step[1]))

    def update(self, ctx: Context, event: Op) -> Generator | None:
        self.write(f"{self.label} update at {ctx.time} ns: {event}")
        return self.around(self.gen.update(ctx, event))


def trace(label: str, write: Callable[[str], None], source: Source) -> Generator:
    """The source, with a line to `write` for everything that goes into it. The one
    combinator with an effect: for debugging."""
    return Trace(lift(source), label, write)
