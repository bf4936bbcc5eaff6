"""How often: limit, once, repeat, cycle, process_limit, until_ok, flip_flop, mix."""

from __future__ import annotations

import msgspec
from dynamesis.checkers.history.op import Op
from dynamesis.harness.generators.base import Context, Generator, Pending, Step
from dynamesis.harness.generators.rng import Rng
from dynamesis.harness.generators.sources import Exhausted, Source, lift
from dynamesis.harness.generators.wrapper import Wrapper


class Limit(Wrapper, frozen=True):
    remaining: int

    def op(self, ctx: Context) -> Step:
        step = self.gen.op(ctx) if self.remaining > 0 else None
        if step is None:
            return None
        op, after = step
        if isinstance(op, Pending):
            return op, self.around(after)
        left = self.remaining - 1
        return op, self.around(after, remaining=left) if left else None


def limit(n: int, source: Source) -> Generator:
    """The first n operations."""
    return Limit(lift(source), n)


def once(source: Source) -> Generator:
    """The first operation only."""
    return limit(1, source)


class Repeat(Wrapper, frozen=True):
    def op(self, ctx: Context) -> Step:
        step = self.gen.op(ctx)
        if step is None:
            return None
        op, after = step
        return op, self.around(after) if isinstance(op, Pending) else self


def repeat(source: Source, n: int | None = None) -> Generator:
    """The source's next operation over and over, n times or for ever. The source is updated
    with events, but never moves on."""
    endless = Repeat(lift(source))
    return endless if n is None else Limit(endless, n)


class CycleGenerator(Wrapper, frozen=True):
    first: Generator

    def op(self, ctx: Context) -> Step:
        step = self.gen.op(ctx) or self.first.op(ctx)
        if step is None:
            return None
        op, after = step
        return op, msgspec.structs.replace(self, gen=self.first if after is None else after)

    def update(self, ctx: Context, event: Op) -> Generator | None:
        after = self.gen.update(ctx, event)
        return msgspec.structs.replace(self, gen=self.first if after is None else after)


def cycle(source: Source) -> Generator:
    """The whole source, again and again from its beginning; exhausted only if empty."""
    gen = lift(source)
    return CycleGenerator(gen, gen)


class ProcessLimit(Wrapper, frozen=True):
    remaining: int
    seen: frozenset[int | str] = frozenset()

    def op(self, ctx: Context) -> Step:
        step = self.gen.op(ctx)
        if step is None:
            return None
        op, after = step
        if isinstance(op, Pending) or op.type != "invoke":
            return op, self.around(after)
        seen = self.seen | {op.process}
        return (op, self.around(after, seen=seen)) if len(seen) <= self.remaining else None


def process_limit(n: int, source: Source) -> Generator:
    """Operations of at most n different processes; exhausted when one more would begin.
    Bounds how many processes crash: each info uses one up."""
    return ProcessLimit(lift(source), n)


class UntilOk(Wrapper, frozen=True):
    done: bool = False
    in_flight: frozenset[int | str] = frozenset()

    def op(self, ctx: Context) -> Step:
        step = None if self.done else self.gen.op(ctx)
        if step is None:
            return None
        op, after = step
        if isinstance(op, Pending):
            return op, self.around(after)
        rest = Exhausted() if after is None else after
        return op, msgspec.structs.replace(self, gen=rest, in_flight=self.in_flight | {op.process})

    def update(self, ctx: Context, event: Op) -> Generator | None:
        after = self.gen.update(ctx, event)
        gen = Exhausted() if after is None else after
        if event.type == "invoke" or event.process not in self.in_flight:
            return msgspec.structs.replace(self, gen=gen)
        in_flight = self.in_flight - {event.process}
        done = self.done or event.type == "ok"
        return msgspec.structs.replace(self, gen=gen, in_flight=in_flight, done=done)


def until_ok(source: Source) -> Generator:
    """Operations until one of them ends in ok. Several threads may try concurrently."""
    return UntilOk(lift(source))


class FlipFlop(msgspec.Struct, frozen=True):
    """`gens[0]` is the next to speak."""

    gens: tuple[Generator, Generator]

    def op(self, ctx: Context) -> Step:
        first, second = self.gens
        step = first.op(ctx)
        if step is None:
            return None
        op, after = step
        rest = Exhausted() if after is None else after
        return op, FlipFlop((rest, second) if isinstance(op, Pending) else (second, rest))

    def update(self, ctx: Context, event: Op) -> Generator | None:
        first, second = (gen.update(ctx, event) or Exhausted() for gen in self.gens)
        return FlipFlop((first, second))


def flip_flop(a: Source, b: Source) -> Generator:
    """One from a, one from b, and so on, until the next to speak is exhausted."""
    return FlipFlop((lift(a), lift(b)))


class Mix(msgspec.Struct, frozen=True):
    """`turn` is the generator that speaks next, drawn when the last one had spoken."""

    gens: tuple[Generator, ...]
    rng: Rng
    turn: int = -1

    def op(self, ctx: Context) -> Step:
        mix = self if self.turn >= 0 else self._drawn(self.gens, self.rng)
        while mix.gens:
            step = mix.gens[mix.turn].op(ctx)
            if step is not None:
                op, after = step
                if isinstance(op, Pending):
                    return op, msgspec.structs.replace(mix, gens=mix._with(after or Exhausted()))
                return op, mix._drawn(mix._with(after), mix.rng)
            mix = mix._drawn(mix._with(None), mix.rng)
        return None

    def update(self, ctx: Context, event: Op) -> Generator | None:
        gens = tuple(gen.update(ctx, event) or Exhausted() for gen in self.gens)
        return msgspec.structs.replace(self, gens=gens)

    def _with(self, after: Generator | None) -> tuple[Generator, ...]:
        middle = () if after is None else (after,)
        return (*self.gens[: self.turn], *middle, *self.gens[self.turn + 1 :])

    @staticmethod
    def _drawn(gens: tuple[Generator, ...], rng: Rng) -> Mix:
        turn, rng = rng.below(len(gens)) if gens else (-1, rng)
        return Mix(gens, rng, turn)


def mix(rng: Rng, *sources: Source) -> Generator:
    """A random mixture: each operation from a source drawn uniformly among those that are
    not exhausted. Name a source twice to have it twice as often."""
    return Mix(tuple(lift(source) for source in sources), rng)
