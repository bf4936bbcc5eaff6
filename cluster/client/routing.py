"""Which node a client asks first (section 6.4).

Server-driven: one node for everything, as long as it serves; it forwards what it may not
coordinate. Client-driven: the client keeps a map of the primaries of each partition, and goes
straight to one, which saves a hop. The map is fetched again when it is old, when a node
fails, and when an answer shows that another node had to coordinate. It is only ever a
hint: the node that is asked forwards by its ring, a bounded number of times, so a map that
is wrong costs a hop and never a loop.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Sequence
from typing import Protocol

from dynamesis.cluster.core.protocol.messages import Key
from dynamesis.cluster.core.ring.ring import partition_of
from dynamesis.cluster.net.connection import Connect, Connection
from dynamesis.cluster.net.exceptions import DynamoError, failure

#: seconds between two attempts to reach a node: doubling from the first to the second
BACKOFF = (0.05, 0.5)


class Endpoint:
    """One address: connected, or dialled when asked for, no more often than BACKOFF."""

    def __init__(
        self,
        address: str,
        cluster: str,
        hello_timeout: float,
        secret: str | None,
        tls: ssl.SSLContext | None,
        connect: Connect = Connection.open,
    ) -> None:
        #: the node last reached there; empty before there was one
        self.node = ""
        self._address = address
        self._cluster = cluster
        self._hello_timeout = hello_timeout
        self._secret = secret
        self._tls = tls
        self._connect = connect
        self._connection: Connection | None = None
        self._dialling = asyncio.Lock()
        self._delay = 0.0
        self._not_before = 0.0
        self._closed = False

    @property
    def failing(self) -> bool:
        """Whether no node answered when it was last dialled."""
        return self._delay > 0

    async def connection(self, deadline: float) -> Connection:
        """Raises Unreachable, at `deadline` (loop time) at the latest; Closed."""
        known = self._connection
        if known is not None and not known.closed and not self._closed:
            return known  # nothing to wait for, as nearly always
        try:
            async with asyncio.timeout_at(deadline), self._dialling:
                self._check_open()
                if self._connection is None or self._connection.closed:
                    self._connection = await self._dial()
                return self._connection
        except TimeoutError:
            raise failure("unreachable", "no connection in time", self._address) from None

    async def _dial(self) -> Connection:
        loop = asyncio.get_running_loop()
        await asyncio.sleep(self._not_before - loop.time())
        self._delay = min(max(2 * self._delay, BACKOFF[0]), BACKOFF[1])
        self._not_before = loop.time() + self._delay
        connection = await self._connect(
            self._address,
            self._cluster,
            self._hello_timeout,
            secret=self._secret,
            tls=self._tls,
        )
        self._delay = 0.0
        self.node = connection.node
        if self._closed:
            connection.close()
        self._check_open()
        return connection

    def _check_open(self) -> None:
        if self._closed:
            raise failure("closed", "this client was closed")

    def close(self) -> None:
        """What is under way ends as "disconnected"; nothing new begins."""
        self._closed = True
        if self._connection is not None:
            self._connection.close()


class Route(Protocol):
    """Chooses among endpoints, and records how each attempt went."""

    async def order(self, key: bytes, deadline: float) -> Sequence[Endpoint]:
        """The nodes to ask, best first; all of them, each once."""

    def failed(self, endpoint: Endpoint) -> None:
        """`endpoint` does not serve now."""

    def unanswered(self, endpoint: Endpoint) -> None:
        """`endpoint` has not answered in time: it may be stopped, with its connections open."""

    def coordinated(self, endpoint: Endpoint, coordinator: str) -> None:
        """A put that `endpoint` was asked for was coordinated by this node."""


class ServerDriven:
    """One endpoint until it fails, then the next."""

    def __init__(self, endpoints: Sequence[Endpoint]) -> None:
        self._endpoints = endpoints
        self._current = 0

    async def order(self, key: bytes, deadline: float) -> Sequence[Endpoint]:
        return (*self._endpoints[self._current :], *self._endpoints[: self._current])

    def failed(self, endpoint: Endpoint) -> None:
        if self._endpoints[self._current] is endpoint:
            self._current = (self._current + 1) % len(self._endpoints)

    def unanswered(self, endpoint: Endpoint) -> None:
        self.failed(endpoint)  # others may serve

    def coordinated(self, endpoint: Endpoint, coordinator: str) -> None:
        pass


class ClientDriven:
    """The primaries of the key first, those that failed lately last."""

    def __init__(self, endpoints: Sequence[Endpoint], refresh: float) -> None:
        """`refresh`: seconds after which the map is fetched again."""
        self._endpoints = list(endpoints)
        self._refresh = refresh
        self._primaries: tuple[tuple[str, ...], ...] = ()
        self._fetched = float("-inf")
        self._tried = float("-inf")
        self._fetching = asyncio.Lock()
        self.fetches = 0

    async def order(self, key: bytes, deadline: float) -> Sequence[Endpoint]:
        if self._stale():
            async with self._fetching:
                if self._stale():
                    await self._fetch(deadline)
        if not self._primaries:
            return tuple(self._endpoints)
        names = self._primaries[partition_of(Key(key), len(self._primaries))]
        first = [e for name in names for e in self._endpoints if e.node == name]
        first.sort(key=lambda endpoint: endpoint.failing)
        return (*first, *(e for e in self._endpoints if e not in first))

    def failed(self, endpoint: Endpoint) -> None:
        self._endpoints.remove(endpoint)
        self._endpoints.append(endpoint)
        self._fetched = float("-inf")

    def unanswered(self, endpoint: Endpoint) -> None:
        pass

    def coordinated(self, endpoint: Endpoint, coordinator: str) -> None:
        if coordinator != endpoint.node:
            self._fetched = float("-inf")

    def _stale(self) -> bool:
        """Whether to fetch: not again immediately, however wrong the map seems to be."""
        now = asyncio.get_running_loop().time()
        return now - self._fetched > self._refresh and now - self._tried > BACKOFF[1]

    async def _fetch(self, deadline: float) -> None:
        """Learn which node is at which address, and the map from the first that answers. Without
        a map, any node will do."""
        loop = asyncio.get_running_loop()
        self._tried = loop.time()
        self.fetches += 1
        soon = min(deadline, loop.time() + BACKOFF[1])
        connections = await asyncio.gather(
            *(endpoint.connection(soon) for endpoint in self._endpoints), return_exceptions=True
        )
        for connection in connections:
            if isinstance(connection, BaseException):
                continue
            try:
                self._primaries = await connection.locate(soon - loop.time())
            except DynamoError:
                continue
            self._fetched = loop.time()
            return
