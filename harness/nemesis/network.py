"""Faults of the network: cuts and bad links."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any

from harness.links.base import CLIENT, Links, route_name
from harness.links.faults import Fault, Narrow, Slow, make_fault, strongest
from harness.nemesis.cuts import route_faults, unheard
from harness.nemesis.effects import Look, Proof
from harness.nemesis.symptoms import Pair, complaints, greeting, worse
from harness.system import System

#: greetings of which the fastest is the usual one
_SAMPLES = 4


class Wires:
    """What each fault does to which route, and what a route suffers from all of them;
    shared by all families of link faults."""

    def __init__(self, links: Links) -> None:
        self.links = links
        self._faults: dict[str, dict[int, Fault]] = defaultdict(dict)

    async def lay(self, fault: int, routes: Mapping[str, Fault]) -> None:
        """Add a fault. Only routes on which something changes are touched: a touch costs
        every connection there."""
        before = {name: self._effective(name) for name in routes}
        for name, suffered in routes.items():
            self._faults[name][fault] = suffered
        after = {name: self._effective(name) for name in routes}
        await self.links.apply({n: f for n, f in after.items() if f and f != before[n]})

    async def lift(self, fault: int) -> None:
        """Take a fault away; what others do to the same routes stays."""
        touched = [name for name, faults in self._faults.items() if fault in faults]
        before = {name: self._effective(name) for name in touched}
        for name in touched:
            del self._faults[name][fault]
        after = {name: self._effective(name) for name in touched}
        await self.links.heal([name for name in touched if after[name] is None])
        await self.links.apply({n: f for n, f in after.items() if f and f != before[n]})

    async def heal_all(self) -> None:
        """Take everything away, whoever put it there."""
        self._faults.clear()
        await self.links.heal()

    def burden(self, name: str) -> int:
        """How many faults are on this route."""
        return len(self._faults[name])

    def _effective(self, name: str) -> Fault | None:
        faults = self._faults[name].values()
        return strongest(faults) if faults else None


class Cut:
    """Some nodes do not hear others. It bit when the nodes on either side count failures
    or time-outs that they had not before, or see the link down."""

    def __init__(self, system: System, wires: Wires) -> None:
        self._system = system
        self._wires = wires

    async def inject(self, fault: int, value: dict[str, Any]) -> Look:
        silent = unheard(value["grudge"])
        look = await _felt(self._system, silent | {(b, a) for a, b in silent})
        await self._wires.lay(fault, route_faults(value["kind"], value["grudge"]))
        return look

    async def lift(self, fault: int, value: dict[str, Any]) -> None:
        await self._wires.lift(fault)


class BadLink:
    """Links that carry, but badly. What resets or stalls is felt by the nodes; what is late
    or in pieces shows in a greeting through the link; what happens to frames is counted by
    the links."""

    def __init__(self, system: System, wires: Wires) -> None:
        self._system = system
        self._wires = wires

    async def inject(self, fault: int, value: dict[str, Any]) -> Look:
        bad = make_fault(value["kind"], **value.get("with", {}))
        watch = _PROOFS[bad.kind]
        look = await watch(self._system, self._wires, bad, value["links"])
        await self._wires.lay(fault, dict.fromkeys(value["links"], bad))
        return look

    async def lift(self, fault: int, value: dict[str, Any]) -> None:
        await self._wires.lift(fault)


async def _felt(system: System, pairs: Iterable[Pair]) -> Look:
    """Proof by the complaints of the nodes, compared with those of now. Where nobody is there
    to complain, as with a node that was cut off when it was dead, it says so."""
    pairs = sorted(pairs)
    before = await complaints(system, pairs)

    async def look() -> Proof:
        after = await complaints(system, pairs)
        felt = {f"{a}-{b}": now for (a, b), now in after.items() if worse(before.get((a, b)), now)}
        numb = [f"{a}-{b}" for a, b in after if f"{a}-{b}" not in felt]
        detail = {"felt": felt, "not_felt": numb, **({} if after else {"nobody": True})}
        return Proof(bool(felt), bool(felt) and not numb, detail)

    return look


Watch = Callable[[System, Wires, Fault, list[str]], Awaitable[Look]]


async def _complained(system: System, wires: Wires, bad: Fault, names: list[str]) -> Look:
    return await _felt(system, _pairs(system, names))


async def _late(system: System, wires: Wires, bad: Fault, names: list[str]) -> Look:
    """Proof by a greeting that takes as long as the fault is meant to delay it, where another
    took less, before it or once it was lifted; or longer than before by half of that. Where
    nobody greeted before, and nobody does now, nobody is there to be late."""
    _, address = _sample(system, wires, names)
    usual = await greeting(address, _SAMPLES)
    before = usual.seconds if usual else 0.0
    took: list[float] = []

    async def look() -> Proof:
        name, address = _sample(system, wires, names)
        now = await greeting(address)
        bit = False
        if now is not None:
            took.append(now.seconds)
            delay, longest = _delay(bad, now.size), max(took)
            bit = longest >= delay and (min(before, *took) < delay or longest > before + delay / 2)
        nobody = {} if usual or took else {"nobody": True}
        detail = {"link": name, "greeting_s": {"before": before, "then": took}, **nobody}
        return Proof(bit, bit, detail)

    return look


def _delay(bad: Fault, size: int) -> float:
    """By how many s the fault must delay so many bytes."""
    if isinstance(bad, Slow):
        return (bad.latency_ms - bad.jitter_ms) / 1000
    return size / (1000 * bad.rate_kbps) if isinstance(bad, Narrow) else 0.0


async def _in_pieces(system: System, wires: Wires, bad: Fault, names: list[str]) -> Look:
    async def look() -> Proof:
        name, address = _sample(system, wires, names)
        now = await greeting(address)
        bit = now is not None and now.pieces > 1
        return Proof(bit, bit, {"link": name, "pieces": now.pieces if now else 0})

    return look


async def _counted(system: System, wires: Wires, bad: Fault, names: list[str]) -> Look:
    """Proof by the links' own count of frames that they harmed."""
    before = await wires.links.count()

    async def look() -> Proof:
        after = await wires.links.count()
        harmed = {
            what: sum(after[name][what] - before[name][what] for name in names)
            for what in ("dropped", "duplicated", "reordered")
        }
        bit = any(count > 0 for count in harmed.values())
        return Proof(bit, bit, harmed)

    return look


_PROOFS: dict[str, Watch] = {
    "refused": _complained,
    "black-hole": _complained,
    "reset": _complained,
    "cut-off": _complained,
    "stall": _complained,
    "slow": _late,
    "narrow": _late,
    "torn": _in_pieces,
    "frames": _counted,
}


def _pairs(system: System, names: list[str]) -> set[Pair]:
    """The pairs of nodes whose links these are; clients do not complain to anybody."""
    return {(a, b) for a in system.nodes for b in system.nodes if route_name(a, b) in names}


def _sample(system: System, wires: Wires, names: list[str]) -> tuple[str, str]:
    """One of the links, and its address: towards a node that runs now if there is such a one,
    and one with as few other faults as can be, which would hide this one."""
    ends = [
        (a, b)
        for a in (CLIENT, *system.nodes)
        for b in system.nodes
        if a != b and route_name(a, b) in names
    ]
    a, b = min(
        ends,
        key=lambda end: (system.state(end[1]) != "running", wires.burden(route_name(*end))),
    )
    return route_name(a, b), wires.links.address(a, b)
