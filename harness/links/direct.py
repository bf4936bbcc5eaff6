"""No links at all: each process dials the others straight. For benchmarks."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from dynamesis.harness.links.base import LinkRoute, route_name
from dynamesis.harness.links.faults import FaultError, LinkFault


class DirectLinks:
    """Implements harness.links.base.Links without any process, and without faults."""

    name = "direct"
    kinds: frozenset[str] = frozenset()

    def __init__(self) -> None:
        self._routes: dict[str, LinkRoute] = {}

    async def start(self, routes: Iterable[LinkRoute]) -> None:
        self._routes = {route.name: route for route in routes}

    async def add(self, routes: Iterable[LinkRoute]) -> None:
        self._routes |= {route.name: route for route in routes}

    def address(self, source: str, dest: str) -> str:
        return self._routes[route_name(source, dest)].upstream

    async def apply(self, faults: Mapping[str, LinkFault]) -> None:
        if faults:
            raise FaultError(
                "direct links have nothing in between that could fail; "
                "use --links toxiproxy or embedded"
            )

    async def heal(self, names: Iterable[str] | None = None) -> None:
        """There is never anything to heal."""

    async def revive(self) -> None:
        """There is no process."""

    async def count(self) -> dict[str, dict[str, int]]:
        """Nothing: there is no process to replace."""
        return {}

    async def stop(self) -> None:
        """There is never anything to stop."""
