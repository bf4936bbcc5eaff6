"""What one client does, as a pure value: given the completion of its last operation, the
next operation and the script that continues from there.

A client has one operation in flight at most, so this is all that a workload needs to define;
`scripted` makes a generator of it, with a script of its own for every thread.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import msgspec
from dynamesis.checkers.history.op import Op
from dynamesis.harness import generators as gen
from dynamesis.harness.generators import PENDING, Context, Generator, Rng, Step


class Script(Protocol):
    """The rest of what a client does."""

    def next(self, process: int, last: Op | None, now: int = 0) -> tuple[Op, Script] | None:
        """The next operation of `process` at `now` (ns), after `last` completed (None: nothing
        has yet). Its process and time are filled in by the caller. None: there is no more."""


class _Performing(msgspec.Struct, frozen=True):
    """A script on the one thread of its context; `last` is the completion before."""

    script: Script
    last: Op | None = None

    def op(self, ctx: Context) -> Step:
        if not ctx.free:
            return PENDING, self
        process = ctx.workers[ctx.free[0]]
        assert isinstance(process, int), "scripts are for clients"
        step = self.script.next(process, self.last, ctx.time)
        if step is None:
            return None
        op, script = step
        ready = msgspec.structs.replace(op, type="invoke", process=process, time=ctx.time)
        return ready, _Performing(script, self.last)

    def update(self, ctx: Context, event: Op) -> Generator | None:
        return self if event.type == "invoke" else _Performing(self.script, event)


class _UnstartedScript(msgspec.Struct, frozen=True):
    """Becomes a performance once it knows its thread, of which its randomness depends."""

    rng: Rng
    make: Callable[[Rng, int], Script]

    def op(self, ctx: Context) -> Step:
        if not ctx.free:
            return PENDING, self
        thread = ctx.free[0]
        assert isinstance(thread, int), "scripts are for clients"
        return _Performing(self.make(self.rng.split(thread), thread)).op(ctx)

    def update(self, ctx: Context, event: Op) -> Generator | None:
        return self


def scripted(rng: Rng, make: Callable[[Rng, int], Script]) -> Generator:
    """A script for every client thread, which `make` makes of a random stream of its own
    and the thread's number."""
    return gen.clients(gen.each_thread(_UnstartedScript(rng, make)))
