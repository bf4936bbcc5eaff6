"""What all clients do together, as one pure value: the next operation may depend on everything
that was asked and answered before, by any client.

A Script (workloads.script.script) knows one client. That is not enough where values must be unique
over all clients, where a key is to be given up after so many operations on it, or where a
compare-and-set aims at the value that another client wrote last.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol, runtime_checkable

import msgspec
from dynamesis.checkers.history.op import Op
from dynamesis.harness import generators as gen
from dynamesis.harness.generators import PENDING, Context, Generator, Rng, Step
from dynamesis.harness.generators.validate import GeneratorError


class SharedScript(Protocol):
    """The rest of what all clients do."""

    def next(self, process: int, now: int) -> tuple[Op, SharedScript] | None:
        """The operation that `process` begins at `now` (ns); its process and time are filled in
        by the caller. None: there is no more."""

    def saw(self, asked: Op, done: Op) -> SharedScript:
        """The script after the operation `asked` completed as `done`."""


class Share(msgspec.Struct, frozen=True):
    """Which part of a load is meant: that of driver `number`, from 0, of `drivers`."""

    number: int = 0
    drivers: int = 1

    def number_of(self, own: int) -> int:
        """A number that no other share has, from one that is unique in this one."""
        return own * self.drivers + self.number

    def of_life(self, uses: int) -> int:
        """This share's part of so many uses, at least one."""
        return -(-uses // self.drivers)

    def stream(self, rng: Rng) -> Rng:
        """A random stream of its own."""
        return rng if self.drivers == 1 else rng.split(self.number)


WHOLE = Share()


@runtime_checkable
class SharableScript(SharedScript, Protocol):
    """A shared script of which several can run without knowledge of each other."""

    def share(self, share: Share) -> SharedScript:
        """The script of one driver, before anything has happened: together they write no value
        twice."""


class _Together(msgspec.Struct, frozen=True):
    """A shared script on all threads of its context; `asked`: the operations in progress."""

    script: SharedScript
    asked: Mapping[int | str, Op] = {}

    def op(self, ctx: Context) -> Step:
        if not ctx.free:
            return PENDING, self
        process = ctx.workers[ctx.free[0]]
        assert isinstance(process, int), "scripts are for clients"
        step = self.script.next(process, ctx.time)
        if step is None:
            return None
        op, script = step
        ready = msgspec.structs.replace(op, type="invoke", process=process, time=ctx.time)
        return ready, _Together(script, {**self.asked, process: ready})

    def update(self, ctx: Context, event: Op) -> Generator | None:
        asked = self.asked.get(event.process)
        if event.type == "invoke" or asked is None:
            return self
        others = {process: op for process, op in self.asked.items() if process != event.process}
        return _Together(self.script.saw(asked, event), others)


def perform_together(script: SharedScript) -> Generator:
    """A shared script on all client threads."""
    return gen.clients(_Together(script))


#: From a random stream and the number of operations before it: an operation, and the stream.
Draw = Callable[[Rng, int], tuple[Op, Rng]]


class Drawn(msgspec.Struct, frozen=True):
    """Operations that are drawn one by one, whatever was answered. `draw` is pure; the number that
    it is given is another one for each operation, and so makes values unique."""

    rng: Rng
    draw: Draw
    number: int = 0
    step: int = 1

    def next(self, process: int, now: int) -> tuple[Op, SharedScript]:
        """The operation that is drawn next."""
        drawn: object = self.draw(self.rng, self.number)
        match drawn:
            case (Op() as op, Rng() as rng):
                pass
            case _:
                raise GeneratorError(
                    f"{self.draw.__qualname__} returned {drawn!r:.80}; it must return an Op and "
                    "the random stream: `return Op(...), rng`"
                )
        return op, Drawn(rng, self.draw, self.number + self.step, self.step)

    def share(self, share: Share) -> SharedScript:
        """Each draws from a stream of its own, and numbers that no other has."""
        return Drawn(share.stream(self.rng), self.draw, share.number, share.drivers)

    def saw(self, asked: Op, done: Op) -> SharedScript:
        """Nothing is learned from answers."""
        return self
