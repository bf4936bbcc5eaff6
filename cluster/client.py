"""The store as a library.

    async with Client(["127.0.0.1:7101", "127.0.0.1:7102"]) as store:
        await store.put(b"cart", b"[]")
        read = await store.get(b"cart")
        await store.put(b"cart", b'["book"]', context=read.context)
        await store.update(b"cart", union)

A get may return several siblings: versions that no writer has yet declared merged. A put
that carries the context of a get replaces exactly what that get returned, and nothing
that was written meanwhile; a put without context replaces nothing.

A server-driven client leaves it to the node that it asks to find a coordinator; a
client-driven one (`client_driven=True`) keeps a map and goes straight to one, which saves
a hop (section 6.4).

Errors are typed (cluster.failures), and each says whether the operation certainly took no
effect. A request that certainly reached nobody goes to the next node. Anything else is
tried again only as often as `retries` says, under the same request id, and only where
that is safe: a get always, a put only if it certainly did nothing. A put that is in doubt
is never sent again behind the caller's back: another coordinator might stamp it twice.
"""

from __future__ import annotations

import asyncio
import secrets
import ssl
from collections.abc import Awaitable, Callable, Sequence
from itertools import count
from typing import Self, TypeVar

from cluster.connection import Connection, GetResult, PutResult
from cluster.core.errors import ERRORS
from cluster.core.messages import Options, Version, Worth
from cluster.failures import (
    BadRequest,
    DynamoError,
    InDoubt,
    NoQuorum,
    StorageFailure,
    Unavailable,
    Unreachable,
)
from cluster.routing import BACKOFF, ClientDriven, Endpoint, Route, ServerDriven

__all__ = [
    "BadRequest",
    "Client",
    "Connection",
    "DynamoError",
    "GetResult",
    "InDoubt",
    "NoQuorum",
    "Options",
    "PutResult",
    "StorageFailure",
    "Unavailable",
    "Unreachable",
    "Version",
    "Worth",
]

#: what another node may well do although this one did not
_ELSEWHERE = frozenset({"unreachable", "stopping", "not-ready"})

T = TypeVar("T")
_DEFAULTS = Options()


class Client:
    """A store behind several addresses. One node is used as long as it serves; a request
    that certainly did not reach it goes to the next."""

    def __init__(
        self,
        addresses: Sequence[str],
        cluster: str = "dynamesis",
        timeout: float = 5.0,
        hello_timeout: float = 1.0,
        secret: str | None = None,
        tls: ssl.SSLContext | None = None,
        client_driven: bool = False,
        refresh: float = 10.0,
        retries: int = 0,
    ) -> None:
        """`timeout`: for one operation, all attempts together; `hello_timeout`: for one
        connection to come about. Seconds. `secret` where clients must know it; `tls` as
        cluster.tls.dialling makes it. `client_driven`: go straight to a primary, by a map
        that is `refresh` seconds old at most. `retries`: how often, at most, an operation
        is tried again."""
        self._endpoints = [
            Endpoint(address, cluster, hello_timeout, secret, tls) for address in addresses
        ]
        self._route: Route = (
            ClientDriven(self._endpoints, refresh)
            if client_driven
            else ServerDriven(self._endpoints)
        )
        self._timeout = timeout
        self._retries = retries
        self._name = secrets.token_hex(8)
        self._requests = count(1)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        for endpoint in self._endpoints:
            endpoint.close()

    async def get(self, key: bytes, *, options: Options = _DEFAULTS) -> GetResult:
        """Every version of `key` that stands; none of them if there is none. Raises
        DynamoError."""
        attempts = _Attempts(self._route, key, self._retries, repeatable=True)
        return await attempts.run(
            lambda node, timeout: node.get(key, options, timeout), self._timeout
        )

    async def put(
        self, key: bytes, value: bytes, *, context: bytes = b"", options: Options = _DEFAULTS
    ) -> PutResult:
        """Write `value`, in place of what `context` covers. Raises DynamoError."""
        return await self._write(key, value, context, False, options)

    async def delete(
        self, key: bytes, *, context: bytes = b"", options: Options = _DEFAULTS, note: bytes = b""
    ) -> PutResult:
        """Write a tombstone, in place of what `context` covers: a version as any other,
        which may be a sibling. `note` are bytes for it to carry. Raises DynamoError."""
        return await self._write(key, note, context, True, options)

    async def update(
        self,
        key: bytes,
        merge: Callable[[Sequence[Version]], bytes],
        *,
        options: Options = _DEFAULTS,
    ) -> PutResult:
        """Read, merge, write: the value that `merge` makes of all siblings (none, if the
        key is new; look at `deleted`) replaces them. What others write meanwhile stays
        beside it, for the next update to merge. So `merge` should be a join: no order or
        repetition of siblings may matter. For a set of items in JSON:

            def union(siblings):
                items = [set(json.loads(s.value)) for s in siblings if not s.deleted]
                return json.dumps(sorted(set().union(*items))).encode()

        Raises DynamoError.
        """
        read = await self.get(key, options=options)
        return await self.put(key, merge(read.siblings), context=read.context, options=options)

    async def _write(
        self, key: bytes, value: bytes, context: bytes, deleted: bool, options: Options
    ) -> PutResult:
        request = f"{self._name}.{next(self._requests)}"

        def put(node: Connection, timeout: float) -> Awaitable[PutResult]:
            return node.put(
                key,
                value,
                context,
                request=request,
                deleted=deleted,
                options=options,
                timeout=timeout,
            )

        return await _Attempts(self._route, key, self._retries).run(put, self._timeout)


class _Attempts:
    """One operation, until it has a result, or an error that no other attempt can mend.
    `repeatable`: it changes nothing, and may be sent as often as one likes."""

    def __init__(self, route: Route, key: bytes, retries: int, repeatable: bool = False) -> None:
        self._route = route
        self._key = key
        self._left = retries
        self._repeatable = repeatable

    async def run(self, act: Callable[[Connection, float], Awaitable[T]], timeout: float) -> T:
        """The result of `act` on some node, `timeout` seconds for all attempts together.
        Raises DynamoError."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + timeout
        others = list(await self._route.order(self._key, deadline))
        while True:
            endpoint = others.pop(0)
            try:
                node = await endpoint.connection(deadline)
                result = await act(node, deadline - loop.time())
            except DynamoError as error:
                elsewhere = error.code in _ELSEWHERE
                if elsewhere:
                    self._route.failed(endpoint)
                if not (elsewhere and others):
                    if not self._may_retry(error):
                        raise
                    await self._pause(error, deadline)
                    others = list(await self._route.order(self._key, deadline))
            else:
                if isinstance(result, PutResult):
                    self._route.coordinated(endpoint, result.worth.coordinator)
                return result

    def _may_retry(self, error: DynamoError) -> bool:
        kind = ERRORS.get(error.code)
        safe = kind is not None and kind.retry and (kind.definite or self._repeatable)
        self._left -= 1
        return safe and self._left >= 0

    async def _pause(self, error: DynamoError, deadline: float) -> None:
        pause = error.retry_after or BACKOFF[0]
        left = deadline - asyncio.get_running_loop().time()
        await asyncio.sleep(min(pause, max(0.0, left)))
