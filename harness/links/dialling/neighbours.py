"""Links between hosts on one switch: packets of an ordered pair are dropped, by a wrong entry in
the sender's neighbour table; clients come through proxies as ever."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Protocol

from dynamesis.harness.links.base import CLIENT, LinkRoute, Links, route_name
from dynamesis.harness.links.faults import BlackHole, FaultError, LinkFault

_Pair = tuple[str, str]


class Switch(Protocol):
    """What harness.links.dialling.namespaces.Namespaces offers to these links."""

    nodes: tuple[str, ...]

    def address(self, node: str) -> str:
        """A node's own IPv4 address."""

    def wrong(self, source: str, dest: str) -> str:
        """An Ethernet address at which packets of this pair are lost and counted."""

    async def change(self, source: str, lines: list[str]) -> None:
        """Commands of ip(8) for a node's network. Raises EnvironmentFailed."""

    def dropped(self) -> dict[_Pair, int]:
        """Packets lost there so far."""


class NeighbourLinks:
    """Implements harness.links.base.Links. A fault of the route a-b `upstream` drops what a sends
    to b, so it must come with `downstream` of b-a, and the other way round: packets know no
    route. That is how every cut is written (harness.nemesis.cuts.route_faults)."""

    kinds = frozenset({"black-hole"})

    def __init__(self, clients: Links, switch: Switch, peers: Mapping[str, str]) -> None:
        self._clients = clients
        self._switch = switch
        self._peers = peers
        self._pairs = {
            route_name(a, b): (a, b) for a in switch.nodes for b in switch.nodes if a != b
        }
        self._faults: dict[str, BlackHole] = {}
        self._dropping: set[_Pair] = set()
        self.name = clients.name

    async def start(self, routes: Iterable[LinkRoute]) -> None:
        await self._clients.start(routes)

    async def add(self, routes: Iterable[LinkRoute]) -> None:
        await self._clients.add(routes)

    def address(self, source: str, dest: str) -> str:
        return self._clients.address(source, dest) if source == CLIENT else self._peers[dest]

    async def apply(self, faults: Mapping[str, LinkFault]) -> None:
        wanted = dict(self._faults)
        for name, fault in faults.items():
            fault.validate()
            if name in self._pairs:
                if not isinstance(fault, BlackHole):
                    raise FaultError(
                        f"{name}: between network namespaces there are black holes only, and no "
                        f"{fault.kind}"
                    )
                wanted[name] = fault
        dropping = self._pairs_dropped(wanted)
        await self._clients.apply({n: f for n, f in faults.items() if n not in self._pairs})
        self._faults = wanted
        await self._drop(dropping)

    async def heal(self, names: Iterable[str] | None = None) -> None:
        if names is None:
            self._faults.clear()
            await self._clients.heal()
            await self._drop(set())
            return
        healed = set(names)
        for name in healed:
            self._faults.pop(name, None)
        await self._clients.heal([name for name in healed if name not in self._pairs])
        await self._drop(self._pairs_dropped(self._faults, strict=False))

    async def revive(self) -> None:
        await self._clients.revive()

    async def count(self) -> dict[str, dict[str, int]]:
        """`bitten`: packets that were dropped, for both routes whose packets they were."""
        counts = await self._clients.count()
        dropped = self._switch.dropped()
        for name, (a, b) in self._pairs.items():
            bitten = dropped[a, b] + dropped[b, a]
            counts[name] = dict.fromkeys(("dropped", "duplicated", "reordered"), 0)
            counts[name] |= {"bitten": bitten}
        return counts

    async def stop(self) -> None:
        await self._clients.stop()

    def _pairs_dropped(self, faults: Mapping[str, BlackHole], strict: bool = True) -> set[_Pair]:
        """The ordered pairs whose packets these faults drop. Raises FaultError, if `strict`, for
        a route that is cut in a direction without the route whose packets go along."""
        halves: dict[_Pair, set[str]] = defaultdict(set)
        for name, fault in faults.items():
            a, b = self._pairs[name]
            if fault.direction in ("upstream", "both"):
                halves[a, b].add(name)
            if fault.direction in ("downstream", "both"):
                halves[b, a].add(name)
        for (a, b), names in halves.items():
            if strict and len(names) < 2:
                absent = ({route_name(a, b), route_name(b, a)} - names).pop()
                raise FaultError(
                    f"network namespaces drop all packets from {a} to {b}: "
                    f"{names.pop()} cannot be cut that way without {absent}"
                )
        return {pair for pair, names in halves.items() if len(names) == 2}

    async def _drop(self, pairs: set[_Pair]) -> None:
        """Drop the packets of these pairs, and of no others."""
        changes: dict[str, list[str]] = defaultdict(list)
        for a, b in pairs - self._dropping:
            place = f"{self._switch.address(b)} lladdr {self._switch.wrong(a, b)} dev eth0"
            changes[a].append(f"neigh replace {place} nud permanent")
        for a, b in self._dropping - pairs:
            changes[a].append(f"neigh del {self._switch.address(b)} dev eth0")
        self._dropping = set(pairs)
        for source, lines in changes.items():
            await self._switch.change(source, lines)
