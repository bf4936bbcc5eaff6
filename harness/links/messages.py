"""Links that carry whole messages inside the harness, for nodes that have no sockets: programs
that read and write their messages through pipes.

A message from A to B is one thing: it arrives, or it does not, once or twice, in order or not.
So a fault does exactly what it names, for one ordered pair and one direction, and the count of what
it did is the proof that it took effect. A route has the meaning that it has elsewhere: it is
what A dials to reach B. What A sends to B of its own accord goes upstream on A-B; a reply that A
sends to a request of B goes downstream on B-A. Messages to and from others than nodes and clients
have no route, and always arrive.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, field
from random import Random

from dynamesis.harness.links.base import LinkRoute, route_name
from dynamesis.harness.links.faults import (
    BlackHole,
    FaultError,
    Frames,
    Latency,
    LinkFault,
    RefusedLink,
    Reset,
    Stall,
)

#: s after which a message that was to be overtaken, and was not, arrives all the same
_OVERTAKEN = 0.05
#: messages that a stalled direction keeps; what comes beyond them is dropped, and counted so
_HELD = 100_000
_UP, _DOWN = "upstream", "downstream"

#: Hands a message to its destination.
Deliver = Callable[[], None]


@dataclass
class MessageCounts:
    """What a route has carried: messages and bytes that were sent and that were handed on, and
    what its faults did to how many."""

    connections: int = 0
    messages: int = 0
    bytes_in: int = 0
    bytes_out: int = 0
    dropped: int = 0
    duplicated: int = 0
    reordered: int = 0
    delayed: int = 0
    bitten: int = 0


@dataclass
class _Way:
    """One direction of a route. `due`: the loop's time before which nothing may arrive, so that a
    late message is not overtaken; `held`: what a stall keeps; `behind`: what is to be overtaken."""

    due: float = 0.0
    held: list[Deliver] = field(default_factory=list)
    behind: list[Deliver] = field(default_factory=list)


@dataclass
class _Carried:
    """A route, with what it suffers."""

    route: LinkRoute
    fault: LinkFault | None = None
    random: Random = field(default_factory=Random)
    counts: MessageCounts = field(default_factory=MessageCounts)
    ways: dict[str, _Way] = field(default_factory=lambda: {_UP: _Way(), _DOWN: _Way()})

    def suffer(self, fault: LinkFault | None) -> None:
        """Replace the fault. What a stall kept arrives now, in its order."""
        self.fault = fault
        self.random = Random(fault.seed if isinstance(fault, Frames) else 0)
        if not isinstance(fault, Stall):
            for way in self.ways.values():
                kept, way.held = way.held, []
                for deliver in kept:
                    deliver()


class MessageLinks:
    """Implements harness.links.base.Links inside the harness; `carry` takes each message."""

    name = "messages"
    kinds = frozenset(
        fault.kind for fault in (RefusedLink, Reset, BlackHole, Stall, Frames, Latency)
    )

    def __init__(self) -> None:
        self._routes: dict[str, _Carried] = {}

    # ---- Links

    async def start(self, routes: Iterable[LinkRoute]) -> None:
        self._routes = {route.name: _Carried(route) for route in routes}

    async def add(self, routes: Iterable[LinkRoute]) -> None:
        self._routes |= {route.name: _Carried(route) for route in routes}

    def address(self, source: str, dest: str) -> str:
        return self._routes[route_name(source, dest)].route.upstream

    async def apply(self, faults: Mapping[str, LinkFault]) -> None:
        for name, fault in faults.items():
            if name not in self._routes:
                raise FaultError(f"there is no route {name!r}")
            fault.validate()
            if fault.kind not in self.kinds:
                known = ", ".join(sorted(self.kinds))
                raise FaultError(f"whole messages cannot suffer {fault.kind}; they can: {known}")
        for name, fault in faults.items():
            self._routes[name].suffer(fault)

    async def heal(self, names: Iterable[str] | None = None) -> None:
        for name in list(self._routes if names is None else names):
            self._routes[name].suffer(None)

    async def revive(self) -> None:
        """There is no process."""

    async def count(self) -> dict[str, dict[str, int]]:
        return {name: asdict(carried.counts) for name, carried in self._routes.items()}

    async def stop(self) -> None:
        """Nothing arrives any more."""
        self._routes.clear()

    # ---- what is carried

    def carry(self, source: str, dest: str, reply: bool, size: int, deliver: Deliver) -> None:
        """Carry a message of `size` bytes; `deliver` is called for each copy that arrives,
        immediately if nothing is in the way."""
        name = route_name(dest, source) if reply else route_name(source, dest)
        carried = self._routes.get(name)
        if carried is None:
            deliver()
            return
        direction = _DOWN if reply else _UP
        counts = carried.counts
        counts.messages += 1
        counts.bytes_in += size

        def arrive() -> None:
            counts.bytes_out += size
            deliver()

        way, fault = carried.ways[direction], carried.fault
        if getattr(fault, "direction", "both") not in ("both", direction):
            fault = None
        match fault:
            case RefusedLink() | BlackHole() | Reset():
                counts.dropped += 1
                counts.bitten += 1
            case Stall():
                _stall(counts, way, arrive)
            case Latency(latency_ms=latency, jitter_ms=jitter):
                late = carried.random.uniform(latency - jitter, latency + jitter) / 1000
                counts.delayed += 1
                counts.bitten += 1
                _late(way, late, arrive)
            case Frames():
                _harm(carried, fault, way, arrive)
            case _:
                _late(way, 0.0, arrive)


def _stall(counts: MessageCounts, way: _Way, arrive: Deliver) -> None:
    counts.bitten += 1
    if len(way.held) < _HELD:
        way.held.append(arrive)
    else:
        counts.dropped += 1


def _late(way: _Way, seconds: float, arrive: Deliver) -> None:
    """Have it arrive so much later, and not before what was sent before it."""
    loop = asyncio.get_running_loop()
    now = loop.time()
    due = now + seconds
    if due <= now and way.due <= now:
        arrive()
        return
    way.due = max(due, way.due + 1e-6)
    loop.call_at(way.due, arrive)


def _harm(carried: _Carried, fault: Frames, way: _Way, arrive: Deliver) -> None:
    """Lose it, send it twice, or let the next one overtake it, by chance."""
    counts, chance = carried.counts, carried.random.uniform(0, 100)
    if chance < fault.drop:
        counts.dropped += 1
        counts.bitten += 1
        return
    if chance < fault.drop + fault.duplicate:
        counts.duplicated += 1
        counts.bitten += 1
        arrive()
    elif chance < fault.drop + fault.duplicate + fault.reorder:
        counts.reordered += 1
        counts.bitten += 1
        way.behind.append(arrive)
        asyncio.get_running_loop().call_later(_OVERTAKEN, _let_go, way)
        return
    arrive()
    _let_go(way)


def _let_go(way: _Way) -> None:
    behind, way.behind = way.behind, []
    for arrive in reversed(behind):
        arrive()
