"""Which thread does it: routing operations to threads, and letting generators race for them.

Where several generators could speak, the one whose operation is due first does. Among
those due now the turn goes round, so that a busy source cannot starve the others.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Generic, TypeVar

import msgspec
from dynamesis.checkers.history.op import Op
from dynamesis.harness.generators.base import PENDING, Context, Generator, Pending, Step, Thread
from dynamesis.harness.generators.sources import EXHAUSTED, Source, concat, lift
from dynamesis.harness.generators.wrapper import Wrapper

K = TypeVar("K")


def earlier(a: int | None, b: int | None) -> int | None:
    """The earlier of two times, where None is never."""
    return b if a is None else a if b is None else min(a, b)


class Race(msgspec.Struct, Generic[K], frozen=True):
    """How a race ended. `op` is None when all were exhausted; `winner` is None when all
    wait. `changed` holds the successors to keep: of the winner, and of all that wait."""

    op: Op | Pending | None
    winner: K | None
    changed: dict[K, Generator | None]


def race(ctx: Context, entrants: Iterable[tuple[K, Generator, Context]]) -> Race[K]:
    """Ask each generator in its own context, until one has an operation that is due."""
    changed: dict[K, Generator | None] = {}
    best: tuple[Op, K, Generator | None] | None = None
    waiting, until = False, None
    for key, gen, own in entrants:
        step = gen.op(own)
        if step is None:
            changed[key] = None
        elif isinstance(step[0], Pending):
            waiting, until = True, earlier(until, step[0].until)
            changed[key] = step[1]
        elif best is None or step[0].time < best[0].time:
            best = (step[0], key, step[1])
            if best[0].time <= ctx.time:
                break
    if best is None:
        return Race(Pending(until) if waiting else None, None, changed)
    op, winner, after = best
    return Race(op, winner, {**changed, winner: after})


class Any(msgspec.Struct, frozen=True):
    """`turn`: the number of the generator that is asked first."""

    gens: tuple[Generator, ...]
    turn: int = 0

    def op(self, ctx: Context) -> Step:
        """As `race`, in which all have the same context."""
        gens, now = self.gens, ctx.time
        #: the successors; None as long as there are none but the generators themselves
        kept: list[Generator] | None = None
        best: tuple[Op, int, Generator | None] | None = None
        waiting, until = False, None
        for i in (*range(self.turn, len(gens)), *range(self.turn)):
            step = gens[i].op(ctx)
            op, after = (None, None) if step is None else step
            if op is None or isinstance(op, Pending):
                if op is not None:
                    waiting = True
                    if until is None or (op.until is not None and op.until < until):
                        until = op.until
                rest = EXHAUSTED if after is None else after
                if rest is not gens[i]:
                    kept = list(gens) if kept is None else kept
                    kept[i] = rest
            elif best is None or op.time < best[0].time:
                best = op, i, after
                if op.time <= now:
                    break
        if best is None:
            if not waiting:
                return None
            return Pending(until), self if kept is None else Any(tuple(kept), self.turn)
        found, winner, after = best
        kept = list(gens) if kept is None else kept
        kept[winner] = EXHAUSTED if after is None else after
        return found, Any(tuple(kept), (winner + 1) % len(kept))

    def update(self, ctx: Context, event: Op) -> Generator | None:
        gens, same = [], True
        for gen in self.gens:
            after = gen.update(ctx, event)
            same = same and after is gen
            gens.append(EXHAUSTED if after is None else after)
        return self if same else Any(tuple(gens), self.turn)


def any(*sources: Source) -> Generator:
    """Whichever source has the next operation first. All get every event."""
    return Any(tuple(lift(source) for source in sources))


class OnThreads(Wrapper, frozen=True):
    keep: Callable[[Thread], bool]

    def op(self, ctx: Context) -> Step:
        own = ctx.only(self.keep)
        step = self.gen.op(own) if own.workers else None
        return None if step is None else (step[0], self.around(step[1]))

    def update(self, ctx: Context, event: Op) -> Generator | None:
        thread = ctx.thread(event.process)
        if thread is None or not self.keep(thread):
            return self
        return self.around(self.gen.update(ctx.only(self.keep), event))


def on_threads(keep: Callable[[Thread], bool], source: Source) -> Generator:
    """The source as if only the threads for which `keep` holds existed; nothing if none
    does."""
    return OnThreads(lift(source), keep)


def _is_client(thread: Thread) -> bool:
    return thread != "nemesis"


def _is_nemesis(thread: Thread) -> bool:
    return thread == "nemesis"


def clients(source: Source, nemesis_source: Source = None) -> Generator:
    """The source on the client threads only, beside another on the nemesis."""
    own = on_threads(_is_client, source)
    return own if nemesis_source is None else any(own, nemesis(nemesis_source))


def nemesis(source: Source, client_source: Source = None) -> Generator:
    """The source on the nemesis only, beside another on the client threads."""
    own = on_threads(_is_nemesis, source)
    return own if client_source is None else any(own, clients(client_source))


class _Span(msgspec.Struct, frozen=True):
    """Whether a client thread's number lies in [low, high); high None: no end."""

    low: int
    high: int | None

    def __call__(self, thread: Thread) -> bool:
        if not isinstance(thread, int) or thread < self.low:
            return False
        return self.high is None or thread < self.high


def reserve(*ranges: tuple[int, Source], default: Source = None) -> Generator:
    """The first ranges[0][0] client threads for ranges[0][1], the next ones for the next,
    and all that are left for `default`: writers cannot then use up the readers' threads."""
    gens, low = [], 0
    for count, source in ranges:
        gens.append(on_threads(_Span(low, low + count), source))
        low += count
    return any(*gens, on_threads(_Span(low, None), default))


class EachThread(msgspec.Struct, frozen=True):
    """`gens`: what is left for each thread that has begun; the others begin with `fresh`."""

    fresh: Generator
    gens: dict[Thread, Generator | None] = {}

    def op(self, ctx: Context) -> Step:
        usual = self._first(ctx)
        if usual is not None:
            return usual
        result = race(
            ctx,
            (
                (thread, gen, ctx.alone(thread))
                for thread in ctx.free
                if (gen := self.gens.get(thread, self.fresh)) is not None
            ),
        )
        gens = {**self.gens, **result.changed} if result.changed else self.gens
        if result.op is not None:
            return result.op, EachThread(self.fresh, gens)
        unfinished = [t for t in ctx.workers if gens.get(t, self.fresh) is not None]
        return (PENDING, EachThread(self.fresh, gens)) if unfinished else None

    def _first(self, ctx: Context) -> Step:
        """The usual case: the thread that has been free longest has an operation that is due,
        and so wins the race."""
        if not ctx.free:
            return None
        thread = ctx.free[0]
        gen = self.gens.get(thread, self.fresh)
        step = None if gen is None else gen.op(ctx.alone(thread))
        if step is None or isinstance(step[0], Pending) or step[0].time > ctx.time:
            return None
        return step[0], EachThread(self.fresh, {**self.gens, thread: step[1]})

    def update(self, ctx: Context, event: Op) -> Generator | None:
        thread = ctx.thread(event.process)
        gen = None if thread is None else self.gens.get(thread, self.fresh)
        if thread is None or gen is None:
            return self
        after = gen.update(ctx.alone(thread), event)
        if after is gen:
            return self
        return EachThread(self.fresh, {**self.gens, thread: after})


def each_thread(source: Source) -> Generator:
    """A copy of the source for every thread, which sees that thread and its events only."""
    return EachThread(lift(source))


class EachProcess(msgspec.Struct, frozen=True):
    """As EachThread, by process: a retired process's copy is dropped with it."""

    fresh: Generator
    gens: dict[int | str, Generator | None] = {}

    def op(self, ctx: Context) -> Step:
        result = race(
            ctx,
            (
                (process, gen, ctx.alone(thread))
                for thread in ctx.free
                if (gen := self._of(process := ctx.workers[thread])) is not None
            ),
        )
        alive = set(ctx.workers.values())
        merged = {**self.gens, **result.changed}
        after = EachProcess(self.fresh, {p: gen for p, gen in merged.items() if p in alive})
        if result.op is not None:
            return result.op, after
        unfinished = [p for p in ctx.workers.values() if after._of(p) is not None]
        return (PENDING, after) if unfinished else None

    def update(self, ctx: Context, event: Op) -> Generator | None:
        thread, gen = ctx.thread(event.process), self._of(event.process)
        if thread is None or gen is None:
            return self
        after = gen.update(ctx.alone(thread), event)
        if after is gen:
            return self
        return EachProcess(self.fresh, {**self.gens, event.process: after})

    def _of(self, process: int | str) -> Generator | None:
        return self.gens.get(process, self.fresh)


def each_process(source: Source) -> Generator:
    """A copy of the source for every process: begun anew where a process was retired."""
    return EachProcess(lift(source))


class Synchronize(msgspec.Struct, frozen=True):
    """Waits until no thread is busy; then it is no more than the generator inside."""

    gen: Generator

    def op(self, ctx: Context) -> Step:
        return self.gen.op(ctx) if ctx.idle else (PENDING, self)

    def update(self, ctx: Context, event: Op) -> Generator | None:
        return self


def synchronize(source: Source) -> Generator:
    """The source, begun once every thread is free."""
    return Synchronize(lift(source))


def phases(*sources: Source) -> Generator:
    """One after the other, each begun once everything before it has completed."""
    return concat(*(synchronize(source) for source in sources))


def then(first: Source, second: Source) -> Generator:
    """`second` once everything of `first` has completed."""
    return concat(first, synchronize(second))
