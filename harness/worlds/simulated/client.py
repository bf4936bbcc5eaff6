"""Clients on a simulated network: what a cluster.net.connection.Connection speaks through."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from typing import Any

from dynamesis.cluster.core.protocol.messages import Hello, Message, Refusal
from dynamesis.cluster.net.connection import Connection
from dynamesis.cluster.net.exceptions import failure
from dynamesis.harness.nemesis.symptoms import Greeting
from dynamesis.harness.worlds.simulated.network import Network, Wire
from dynamesis.harness.worlds.simulated.shapes import Torn, size_of

#: s that a greeting may take
_GREETING = 3.0


class Client:
    """The process of all clients: it is never paused, and never dies."""

    running = True

    def hold(self, action: Callable[..., None], *args: Any) -> None:
        action(*args)


CLIENT = Client()
_HELLO = Hello("", "", role="client")


class SimulatedConversation:
    """One connection of a client."""

    process = CLIENT

    def __init__(self, network: Network, address: str) -> None:
        self.waiting: dict[int, asyncio.Future[Message]] = {}
        self.arrived: dict[int, int] = {}
        self.greeted: asyncio.Future[Hello] = network.loop.create_future()
        self.closing = False
        self._line = network.dial(address, self)

    @property
    def line(self) -> Wire:
        return self._line

    def send(self, message: Message) -> None:
        self._line.up.send(message)

    def close(self, reason: str) -> None:
        if not self.closing:
            self._line.hang_up(self)
            self.lost(self._line, reason)

    #: nothing is in between that could still be written
    abort = close

    def receive(self, line: Wire, message: Message) -> None:
        if isinstance(message, Hello):
            if self.greeted.done():
                self.close("Hello came twice")
            else:
                line.up.send(_HELLO)
                self.greeted.set_result(message)
        elif isinstance(message, Refusal) and message.rid == 0:
            return
        elif (future := self.waiting.pop(message.rid, None)) is not None and not future.done():  # type: ignore[union-attr]
            future.set_result(message)

    def lost(self, line: Wire, reason: str) -> None:
        self.closing = True
        if not self.greeted.done():
            self.greeted.set_exception(ConnectionError(reason))
            self.greeted.exception()  # so that asyncio does not log it
        for future in self.waiting.values():
            if not future.done():
                future.set_exception(ConnectionError(reason))


class Connector:
    """cluster.client.routing.Connect on a simulated network."""

    def __init__(self, network: Network) -> None:
        self._network = network

    async def __call__(
        self,
        address: str,
        cluster: str = "",
        timeout: float = 1.0,
        *,
        secret: str | None = None,
        tls: ssl.SSLContext | None = None,
    ) -> Connection:
        conversation = await self.converse(address, timeout)
        return Connection(conversation, conversation.greeted.result().node)

    async def converse(self, address: str, timeout: float) -> SimulatedConversation:
        """A greeted conversation. Raises Unreachable."""
        conversation = SimulatedConversation(self._network, address)
        try:
            async with asyncio.timeout(timeout):
                await asyncio.shield(conversation.greeted)
        except TimeoutError:
            conversation.close("given up")
            what = "no HELLO" if conversation.line.opened else "no connection"
            reason = f"{what} within {timeout:g} s"
            raise failure("unreachable", reason, address) from None
        except ConnectionError as error:
            raise failure("unreachable", str(error), address) from error
        return conversation


async def greet(network: Network, address: str) -> Greeting | None:
    """How a node greets on a new connection through this address."""
    began = network.loop.now
    conversation = SimulatedConversation(network, address)
    try:
        async with asyncio.timeout(_GREETING):
            hello = await asyncio.shield(conversation.greeted)
    except (TimeoutError, ConnectionError):
        return None
    finally:
        conversation.close("seen")
    size, gate = size_of(hello), conversation.line.down.gate
    pieces = -(-size // gate.fault.piece_bytes) if isinstance(gate, Torn) else 1
    return Greeting(network.loop.now - began, size, pieces)
