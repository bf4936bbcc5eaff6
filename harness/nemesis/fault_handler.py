"""What the handler of a family of faults does, and what counts as proof that one took effect."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar

from dynamesis.checkers.history.op import JsonObject
from dynamesis.harness.nemesis.faults import FaultValue

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


class FaultHandler(Protocol[F]):
    """Injects and lifts the faults of a family, each with a number. Faults may overlap: lifting
    one leaves what another still does."""

    async def inject(self, number: int, fault: F) -> Look:
        """Break it; returns how to see that it is broken."""

    async def lift(self, number: int, fault: F) -> None:
        """Undo what no other fault wants."""


def proven(bit: bool, **detail: Any) -> Look:
    """A proof that was there at once."""

    async def look() -> Proof:
        return Proof(bit, True, detail)

    return look
