"""What can be wrong with a link, as values.

A link is what A dials to reach B: it carries A's requests (`upstream`) and B's
replies (`downstream`). A fault is what happens there, not how it is done; each
kind of links translates it. Where two faults meet on one link, the stronger wins.

Names are Toxiproxy's where it has one. Histories and schedule.yaml keep the kinds that they
always had, and those are accepted as aliases (KINDS).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, get_args

Direction = Literal["upstream", "downstream", "both"]


class FaultError(ValueError):
    """A fault with a value that makes no sense; sent on, it could crash a proxy."""


@dataclass(frozen=True)
class LinkFault:
    """Base of all faults.

    kind: how histories and schedule.yaml name it
    name: how users name it; the kind, where none is given
    strength: the higher one wins where several meet
    """

    kind: ClassVar[str]
    name: ClassVar[str] = ""
    strength: ClassVar[int]

    def validate(self) -> None:
        """Raises FaultError naming the field, its value and what is allowed."""
        direction = getattr(self, "direction", "both")
        if direction not in get_args(Direction):
            raise FaultError(
                f"{self.kind}: direction is {direction!r}, not one of "
                f"{', '.join(get_args(Direction))}"
            )

    def _whole(self, field: str, low: int, high: int) -> None:
        value = getattr(self, field)
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            raise FaultError(
                f"{self.kind}: {field} is {value!r}, not a whole number from {low} to {high}"
            )


@dataclass(frozen=True)
class RefusedLink(LinkFault):
    """Connections are reset, new ones refused immediately; none is stale at heal."""

    kind = "refused"
    strength = 90


@dataclass(frozen=True)
class Reset(LinkFault):
    """The first bytes in this direction reset the connection. Upstream: a request is
    not executed. Downstream: it was, and the reply is lost."""

    kind = "reset"
    strength = 70
    direction: Direction = "upstream"


@dataclass(frozen=True)
class BlackHole(LinkFault):
    """Connecting works, then silence; the heal closes all. One direction only makes a
    one-way cut."""

    kind = "black-hole"
    strength = 80
    direction: Direction = "both"


@dataclass(frozen=True)
class Stall(LinkFault):
    """Silence; what was sent arrives late, when the fault is taken off."""

    kind = "stall"
    strength = 65
    direction: Direction = "both"


@dataclass(frozen=True)
class LimitData(LinkFault):
    """Each connection ends, in the middle of a frame, after so many bytes."""

    kind = "cut-off"
    name = "limit_data"
    strength = 60
    after_bytes: int = 2000
    direction: Direction = "upstream"

    def validate(self) -> None:
        super().validate()
        self._whole("after_bytes", 1, 1 << 30)


@dataclass(frozen=True)
class Frames(LinkFault):
    """Whole frames (a 4-byte big-endian length and so many bytes) are lost, sent twice, or
    overtaken by the next one, each with its chance in percent. The first frame of a
    connection in each direction, the handshake, is spared."""

    kind = "frames"
    strength = 50
    drop: int = 10
    duplicate: int = 0
    reorder: int = 0
    seed: int = 0
    direction: Direction = "both"

    def validate(self) -> None:
        super().validate()
        for chance in ("drop", "duplicate", "reorder"):
            self._whole(chance, 0, 100)
        self._whole("seed", 0, (1 << 63) - 1)
        if self.drop + self.duplicate + self.reorder > 100:
            raise FaultError("frames: drop, duplicate and reorder together are over 100 percent")


@dataclass(frozen=True)
class Bandwidth(LinkFault):
    """A bandwidth in kB/s (1000 bytes)."""

    kind = "narrow"
    name = "bandwidth"
    strength = 40
    rate_kbps: int = 20
    direction: Direction = "both"

    def validate(self) -> None:
        super().validate()
        self._whole("rate_kbps", 1, 10_000_000)


@dataclass(frozen=True)
class Slicer(LinkFault):
    """Frames arrive in pieces of about `piece_bytes`, `pause_us` apart."""

    kind = "torn"
    name = "slicer"
    strength = 30
    piece_bytes: int = 16
    vary_bytes: int = 8
    pause_us: int = 200
    direction: Direction = "both"

    def validate(self) -> None:
        super().validate()
        self._whole("piece_bytes", 2, 1 << 20)
        self._whole("vary_bytes", 0, self.piece_bytes - 1)
        self._whole("pause_us", 0, 1_000_000)


@dataclass(frozen=True)
class Latency(LinkFault):
    """Every byte is late by latency +- jitter, in ms; order is kept."""

    kind = "slow"
    name = "latency"
    strength = 20
    latency_ms: int = 100
    jitter_ms: int = 0
    direction: Direction = "both"

    def validate(self) -> None:
        super().validate()
        self._whole("latency_ms", 0, 60_000)
        self._whole("jitter_ms", 0, self.latency_ms)


FAULTS: dict[str, type[LinkFault]] = {
    fault.kind: fault
    for fault in (
        RefusedLink,
        Reset,
        BlackHole,
        Stall,
        LimitData,
        Frames,
        Bandwidth,
        Slicer,
        Latency,
    )
}
#: every name and alias -> the kind
KINDS: dict[str, str] = {
    name: kind for kind, fault in FAULTS.items() for name in (kind, fault.name or kind)
}


def name_of(kind: str) -> str:
    """How users name this kind."""
    return FAULTS[kind].name or kind


def make_fault(kind: str, **fields: Any) -> LinkFault:
    """The fault of that kind or name, validated. Raises FaultError, naming what is allowed."""
    if kind not in KINDS:
        names = ", ".join(map(name_of, FAULTS))
        raise FaultError(f"no link fault is called {kind!r}; there are: {names}")
    kind = KINDS[kind]
    allowed = [field.name for field in dataclasses.fields(FAULTS[kind])]
    unknown = sorted(set(fields) - set(allowed))
    if unknown:
        raise FaultError(
            f"{kind} has no {', '.join(unknown)}; it has: {', '.join(allowed) or 'nothing to set'}"
        )
    fault = FAULTS[kind](**fields)
    fault.validate()
    return fault


def strongest(faults: Iterable[LinkFault]) -> LinkFault:
    """What a link suffers when all of `faults` (at least one) are laid on it: the
    strongest; in both directions if it is laid on each."""
    ranked = sorted(faults, key=lambda fault: -fault.strength)
    top = ranked[0]
    alike = {getattr(fault, "direction", "both") for fault in ranked if fault.kind == top.kind}
    if len(alike) == 1:
        return top
    return make_fault(top.kind, **{**dataclasses.asdict(top), "direction": "both"})


def least_delay(bad: LinkFault, size: int) -> float:
    """By how many s the fault must delay so many bytes."""
    if isinstance(bad, Latency):
        return (bad.latency_ms - bad.jitter_ms) / 1000
    return size / (1000 * bad.rate_kbps) if isinstance(bad, Bandwidth) else 0.0
