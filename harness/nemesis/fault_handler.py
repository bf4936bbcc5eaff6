"""What the handler of a family of faults does, what counts as proof that one took effect, and how
it is waited for."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar

from dynamesis.checkers.history.op import JsonObject
from dynamesis.harness.nemesis.faults import FaultValue
from dynamesis.harness.processes.patience import Patience

#: s that a fault has to show all of its effect; without any, it is watched to its end
_PATIENCE = 1.5
#: s between two looks
_EVERY = 0.1
#: s by the wall clock that a fault is prolonged at most: others wait for the nemesis meanwhile
_AT_MOST = 8.0


F = TypeVar("F", bound=FaultValue, contravariant=True)


@dataclass(frozen=True)
class Proof:
    """What is known of a fault's effect.

    bit: it took effect
    complete: looking again would show no more
    detail: as the history has it
    over: it has ended by itself, and nothing is left to heal
    """

    bit: bool
    complete: bool
    detail: JsonObject = field(default_factory=dict)
    over: bool = False


#: Looks at the effect of one fault.
Look = Callable[[], Awaitable[Proof]]


@dataclass(frozen=True)
class LookAfter:
    """A Look at what a task brings about: until that has ended, there is no effect to see, and no
    node need be asked again and again."""

    task: asyncio.Task[None]
    look: Look

    async def __call__(self) -> Proof:
        return await self.look()


class FaultHandler(Protocol[F]):
    """Injects and lifts the faults of a family, each with a number. Faults may overlap: lifting
    one leaves what another still does."""

    async def inject(self, number: int, fault: F) -> Look:
        """Break it; returns how to see that it is broken."""

    async def lift(self, number: int, fault: F) -> None:
        """Undo what no other fault wants."""


def proven(bit: bool, **detail: Any) -> Look:
    """A proof that was there from the start."""

    async def look() -> Proof:
        return Proof(bit, True, detail)

    return look


@dataclass
class FaultWatch:
    """Looks at one fault until its proof is complete, or time is up and there is one, or
    the fault is lifted."""

    look: Look
    lifted: asyncio.Event = field(default_factory=asyncio.Event)
    task: asyncio.Task[Proof] | None = None
    seen: Proof = field(default_factory=lambda: Proof(False, False))
    began: float = 0.0

    def begin(self) -> None:
        """Begin to look."""
        self.began = asyncio.get_running_loop().time()
        self.task = asyncio.create_task(self._watch())

    @property
    def lasted(self) -> float:
        """s since it began."""
        return asyncio.get_running_loop().time() - self.began

    async def until_effect(self, seconds: float) -> None:
        """Wait until there is a proof, or so many seconds of an idle machine have passed, or
        there is no node that could be affected."""
        assert self.task is not None
        patience, end = Patience(seconds), asyncio.get_running_loop().time() + _AT_MOST
        while not (self.seen.bit or self.seen.detail.get("nobody") or self.task.done()):
            if patience.over or asyncio.get_running_loop().time() > end:
                return
            await asyncio.wait({self.task}, timeout=_EVERY)

    async def end(self) -> Proof:
        """The proof as it is now."""
        assert self.task is not None
        self.lifted.set()
        return await self.task

    @property
    def over(self) -> bool:
        """Whether there is nothing more to see."""
        return self.task is not None and self.task.done()

    @property
    def ended(self) -> bool:
        """Whether the fault has ended by itself, which is all that its proof `seen` had to show."""
        return self.over and self.seen.over

    def _too_early(self) -> bool:
        return isinstance(self.look, LookAfter) and not self.look.task.done()

    async def _watch(self) -> Proof:
        deadline = asyncio.get_running_loop().time() + _PATIENCE
        while True:
            last = self.lifted.is_set()
            if last or not self._too_early():
                self.seen = await self.look()
            late = asyncio.get_running_loop().time() > deadline
            if last or self.seen.complete or (late and self.seen.bit):
                return self.seen
            # not wait_for, which takes one step of the loop more on Python 3.11 than on later ones
            with suppress(TimeoutError):
                async with asyncio.timeout(5 * _EVERY if late else _EVERY):
                    await self.lifted.wait()
