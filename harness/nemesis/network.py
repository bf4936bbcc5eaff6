"""Faults of the network: cuts. The proof is what the nodes themselves complain of, asked
for round the proxies."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any

from harness.links.base import Links
from harness.links.faults import Fault, strongest
from harness.nemesis.cuts import route_faults, unheard
from harness.nemesis.effects import Look, Proof
from harness.system import System


class Wires:
    """What each fault does to which route, and what a route suffers from all of them;
    shared by all families of link faults."""

    def __init__(self, links: Links) -> None:
        self._links = links
        self._faults: dict[str, dict[int, Fault]] = defaultdict(dict)

    async def lay(self, fault: int, routes: Mapping[str, Fault]) -> None:
        """Add a fault. Only routes on which something changes are touched: a touch costs
        every connection there."""
        before = {name: self._effective(name) for name in routes}
        for name, suffered in routes.items():
            self._faults[name][fault] = suffered
        after = {name: self._effective(name) for name in routes}
        await self._links.apply({n: f for n, f in after.items() if f and f != before[n]})

    async def lift(self, fault: int) -> None:
        """Take a fault away; what others do to the same routes stays."""
        touched = [name for name, faults in self._faults.items() if fault in faults]
        before = {name: self._effective(name) for name in touched}
        for name in touched:
            del self._faults[name][fault]
        after = {name: self._effective(name) for name in touched}
        await self._links.heal([name for name in touched if after[name] is None])
        await self._links.apply({n: f for n, f in after.items() if f and f != before[n]})

    async def heal_all(self) -> None:
        """Take everything away, whoever put it there."""
        self._faults.clear()
        await self._links.heal()

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
        pairs = _both_ways(unheard(value["grudge"]))
        before = await self._troubles(pairs)
        await self._wires.lay(fault, route_faults(value["kind"], value["grudge"]))

        async def look() -> Proof:
            after = await self._troubles(pairs)
            felt = {
                f"{a}-{b}": after[a, b]
                for a, b in pairs
                if (a, b) in after and _worse(before.get((a, b)), after[a, b])
            }
            numb = [f"{a}-{b}" for a, b in after if f"{a}-{b}" not in felt]
            return Proof(bool(felt), bool(felt) and not numb, {"felt": felt, "not_felt": numb})

        return look

    async def lift(self, fault: int, value: dict[str, Any]) -> None:
        await self._wires.lift(fault)

    async def _troubles(self, pairs: Iterable[tuple[str, str]]) -> dict[tuple[str, str], Any]:
        """What each running node counts against each peer it is cut from."""
        pairs = list(pairs)
        nodes = [n for n in dict.fromkeys(a for a, _ in pairs) if self._runs(n)]
        answers = await asyncio.gather(*(self._system.status(node) for node in nodes))
        peers = {
            node: answer["peers"] for node, answer in zip(nodes, answers, strict=True) if answer
        }
        return {(a, b): peers[a][b] for a, b in pairs if a in peers and b in peers[a]}

    def _runs(self, node: str) -> bool:
        return self._system.state(node) == "running"


def _both_ways(silent: set[tuple[str, str]]) -> list[tuple[str, str]]:
    """Who may notice: silenced towards b, a hears no answer either."""
    return sorted(silent | {(b, a) for a, b in silent})


def _worse(before: Mapping[str, Any] | None, after: Mapping[str, Any]) -> bool:
    """Whether there is more trouble; a node that was started since counts from zero."""
    counts = ("failures", "timeouts")
    if before is None or any(after[count] < before[count] for count in counts):
        before = {"up": False, "failures": 0, "timeouts": 0}
    grown = any(after[count] > before[count] for count in counts)
    return grown or (before["up"] and not after["up"])
