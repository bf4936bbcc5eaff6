"""What a family of faults must be able to do, and what counts as proof that one bit."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, Protocol


@dataclass(frozen=True)
class Proof:
    """What is known of a fault's effect. `complete`: looking again would show no more.
    `over`: it has ended by itself, and nothing is left to heal."""

    bit: bool
    complete: bool
    detail: dict[str, Any] = field(default_factory=dict)
    over: bool = False


#: Looks at the effect of one fault.
Look = Callable[[], Awaitable[Proof]]


class FaultHandler(Protocol):
    """Injects and lifts the faults of a family. Faults may overlap: lifting one leaves
    what another still does."""

    async def inject(self, fault: int, value: dict[str, Any]) -> Look:
        """Break it; returns how to see that it is broken."""

    async def lift(self, fault: int, value: dict[str, Any]) -> None:
        """Undo what no other fault wants."""


def proven(bit: bool, **detail: Any) -> Look:
    """A proof that was there at once."""

    async def look() -> Proof:
        return Proof(bit, True, detail)

    return look
