"""A small world for links: two echo nodes that say HELLO first, as ours do."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dynamesis.harness.links.base import Links, plan_routes, routes_to_newcomer
from dynamesis.harness.links.embedded import EmbeddedLinks
from dynamesis.harness.links.provision import toxiproxy_server
from dynamesis.harness.links.toxiproxy import ToxiproxyLinks
from dynamesis.harness.processes.ports import Ports, reserve
from dynamesis.harness.processes.process_guard import ProcessGuard

HELLO = b"HELLO"
NODES = ("n1", "n2", "n3")


class Echo:
    """A node: sends HELLO, then gives every byte back, and remembers what came. With a
    `farewell`, it answers the first bytes with that instead, and closes."""

    def __init__(self) -> None:
        self.received = bytearray()
        self.connections = 0
        self.ends = 0
        self.farewell = b""
        self._open: set[asyncio.StreamWriter] = set()
        self._server: asyncio.Server | None = None

    async def listen(self, port: int) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", port)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self._open.add(writer)
        try:
            writer.write(HELLO)
            while data := await reader.read(65536):
                self.received += data
                if self.farewell:
                    writer.write(self.farewell)
                    await writer.drain()
                    break
                writer.write(data)
                await writer.drain()
            self.ends += 1
        except OSError:
            pass
        finally:
            self._open.discard(writer)
            writer.close()

    @property
    def is_idle(self) -> bool:
        return not self._open

    def forget(self) -> None:
        """What came is as if it had not."""
        self.received.clear()
        self.connections = self.ends = 0

    async def close(self) -> None:
        assert self._server is not None
        self._server.close()
        for writer in list(self._open):
            writer.transport.abort()


class Peer:
    """The other end of a connection through the links. Every wait has a deadline."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    async def hello(self) -> None:
        assert await self.read(len(HELLO)) == HELLO

    def write(self, data: bytes) -> None:
        self._writer.write(data)

    async def read(self, count: int) -> bytes:
        return await asyncio.wait_for(self._reader.readexactly(count), 100)

    async def is_silent(self, seconds: float = 0.3) -> bool:
        """Whether neither bytes nor an end come for so long."""
        try:
            await asyncio.wait_for(self._reader.read(1), seconds)
        except TimeoutError:
            return True
        return False

    async def ended(self) -> None:
        """Wait until the connection is at its end, cleanly or by a reset."""
        try:
            while await asyncio.wait_for(self._reader.read(65536), 100):
                pass
        except ConnectionError:
            return

    def half_close(self) -> None:
        self._writer.write_eof()

    def close(self) -> None:
        self._writer.transport.abort()


@dataclass
class World:
    links: Links
    nodes: dict[str, Echo]
    upstreams: dict[str, str]
    ports: Ports
    incidents: list[dict[str, Any]] = field(default_factory=list)
    _peers: list[Peer] = field(default_factory=list)

    async def welcome(self, name: str) -> None:
        """One more node, with routes to and from all others."""
        self.nodes[name] = Echo()
        port = self.ports.take()
        await self.nodes[name].listen(port)
        self.upstreams[name] = f"127.0.0.1:{port}"
        ports = [self.ports.take() for _ in range(2 * len(self.nodes) - 1)]
        await self.links.add(routes_to_newcomer(name, self.upstreams, ports))

    async def dial(self, source: str, dest: str) -> Peer:
        host, port = self.links.address(source, dest).split(":")
        peer = Peer(*await asyncio.wait_for(asyncio.open_connection(host, int(port)), 60))
        self._peers.append(peer)
        return peer

    async def works(self, source: str, dest: str) -> None:
        """Assert that a question and its answer pass from source to dest."""
        peer = await self.dial(source, dest)
        await peer.hello()
        peer.write(b"ping")
        assert await peer.read(4) == b"ping"
        peer.close()

    async def refused(self, source: str, dest: str) -> bool:
        try:
            (await self.dial(source, dest)).close()
        except ConnectionRefusedError:
            return True
        return False

    async def renew(self) -> None:
        """As when it was new, for another scenario: no fault, no connection, nothing received. For
        scenarios that add no node, and whose connections have all reached theirs."""
        await self.links.heal()
        for peer in self._peers:
            peer.close()
        self._peers.clear()
        async with asyncio.timeout(100):
            while not all(node.is_idle for node in self.nodes.values()):
                await asyncio.sleep(0.005)
        for node in self.nodes.values():
            node.forget()
        self.incidents.clear()

    async def close(self) -> None:
        for peer in self._peers:
            peer.close()
        await self.links.stop()
        for node in self.nodes.values():
            await node.close()


MakeLinks = Callable[[Path, Ports, ProcessGuard, Callable[[dict[str, Any]], None]], Links]


def make_toxiproxy(folder: Path, ports: Ports, reaper: ProcessGuard, report: Any) -> Links:
    return ToxiproxyLinks(toxiproxy_server(print), folder, ports, reaper, report)


def make_embedded(folder: Path, ports: Ports, reaper: ProcessGuard, report: Any) -> Links:
    return EmbeddedLinks(folder, reaper, report)


IMPLEMENTATIONS: dict[str, MakeLinks] = {"toxiproxy": make_toxiproxy, "embedded": make_embedded}


@asynccontextmanager
async def build_world(make: MakeLinks, folder: Path) -> AsyncIterator[World]:
    with reserve(30) as ports, ProcessGuard.start() as reaper:
        incidents: list[dict[str, Any]] = []
        nodes = {name: Echo() for name in NODES}
        upstreams = {}
        for name, node in nodes.items():
            port = ports.take()
            await node.listen(port)
            upstreams[name] = f"127.0.0.1:{port}"
        links = make(folder, ports, reaper, incidents.append)
        await links.start(plan_routes(upstreams, (ports.take() for _ in range(len(NODES) ** 2))))
        world = World(links, nodes, upstreams, ports, incidents)
        try:
            yield world
        finally:
            await world.close()


OpenWorld = Callable[[], AbstractAsyncContextManager[World]]
Scenario = Callable[[World], Awaitable[None]]


class Stage:
    """Runs scenarios in worlds whose links are of one implementation."""

    def __init__(self, open_world: OpenWorld) -> None:
        self._open_world = open_world
        self._runner = asyncio.Runner()
        self._shared: tuple[AbstractAsyncContextManager[World], World] | None = None

    def run(self, scenario: Scenario) -> None:
        """In a world that many scenarios share, which is as new for each."""
        if self._shared is None:
            opened = self._open_world()
            self._shared = opened, self._runner.run(opened.__aenter__())
        world = self._shared[1]
        try:
            self._runner.run(scenario(world))
            self._runner.run(world.renew())
        except BaseException:
            self._close()  # what is left of it is not for another scenario
            raise

    def run_alone(self, scenario: Scenario) -> None:
        """In a world of its own: for what leaves connections under way, or changes the world."""

        async def whole() -> None:
            async with self._open_world() as world:
                await scenario(world)

        self._runner.run(whole())

    def _close(self) -> None:
        opened, self._shared = self._shared, None
        if opened is not None:
            self._runner.run(opened[0].__aexit__(None, None, None))

    def end(self) -> None:
        self._close()
        self._runner.close()
