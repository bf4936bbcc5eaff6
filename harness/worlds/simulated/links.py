"""The routes of a simulated network as harness.links.base.Links: every fault there is."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from dynamesis.harness.links.base import LinkRoute, route_name
from dynamesis.harness.links.faults import FAULTS, FaultError, LinkFault
from dynamesis.harness.nemesis.symptoms import ANY_STATE, Connection, Greeting
from dynamesis.harness.worlds.simulated.client import greet
from dynamesis.harness.worlds.simulated.network import Network


class SimulatedLinks:
    """Faults take effect immediately: there is no process in between."""

    name = "simulated"
    kinds = frozenset(FAULTS)

    def __init__(self, network: Network) -> None:
        self._network = network
        self._addresses: dict[str, str] = {}

    async def start(self, routes: Iterable[LinkRoute]) -> None:
        await self.add(routes)

    async def add(self, routes: Iterable[LinkRoute]) -> None:
        for route in routes:
            self._network.add(route)
            self._addresses[route.name] = route.listen

    def address(self, source: str, dest: str) -> str:
        return self._addresses[route_name(source, dest)]

    async def apply(self, faults: Mapping[str, LinkFault]) -> None:
        for name, fault in faults.items():
            if name not in self._network.routes:
                raise FaultError(f"there is no route {name!r}")
            fault.validate()
        for name in sorted(faults):
            self._network.routes[name].set(faults[name])

    async def heal(self, names: Iterable[str] | None = None) -> None:
        routes = self._network.routes
        for name in sorted(routes if names is None else names):
            if name in routes and routes[name].fault is not None:
                routes[name].set(None)

    async def revive(self) -> None:
        """There is no process."""

    async def count(self) -> dict[str, dict[str, int]]:
        routes = self._network.routes
        return {name: dict(vars(route.counts)) for name, route in routes.items()}

    async def stop(self) -> None:
        """There is nothing to stop."""


class SimulatedProbes:
    """harness.nemesis.symptoms.Probes of a simulated network."""

    def __init__(self, network: Network) -> None:
        self._network = network

    async def greeting(self, address: str, times: int = 1) -> Greeting | None:
        found = [each for _ in range(times) if (each := await greet(self._network, address))]
        return min(found, key=lambda each: each.seconds, default=None)

    def connections(self, states: frozenset[str] = ANY_STATE) -> set[Connection]:
        return set()
