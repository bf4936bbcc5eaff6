"""How the nodes of a cluster that is not ours come to dial the proxies of their pairs.

A cut of an ordered pair needs a proxy that only one node dials. Each way of dialling gives a
launcher of processes what it needs, as plain values:

    way = make(name, DiallingContext(...))
    await way.start()                     # the links, and what else there is
    host = way.host("n1")                 # where the process of n1 must listen
    way.dials("n1", "n2"), way.advertised("n2")     # what to write into configurations
    launch = way.launch("n1")             # launch.argv + argv, environment | launch.environment
    way.launched("n1", pid)               # its dials are watched from now on
    way.links                             # faults go here, by the routes "n1-n2", "client-n1"
    (await way.report()).plain()          # for test.json: which way, what it could not do

`host` is known before `start`; everything else after it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from dynamesis.harness.links.base import CLIENT, LinkRoute, Links
from dynamesis.harness.processes.process_guard import ProcessGuard


@dataclass(frozen=True)
class DiallingContext:
    """What a way of dialling may use.

    ports: node -> name of a port -> its number, below 32768; no two the same
    links: proxies, not started; they belong to the way of dialling from then on
    take_port: one more port of this machine
    folder: for its files
    peer, client: the names of the ports that peers and clients dial; may be the same
    left_out: other ways, and why each cannot be used here
    """

    ports: Mapping[str, Mapping[str, int]]
    links: Links
    take_port: Callable[[], int]
    folder: Path
    guard: ProcessGuard
    peer: str = "peer"
    client: str = "client"
    left_out: Mapping[str, str] = field(default_factory=dict)

    @property
    def nodes(self) -> tuple[str, ...]:
        return tuple(self.ports)

    def listen(self, node: str, port: str, host: str = "127.0.0.1") -> str:
        """host:port at which a node listens."""
        return f"{host}:{self.ports[node][port]}"

    def routes(self, source: str, port: str) -> list[LinkRoute]:
        """A route of `source` to every other node."""
        return [
            LinkRoute(source, dest, f"127.0.0.1:{self.take_port()}", self.listen(dest, port))
            for dest in self.nodes
            if dest != source
        ]

    def pairs(self) -> list[LinkRoute]:
        """The routes of every ordered pair of nodes."""
        return [route for node in self.nodes for route in self.routes(node, self.peer)]


@dataclass(frozen=True)
class Launch:
    """What a launcher adds to start one node: before its command line, and to its environment
    (LD_PRELOAD is complete: what was set before is kept in it)."""

    argv: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class DiallingReport:
    """Which way was used, and what was seen of it.

    name: of the way that was chosen
    pairs: whether an ordered pair was really cut alone: the way can, and no connection was seen
        to go past its proxies
    faults: the kinds of link faults between nodes
    left_out: other way -> why not
    through: pair "n1-n2" -> connections seen that went through its own proxy
    past: pair -> connections seen that went past it, straight to the other node
    notes: what else there is to know, in sentences
    """

    name: str
    pairs: bool
    faults: tuple[str, ...]
    left_out: Mapping[str, str]
    through: Mapping[str, int]
    past: Mapping[str, int]
    notes: tuple[str, ...]

    def plain(self) -> dict[str, Any]:
        """As JSON has it; empty entries are left out."""
        values = {
            "name": self.name,
            "pairs": self.pairs,
            "faults": list(self.faults),
            "left_out": dict(self.left_out),
            "through": dict(self.through),
            "past": dict(self.past),
            "notes": list(self.notes),
        }
        return {key: value for key, value in values.items() if value or key == "pairs"}


class Dialling(Protocol):
    """One way of dialling, for one cluster."""

    name: str
    #: whether an ordered pair can be cut alone
    pairs: bool

    @property
    def links(self) -> Links:
        """Where faults are put."""

    def host(self, node: str) -> str:
        """The address at which the process of a node listens, on the ports of the context."""

    async def start(self) -> None:
        """Bring up the links. Raises EnvironmentFailed."""

    def dials(self, source: str, dest: str) -> str:
        """host:port by which `source` is to reach `dest`, where each peer has an address of its
        own in its configuration."""

    def advertised(self, dest: str) -> str:
        """host:port that all peers of `dest` are given."""

    def reach(self, node: str, port: str) -> str:
        """host:port by which the harness reaches a port of a node, past all faults."""

    def launch(self, node: str) -> Launch:
        """What is added to start this node."""

    def launched(self, node: str, pid: int) -> None:
        """This process is the node from now on."""

    async def report(self) -> DiallingReport:
        """What has been seen so far."""

    async def stop(self) -> None:
        """Stop the links and every process of its own; never raises."""


def client_routes(context: DiallingContext, upstreams: Mapping[str, str]) -> list[LinkRoute]:
    """The routes of the clients alone."""
    return [
        LinkRoute(CLIENT, node, f"127.0.0.1:{context.take_port()}", upstreams[node])
        for node in context.nodes
    ]
