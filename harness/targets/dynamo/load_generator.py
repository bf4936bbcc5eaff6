"""The load that harness.nemesis.loads asks for, made by clients of the store.

Every key has one writer, which replaces what it wrote before: else each put would leave a
sibling.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Mapping
from itertools import count
from math import ceil
from ssl import SSLContext
from typing import Protocol

from dynamesis.cluster.core.protocol.messages import Get, Hello, Key, Message, RequestOptions
from dynamesis.cluster.net.connection import Connect, Connection
from dynamesis.cluster.net.exceptions import DynamoError
from dynamesis.cluster.net.stream import DialFailed, Dialled, dial
from dynamesis.cluster.net.wire import CLIENT_LIMIT, NODE_LIMIT
from dynamesis.harness.nemesis.loads import EXTRA

#: requests that a node takes at a time in a test with such load: a burst must go over it
MOST_REQUESTS = 128
#: s between two bursts, and before a node that failed is tried again
PAUSE = 0.2
#: s for one put
PATIENCE = 3.0
#: large values under way at the same time
_LARGE = 4
#: bytes of what slow readers ask for
ASKED = 192 << 10
#: ... of any one replica: it is the answers that are to pile up, not the questions to others
_ANY = RequestOptions(r=1)


class DeafStream(Protocol):
    """What sends to a node and reads no answer."""

    @property
    def closing(self) -> bool: ...

    def send(self, message: Message) -> None: ...

    def abort(self, reason: str) -> None: ...


class LoadGenerator:
    """Presses the node behind an address: a harness.nemesis.loads.MakeLoad."""

    def __init__(
        self,
        address: Callable[[str], str],
        tls: SSLContext | None = None,
        connect: Connect = Connection.open,
    ) -> None:
        """`address`: where clients reach a node, host:port; `tls` as config.tls makes it;
        `connect`: opens a connection."""
        self._tls = tls
        self._connect = connect
        self._address = address
        self._requests = count(1)
        self._contexts: dict[str, bytes] = {}

    async def __call__(
        self, node: str, kind: str, settings: Mapping[str, int], ended: Counter[str]
    ) -> None:
        while True:
            try:
                if kind == "burst":
                    await self._puts(node, settings["puts"], b"x" * 64, ended)
                elif kind == "large-values":
                    await self._puts(node, _LARGE, b"x" * settings["bytes"], ended)
                else:
                    await self._deaf(node, settings["gets"], ended)
            except (DynamoError, DialFailed):
                ended["unreachable"] += 1
            await asyncio.sleep(PAUSE)

    async def _puts(self, node: str, puts: int, value: bytes, ended: Counter[str]) -> None:
        """So many concurrent puts, on one connection."""
        connection = await self._open(node)
        try:
            async with asyncio.TaskGroup() as group:
                for number in range(puts):
                    key = f"{EXTRA}{node}/{number}"
                    group.create_task(self._put(connection, key, value, ended))
        finally:
            connection.close()

    async def _put(
        self, connection: Connection, key: str, value: bytes, ended: Counter[str]
    ) -> None:
        request = f"{EXTRA}{next(self._requests)}"
        context = self._contexts.get(key, b"")
        try:
            done = await connection.put(
                key.encode(), value, context, request=request, timeout=PATIENCE
            )
        except DynamoError as error:
            ended[error.code] += 1
        else:
            self._contexts[key] = done.context
            ended["ok"] += 1

    async def _deaf(self, node: str, gets: int, ended: Counter[str]) -> None:
        """Ask, `gets` times a second, and read no answer, until cancelled or cut off."""
        key = f"{EXTRA}{node}/asked"
        connection = await self._open(node)
        try:
            await self._put(connection, key, b"x" * ASKED, ended)
        finally:
            connection.close()
        deaf = await self._deaf_stream(node)
        try:
            while not deaf.closing:
                for _ in range(ceil(gets * PAUSE)):
                    deaf.send(Get(next(self._requests), Key(key.encode()), _ANY))
                    ended["asked"] += 1
                await asyncio.sleep(PAUSE)
        finally:
            deaf.abort("it has not read for long enough")

    async def _deaf_stream(self, node: str) -> DeafStream:
        """A connection on which nothing is read."""
        deaf = Dialled(Hello("", "", role="client"), NODE_LIMIT, CLIENT_LIMIT)
        await dial(self._address(node), deaf, PATIENCE, self._tls)
        if deaf.transport is not None:
            deaf.transport.pause_reading()
        return deaf

    async def _open(self, node: str) -> Connection:
        return await self._connect(self._address(node), "", PATIENCE, tls=self._tls)
