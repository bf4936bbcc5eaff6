"""Carries messages between programs, clients and services.

Between nodes, and between clients and nodes, a message passes the links (harness.links.messages),
which may lose, delay, double or hold it. Clients are connections to a port of their node; each
gets a name, c1, c2, ..., that is never used again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial
from random import Random

import msgspec
from dynamesis.harness.links.base import CLIENT
from dynamesis.harness.links.messages import MessageLinks
from dynamesis.harness.targets.maelstrom.errors import NODE_NOT_FOUND
from dynamesis.harness.targets.maelstrom.messages import (
    LONGEST,
    Body,
    Message,
    encode,
)
from dynamesis.harness.targets.maelstrom.services import Service, error

#: The client by which the harness itself asks nodes.
HARNESS = "c0"

#: Takes a line that is for a node.
Inbox = Callable[[bytes], None]
#: s -> s: the latency of a message between nodes, drawn from a mean
Draw = Callable[[Random, float], float]

#: The shapes of latencies, by name.
LATENCIES: dict[str, Draw] = {
    "constant": lambda random, mean: mean,
    "uniform": lambda random, mean: random.uniform(0, 2 * mean),
    "exponential": lambda random, mean: random.expovariate(1 / mean),
}


class Router:
    """`latency`: draws the s that a message between nodes, or to a service and back, takes where
    no fault does more; 0 for none. Messages to nodes that are not there are lost, but for those
    of clients, which are answered by an error: they did certainly not arrive."""

    def __init__(
        self,
        nodes: tuple[str, ...],
        links: MessageLinks,
        services: Mapping[str, Service],
        latency: Callable[[], float],
        complained: Callable[[str, str], None],
    ) -> None:
        self.links = links
        self._nodes = nodes
        self._services = services
        self._latency = latency
        self._complained = complained
        self._inboxes: dict[str, Inbox] = {}
        self._clients: dict[str, tuple[str, asyncio.StreamWriter]] = {}
        self._named = 0
        self._asked: dict[int, asyncio.Future[Body]] = {}
        self._numbered = 0
        self._servers: list[asyncio.Server] = []

    # ---- nodes

    def attach(self, node: str, inbox: Inbox) -> None:
        """A node is there, and takes messages."""
        self._inboxes[node] = inbox

    def detach(self, node: str, inbox: Inbox | None = None) -> None:
        """A node is gone, and with it the connections of its clients; nothing, if it has another
        inbox than this one by now."""
        if inbox is not None and self._inboxes.get(node) is not inbox:
            return
        self._inboxes.pop(node, None)
        for name, (at, writer) in list(self._clients.items()):
            if at == node:
                del self._clients[name]
                writer.close()

    def known(self, name: str) -> bool:
        """Whether a message can have this destination: also a client that has left."""
        return name in self._nodes or name in self._services or self.client(name)

    def client(self, name: str) -> bool:
        """Whether a client has this name, or had it."""
        if name == HARNESS:
            return True
        return name[:1] == "c" and name[1:].isdecimal() and 0 < int(name[1:]) <= self._named

    def send(self, message: Message) -> None:
        """Carry what a node has sent."""
        node, dest, carry = message.node, message.dest, self.links.carry
        if dest in self._services:
            self._later(partial(self._serve, dest, message))
        elif dest in self._nodes:
            line = encode(message.src, dest, message.body)
            deliver = partial(self._to_node, dest, line)
            self._later(partial(carry, node, dest, message.reply, message.size, deliver))
        elif dest == HARNESS:
            self._answered(message.body)
        else:
            deliver = partial(self._to_client, dest, message.body)
            carry(node, CLIENT, True, message.size, deliver)

    def _later(self, carry: Callable[[], None]) -> None:
        seconds = self._latency()
        if seconds > 0:
            asyncio.get_running_loop().call_later(seconds, carry)
        else:
            carry()

    def _to_node(self, node: str, line: bytes) -> None:
        inbox = self._inboxes.get(node)
        if inbox is not None:
            inbox(line)

    def _serve(self, name: str, message: Message) -> None:
        body = self._services[name].answer(message.src, message.body)
        if "msg_id" in message.body:
            body["in_reply_to"] = message.body["msg_id"]
        if message.src in self._nodes:
            line = encode(name, message.src, body)
            self._later(partial(self._to_node, message.src, line))
        else:
            self._to_client(message.src, body)

    # ---- the harness itself

    def post(self, node: str, body: Body) -> asyncio.Future[Body]:
        """Ask a node in the name of the harness, past all links, without delay; the answer may
        never come."""
        self._numbered += 1
        number = self._numbered
        asked: asyncio.Future[Body] = asyncio.get_running_loop().create_future()
        self._asked[number] = asked
        asked.add_done_callback(lambda _: self._asked.pop(number, None))
        self._to_node(node, encode(HARNESS, node, {**body, "msg_id": number}))
        return asked

    def _answered(self, body: Body) -> None:
        number = body.get("in_reply_to")
        asked = self._asked.get(number) if isinstance(number, int) else None
        if asked is not None and not asked.done():
            asked.set_result(body)

    # ---- clients

    async def listen(self, node: str, address: str) -> None:
        """Take the clients of a node, at host:port."""
        host, _, port = address.rpartition(":")
        serve = partial(self._client, node)
        self._servers.append(await asyncio.start_server(serve, host, int(port), limit=LONGEST))

    async def close(self) -> None:
        """Take no clients any more, and let go of those there are."""
        for server in self._servers:
            server.close()
        for node in self._nodes:
            self.detach(node)

    async def _client(
        self, node: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self._named += 1
        name = f"c{self._named}"
        self._clients[name] = (node, writer)
        with suppress(OSError, ValueError):
            while line := await reader.readline():
                self._from_client(name, node, msgspec.json.decode(line))
        self._clients.pop(name, None)
        writer.close()

    def _from_client(self, name: str, node: str, body: Body) -> None:
        """A request of a client, or its complaint that an answer was not as the workload has it."""
        if "complaint" in body:
            self._complained(node, body["complaint"])
            return
        line = encode(name, node, body)

        def deliver() -> None:
            if node in self._inboxes:
                self._to_node(node, line)
                return
            refusal = error(NODE_NOT_FOUND, f"{node} is down")
            self._to_client(name, {**refusal, "in_reply_to": body["msg_id"]})

        self.links.carry(CLIENT, node, False, len(line), deliver)

    def _to_client(self, name: str, body: Body) -> None:
        if name in self._clients:
            _, writer = self._clients[name]
            writer.write(msgspec.json.encode(body) + b"\n")
