"""Wrappers that diagnose: every step is checked, and an error names all that is wrong
and shows the generator and the context in which it happened. After Jepsen's Validate
and friendly-exceptions."""

from __future__ import annotations

from typing import get_args

from dynamesis.checkers.history.op import Op, Type, canonical
from dynamesis.harness.generators.base import Context, Generator, Pending, Step
from dynamesis.harness.generators.sources import Source, lift
from dynamesis.harness.generators.wrapper import Wrapper


class GeneratorError(Exception):
    """A generator raised, or broke its contract."""


def problems(step: object, ctx: Context) -> list[str]:
    """All that is wrong with what a generator returned; empty when it is a Step."""
    if step is None:
        return []
    if not isinstance(step, tuple) or len(step) != 2:
        return [f"should return None or a pair, not {step!r}"]
    op, after = step
    found = [] if after is None or hasattr(after, "op") else [f"not a generator: {after!r}"]
    if isinstance(op, Pending):
        if op.until is not None and op.until <= ctx.time:
            found.append(f"waits until {op.until} ns, which is not after {ctx.time} ns")
        return found
    if not isinstance(op, Op):
        return [*found, f"should return an Op or a Pending, not {op!r}"]
    return found + _problems_of_op(op, ctx)


def _problems_of_op(op: Op, ctx: Context) -> list[str]:
    found = []
    if op.type not in ("invoke", "info"):
        found.append(f"type should be 'invoke' or 'info' of {get_args(Type)}, not {op.type!r}")
    if not op.f:
        found.append("f is missing")
    if op.key is not None and not isinstance(op.key, str):
        found.append(f"key should be a string, not {op.key!r}")
    if isinstance(op.process, int) and not _is_held(op.value):
        found.append(f"no history can hold the value {op.value!r}")
    if op.time < ctx.time:
        found.append(f"time {op.time} ns lies before the context's {ctx.time} ns")
    if op.type == "invoke":
        thread = ctx.thread(op.process)
        if thread is None:
            found.append(f"no thread plays process {op.process!r}")
        elif thread not in ctx.free:
            found.append(f"process {op.process!r} is busy")
    return found


def _is_held(value: object) -> bool:
    """Whether JSON has this value."""
    if value is None or isinstance(value, int | str):
        return True
    try:
        canonical(value)
    except (TypeError, ValueError):
        return False
    return True


def _is_usual(step: object, gen: Generator, ctx: Context) -> bool:
    """Whether a step is one of those that most are, and right: with a generator of the same kind
    behind it, a wait, or an operation of a free thread. Of any other `problems` decides."""
    if type(step) is not tuple or len(step) != 2 or type(step[1]) is not type(gen):
        return False
    op = step[0]
    if type(op) is Pending:
        return op.until is None or op.until > ctx.time
    return (
        type(op) is Op
        and op.type == "invoke"
        and op.time >= ctx.time
        and bool(op.f)
        and (op.key is None or type(op.key) is str)
        and (op.value is None or type(op.value) in (int, str))
        and ctx.thread(op.process) in ctx.free
    )


def _refuse(step: object, gen: Generator, ctx: Context) -> None:
    """Raises GeneratorError with all that is wrong with a step, if anything is."""
    found = problems(step, ctx)
    if found:
        listed = "".join(f"\n  - {problem}" for problem in found)
        raise GeneratorError(
            f"a generator returned an invalid step:{listed}\n"
            f"step: {step!r}\ngenerator: {gen!r}\ncontext: {ctx!r}"
        )


def _not_asked(error: Exception, gen: Generator, ctx: Context) -> GeneratorError:
    return GeneratorError(
        f"asked for an operation, a generator raised {error!r}\n"
        f"generator: {gen!r}\ncontext: {ctx!r}"
    )


def _not_updated(error: Exception, gen: Generator, ctx: Context, event: Op) -> GeneratorError:
    return GeneratorError(
        f"update of a generator raised {error!r}\nevent: {event!r}\n"
        f"generator: {gen!r}\ncontext: {ctx!r}"
    )


class Validate(Wrapper, frozen=True):
    def op(self, ctx: Context) -> Step:
        step = self.gen.op(ctx)
        _refuse(step, self.gen, ctx)
        return None if step is None else (step[0], self.around(step[1]))


def validate(source: Source) -> Generator:
    """The source, every step checked. Raises GeneratorError with all the problems."""
    return Validate(lift(source))


class FriendlyExceptions(Wrapper, frozen=True):
    def op(self, ctx: Context) -> Step:
        try:
            return super().op(ctx)
        except GeneratorError:
            raise
        except Exception as error:
            raise _not_asked(error, self.gen, ctx) from error

    def update(self, ctx: Context, event: Op) -> Generator | None:
        try:
            return super().update(ctx, event)
        except GeneratorError:
            raise
        except Exception as error:
            raise _not_updated(error, self.gen, ctx, event) from error


def friendly_exceptions(source: Source) -> Generator:
    """The source; what it raises comes with the generator and the context beside it."""
    return FriendlyExceptions(lift(source))


class Diagnosed(Wrapper, frozen=True):
    """`validate` and `friendly_exceptions` in one step: every event of a test passes here."""

    def op(self, ctx: Context) -> Step:
        gen = self.gen
        try:
            step = gen.op(ctx)
        except GeneratorError:
            raise
        except Exception as error:
            raise _not_asked(error, gen, ctx) from error
        if step is None:
            return None
        if not _is_usual(step, gen, ctx):
            _refuse(step, gen, ctx)
        return step[0], self.around(step[1])

    def update(self, ctx: Context, event: Op) -> Generator | None:
        try:
            after = self.gen.update(ctx, event)
        except GeneratorError:
            raise
        except Exception as error:
            raise _not_updated(error, self.gen, ctx, event) from error
        return self.around(after)


def diagnosed(source: Source) -> Generator:
    """The source, every step checked; what is wrong, and what it raises, comes with the generator
    and the context beside it. Raises GeneratorError."""
    return Diagnosed(lift(source))
