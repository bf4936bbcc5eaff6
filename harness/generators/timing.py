"""When: sleep, stagger, rate, delay, time_limit, cycle_times.

Durations are given in seconds and kept in ns. A clock starts when the generator is first
asked, and what remembers it is the successor that comes with the Pending.
"""

from __future__ import annotations

import math
from typing import Literal

import msgspec
from dynamesis.checkers.history.op import Op
from dynamesis.harness.generators.base import PENDING, Context, Generator, Pending, Step
from dynamesis.harness.generators.rng import Rng
from dynamesis.harness.generators.sources import Exhausted, Source, lift
from dynamesis.harness.generators.wrapper import Wrapper

#: Lateness up to this (ns) is made up for, so that slow wake-ups do not lower a rate; what
#: is later than that, as after a stall, is forgotten, so that no burst follows it.
_CATCH_UP = 100_000_000
#: What begins later than this after it was due (ns) is late, and carries when that was.
_LATE = 1_000_000


def ns(seconds: float) -> int:
    """Seconds as ns. Raises ValueError unless finite and not negative."""
    if not math.isfinite(seconds) or seconds < 0:
        raise ValueError(f"a duration must be finite and not negative: {seconds} s")
    return round(seconds * 1_000_000_000)


class Sleep(msgspec.Struct, frozen=True):
    """Waits `duration` from when it is first asked with a thread free; then until `end`."""

    duration: int
    end: int | None = None

    def op(self, ctx: Context) -> Step:
        if self.end is None and not ctx.free:
            return PENDING, self
        end = ctx.time + self.duration if self.end is None else self.end
        return None if ctx.time >= end else (Pending(end), msgspec.structs.replace(self, end=end))

    def update(self, ctx: Context, event: Op) -> Generator | None:
        return self


def sleep(seconds: float) -> Generator:
    """No operation for so long, counted from when a thread was free for one. Between two
    operations of the nemesis: from the completion of the first."""
    return Sleep(ns(seconds))


Gap = Literal["fixed", "uniform", "exponential", "clumped"]
#: Of clumped operations, the share that comes together with the one before.
_TOGETHER = 0.6


class Paced(Wrapper, frozen=True):
    """The next operation not before `due`; the gaps have a mean of `mean` ns. `asked`: whether
    the generator inside had one already as it is now, so that it need not be asked before;
    `endless`: whether it has one at any time, for any thread that is free."""

    mean: int
    gap: Gap
    rng: Rng
    due: int | None = None
    asked: bool = False
    endless: bool = False

    def op(self, ctx: Context) -> Step:
        if (self.asked or self.endless) and self.due is not None and self.due > ctx.time:
            return Pending(self.due), self
        step = self.gen.op(ctx)
        if step is None:
            return None
        op, after = step
        if isinstance(op, Pending):
            return op, self.around(after)
        due = ctx.time if self.due is None else self.due
        if due > ctx.time:
            return Pending(due), msgspec.structs.replace(self, asked=True)
        gap, rng = self._gap()
        base = due if ctx.time - due <= _CATCH_UP else ctx.time
        if ctx.time - due > _LATE and op.type == "invoke":
            op = msgspec.structs.replace(op, due=due)
        return op, self.around(after, due=base + gap, rng=rng, asked=False)

    def update(self, ctx: Context, event: Op) -> Generator | None:
        after = self.gen.update(ctx, event)
        if after is self.gen and not self.asked:
            return self
        return self.around(after, asked=False)

    def _gap(self) -> tuple[int, Rng]:
        if self.gap == "fixed":
            return self.mean, self.rng
        if self.gap == "uniform":
            return self.rng.between(0, 2 * self.mean)
        together, mean, rng = False, float(self.mean), self.rng
        if self.gap == "clumped":
            together, rng = rng.chance(_TOGETHER)
            mean /= 1 - _TOGETHER
        gap, rng = rng.exponential(mean)
        return 0 if together else round(gap), rng


def stagger(seconds: float, source: Source, rng: Rng, gap: Gap = "uniform") -> Generator:
    """Operations a mean of `seconds` apart, over all threads together: "uniform" gaps from
    0 to twice the mean; "exponential" ones (a Poisson process); or "clumped", where most
    come at one time with others, and the clumps as a Poisson process."""
    return Paced(lift(source), ns(seconds), gap, rng)


def rate(
    per_second: float, source: Source, rng: Rng, gap: Gap = "exponential", endless: bool = False
) -> Generator:
    """So many operations a second over all threads together, as a Poisson process or with
    other gaps. `endless`: the source has an operation at any time, for any thread that is free,
    so that it is asked only when one is due: half as often. Raises ValueError unless positive."""
    if not per_second > 0:
        raise ValueError(f"a rate must be positive: {per_second}/s")
    return Paced(lift(source), ns(1 / per_second), gap, rng, endless=endless)


def delay(seconds: float, source: Source) -> Generator:
    """Operations at least `seconds` apart, over all threads together."""
    return Paced(lift(source), ns(seconds), "fixed", Rng(0))


class TimeLimit(Wrapper, frozen=True):
    limit: int
    cutoff: int | None = None

    def op(self, ctx: Context) -> Step:
        cutoff = ctx.time + self.limit if self.cutoff is None else self.cutoff
        step = self.gen.op(ctx) if ctx.time < cutoff else None
        if step is None:
            return None
        op, after = step
        if isinstance(op, Op) and op.time >= cutoff:
            return Pending(cutoff), msgspec.structs.replace(self, cutoff=cutoff)
        if isinstance(op, Pending) and (op.until is None or op.until > cutoff):
            op = Pending(cutoff)
        if self.cutoff is not None:
            return op, self.around(after)
        return op, self.around(after, cutoff=cutoff)


def time_limit(seconds: float, source: Source) -> Generator:
    """No operation begins later than `seconds` after this was first asked."""
    return TimeLimit(lift(source), ns(seconds))


class CycleTimes(msgspec.Struct, frozen=True):
    """Generator i speaks while the time since `start`, modulo the whole period, lies
    between ends[i - 1] and ends[i]."""

    gens: tuple[Generator, ...]
    ends: tuple[int, ...]
    start: int | None = None

    def op(self, ctx: Context) -> Step:
        start = ctx.time if self.start is None else self.start
        into = (ctx.time - start) % self.ends[-1]
        turn = next(i for i, end in enumerate(self.ends) if into < end)
        change = ctx.time - into + self.ends[turn]
        step = self.gens[turn].op(ctx)
        if step is None:
            return None
        op, after = step
        if isinstance(op, Op) and op.time >= change:
            return Pending(change), msgspec.structs.replace(self, start=start)
        if isinstance(op, Pending):
            op = Pending(change if op.until is None else min(op.until, change))
        gens = (*self.gens[:turn], after or Exhausted(), *self.gens[turn + 1 :])
        return op, msgspec.structs.replace(self, gens=gens, start=start)

    def update(self, ctx: Context, event: Op) -> Generator | None:
        gens = tuple(gen.update(ctx, event) or Exhausted() for gen in self.gens)
        return msgspec.structs.replace(self, gens=gens)


def cycle_times(*turns: tuple[float, Source]) -> Generator:
    """turns[0][1] for turns[0][0] seconds, then the next, and round again, until the one
    whose turn it is is exhausted. Each continues where it was; all get every event."""
    ends, total = [], 0
    for seconds, _ in turns:
        total += ns(seconds)
        ends.append(total)
    return CycleTimes(tuple(lift(source) for _, source in turns), tuple(ends))
