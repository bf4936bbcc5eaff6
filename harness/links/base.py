"""What links are: one proxied path for every ordered pair that talks, and the faults
that a path can suffer. Implementations: `toxiproxy`, `embedded`, `direct`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Protocol, TypedDict

from dynamesis.harness.links.faults import LinkFault

#: The source of every route that a client takes.
CLIENT = "client"


class Incident(TypedDict):
    """A proxy server that had to be replaced, as the history has it."""

    server: str
    pid: int
    reason: str


@dataclass(frozen=True)
class LinkRoute:
    """The path by which `source` (a node id, or "client") reaches node `dest`.
    `listen` and `upstream` are host:port strings, `listen` below port 32768."""

    source: str
    dest: str
    listen: str
    upstream: str

    @property
    def name(self) -> str:
        return route_name(self.source, self.dest)


def route_name(source: str, dest: str) -> str:
    """The name of the route from `source` to `dest`."""
    return f"{source}-{dest}"


def plan_routes(upstreams: Mapping[str, str], ports: Iterable[int]) -> list[LinkRoute]:
    """A route for every ordered pair of nodes and from the clients to every node.

    `upstreams` has where each node listens; `ports` gives len(nodes) ** 2 ports.
    """
    pairs = [
        (source, dest) for source in (CLIENT, *upstreams) for dest in upstreams if source != dest
    ]
    return [
        LinkRoute(source, dest, f"127.0.0.1:{port}", upstreams[dest])
        for (source, dest), port in zip(pairs, ports, strict=True)
    ]


def routes_to_newcomer(
    node: str, upstreams: Mapping[str, str], ports: Iterable[int]
) -> list[LinkRoute]:
    """The routes that come with a new node: from the clients and every other node to it,
    and from it to every other. `upstreams` holds the new node too; `ports` gives
    2 * len(upstreams) - 1 ports."""
    others = [other for other in upstreams if other != node]
    pairs = [(source, node) for source in (CLIENT, *others)] + [(node, dest) for dest in others]
    return [
        LinkRoute(source, dest, f"127.0.0.1:{port}", upstreams[dest])
        for (source, dest), port in zip(pairs, ports, strict=True)
    ]


class Links(Protocol):
    """Every fault is set by replacing what a route had; `heal` sets none."""

    #: by which they are chosen
    name: str
    #: the kinds of fault (harness.links.faults.FAULTS) that these links can do
    kinds: frozenset[str]

    async def start(self, routes: Iterable[LinkRoute]) -> None:
        """Bring up every route without a fault. Raises EnvironmentFailed."""

    async def add(self, routes: Iterable[LinkRoute]) -> None:
        """Bring up more routes beside those there are, none of which is touched. Raises
        EnvironmentFailed."""

    def address(self, source: str, dest: str) -> str:
        """The host:port that `source` dials to reach `dest`."""

    async def apply(self, faults: Mapping[str, LinkFault]) -> None:
        """Give each named route the fault beside it. Raises FaultError for one
        that cannot be done, before any route is touched."""

    async def heal(self, names: Iterable[str] | None = None) -> None:
        """Take every fault off the named routes (None: off all), and check that it is off."""

    async def revive(self) -> None:
        """Replace every process that has ended. Raises EnvironmentFailed."""

    async def count(self) -> dict[str, dict[str, int]]:
        """What each route has carried so far: connections, bytes_in, bytes_out, and frames
        dropped, duplicated, reordered; `bitten`: how often its faults did what they are for.
        Empty where links do not count."""

    async def stop(self) -> None:
        """Stop every process this started; never raises."""
