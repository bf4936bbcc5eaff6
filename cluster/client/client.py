"""The store as a library.

    async with Client(["127.0.0.1:7101", "127.0.0.1:7102"]) as store:
        await store.put(b"cart", b"[]")
        read = await store.get(b"cart")
        await store.put(b"cart", b'["book"]', context=read.context)
        await store.update(b"cart", union)

        def with_a_pen(cart: bytes) -> bytes:
            return json.dumps([*json.loads(cart), "pen"]).encode()

        await store.update(b"cart", union, with_a_pen)

A get may return several siblings: versions that no writer has yet declared merged. A put
that carries the context of a get replaces exactly what that get returned, and nothing
that was written meanwhile; a put without context replaces nothing. `update` does both, and
cluster.client.resolvers has ways to merge. Keys are bytes, or text, which is UTF-8.

A server-driven client leaves it to the node that it asks to find a coordinator; a
client-driven one (`client_driven=True`) keeps a map and goes straight to one, which saves
a hop (section 6.4).

Errors are typed (cluster.net.exceptions), and each knows whether the operation certainly took no
effect. What is at fault by itself, such as a key of the wrong type, is a BadRequest before
anything is sent. A request that certainly reached no node goes to the next one, and so does a
get whose connection ended, since it changes nothing. Anything else is tried again `retries`
times, under the same request id, and a put that is in doubt is marked so when it is sent again:
the node that stamped it continues from that stamp, and none stamps it a second time. What is in
doubt then is raised as it was at first.
"""

from __future__ import annotations

import asyncio
import secrets
import ssl
from collections.abc import Awaitable, Callable, Sequence
from itertools import count
from typing import Self, TypeVar

from dynamesis.cluster.client.resolvers import Merge, highest, latest, union
from dynamesis.cluster.client.routing import BACKOFF, ClientDriven, Endpoint, Route, ServerDriven
from dynamesis.cluster.client.validation import (
    DEFAULTS,
    checked,
    duration,
    key_bytes,
    some_bytes,
    some_text,
    text,
    whole,
    yes_or_no,
)
from dynamesis.cluster.client.validation import addresses as checked_addresses
from dynamesis.cluster.core.protocol.errors import ERRORS
from dynamesis.cluster.core.protocol.messages import QuorumInfo, RequestOptions, Version
from dynamesis.cluster.net.connection import Connect, Connection, GetResult, PutResult
from dynamesis.cluster.net.exceptions import (
    BadRequest,
    Closed,
    DynamoError,
    InDoubt,
    NoQuorum,
    StorageFailure,
    Unavailable,
    Unreachable,
)

__all__ = [
    "BadRequest",
    "Client",
    "Closed",
    "Connect",
    "Connection",
    "DynamoError",
    "GetResult",
    "InDoubt",
    "Merge",
    "NoQuorum",
    "PutResult",
    "QuorumInfo",
    "RequestOptions",
    "StorageFailure",
    "Unavailable",
    "Unreachable",
    "Version",
    "highest",
    "latest",
    "union",
]

#: what another node may well do although this one did not
_ELSEWHERE = frozenset({"unreachable", "stopping", "not-ready"})
#: the same for a get, which may be sent twice: it changes nothing
_READ_ELSEWHERE = _ELSEWHERE | {"disconnected", "forward-lost"}

#: seconds that the answer to a request with a `timeout` of its own may be under way
_ON_THE_WAY = 1.0

T = TypeVar("T")


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
        connect: Connect = Connection.open,
    ) -> None:
        """`timeout`: for one operation, all attempts together, unless its options give the
        nodes longer; `hello_timeout`: for one connection to come about. Seconds. `secret`
        where clients must know it; `tls` a cluster.config.tls.client_context. `client_driven`:
        go straight to a primary, by a map that is `refresh` seconds old at most. `retries`:
        how often, at most, an operation is tried again. `connect`: opens a connection. Raises
        TypeError or ValueError for an argument that cannot be right."""
        self._timeout = duration("timeout", timeout)
        hello_timeout = duration("hello_timeout", hello_timeout)
        cluster = text("cluster", cluster)
        if secret is not None:
            secret = text("secret", secret)
        self._endpoints = [
            Endpoint(address, cluster, hello_timeout, secret, tls, connect)
            for address in checked_addresses(addresses)
        ]
        self._route: Route = (
            ClientDriven(self._endpoints, duration("refresh", refresh))
            if client_driven
            else ServerDriven(self._endpoints)
        )
        self._retries = whole("retries", retries)
        self._name = secrets.token_hex(8)
        self._requests = count(1)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        """Hang up. What is under way ends as "disconnected", what comes later as Closed."""
        for endpoint in self._endpoints:
            endpoint.close()

    async def get(self, key: bytes | str, *, options: RequestOptions = DEFAULTS) -> GetResult:
        """Every current version of `key`, tombstones included; () if there is none. Raises
        DynamoError."""
        name = key_bytes(key)
        attempts = _Attempts(self._route, name, self._retries, _READ_ELSEWHERE)
        return await attempts.run(
            lambda node, timeout, again: node.get(name, options, timeout), self._limit(options)
        )

    async def put(
        self,
        key: bytes | str,
        value: bytes,
        *,
        context: bytes = b"",
        options: RequestOptions = DEFAULTS,
        request: str | None = None,
        again: bool = False,
    ) -> PutResult:
        """Write `value`, in place of what `context` covers. `request`: by what nodes are to
        know this write, in their logs too; unlike that of any other write. `again`: a write
        of that name, the same one, was sent before, by whatever client, and is in doubt.
        Raises DynamoError."""
        return await self._write(key, value, context, False, options, request, again)

    async def delete(
        self,
        key: bytes | str,
        *,
        context: bytes = b"",
        options: RequestOptions = DEFAULTS,
        note: bytes = b"",
        request: str | None = None,
        again: bool = False,
    ) -> PutResult:
        """Write a tombstone, in place of what `context` covers: a version as any other,
        which may be a sibling. `note` are bytes for it to carry; `request` and `again` as for
        `put`. Raises DynamoError."""
        return await self._write(key, note, context, True, options, request, again)

    async def update(
        self,
        key: bytes | str,
        merge: Merge,
        change: Callable[[bytes], bytes] | None = None,
        *,
        options: RequestOptions = DEFAULTS,
    ) -> PutResult:
        """Read, merge, change, write: the value that `merge` makes of all siblings (none, if
        the key is new; look at `deleted`), as `change` leaves it, replaces them. What others
        write meanwhile stays beside it, for the next update to merge. So `merge` should be
        a join: no order or repetition of siblings may matter. `union`, `highest` and
        `latest` are (cluster.client.resolvers). Raises DynamoError, and whatever these raise.
        """
        read = await self.get(key, options=options)
        value = merge(read.siblings)
        if change is not None:
            value = change(value)
        return await self.put(key, value, context=read.context, options=options)

    def _limit(self, options: RequestOptions) -> float:
        """Seconds for one operation. Raises BadRequest."""
        longer = checked(options).timeout
        return self._timeout if longer is None else max(self._timeout, longer + _ON_THE_WAY)

    async def _write(
        self,
        key: bytes | str,
        value: bytes,
        context: bytes,
        deleted: bool,
        options: RequestOptions,
        request: str | None,
        sent_before: bool,
    ) -> PutResult:
        name, limit = key_bytes(key), self._limit(options)
        content = some_bytes("note" if deleted else "value", value)
        basis = some_bytes("context", context)
        known_as = some_text("request", request) or f"{self._name}.{next(self._requests)}"
        sent_before = yes_or_no("again", sent_before)

        def put(node: Connection, timeout: float, again: bool) -> Awaitable[PutResult]:
            return node.put(
                name,
                content,
                basis,
                request=known_as,
                deleted=deleted,
                options=options,
                timeout=timeout,
                again=again or sent_before,
            )

        return await _Attempts(self._route, name, self._retries).run(put, limit)


#: act(node, seconds left, whether an earlier attempt may have had an effect)
_Act = Callable[[Connection, float, bool], Awaitable[T]]


class _Attempts:
    """One operation, until it has a result, or an error that no other attempt can mend."""

    def __init__(
        self, route: Route, key: bytes, retries: int, elsewhere: frozenset[str] = _ELSEWHERE
    ) -> None:
        """`elsewhere`: the errors after which the next node is asked, each node once."""
        self._route = route
        self._key = key
        self._left = retries
        self._elsewhere = elsewhere
        #: the first error that left open whether the operation took effect
        self._doubt: DynamoError | None = None

    async def run(self, act: _Act[T], timeout: float) -> T:
        """The result of `act` on some node, `timeout` seconds for all attempts together.
        Raises DynamoError."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + timeout
        others = list(await self._route.order(self._key, deadline))
        while True:
            endpoint = others.pop(0)
            try:
                node = await endpoint.connection(deadline)
                result = await act(node, deadline - loop.time(), self._doubt is not None)
            except DynamoError as error:
                if error.code in self._elsewhere:
                    self._route.failed(endpoint)
                    if others:
                        continue
                elif error.code == "timeout":
                    self._route.unanswered(endpoint)
                self._judge(error, deadline - loop.time())
                await asyncio.sleep(min(error.retry_after or BACKOFF[0], deadline - loop.time()))
                others = list(await self._route.order(self._key, deadline))
            else:
                if isinstance(result, PutResult):
                    self._route.coordinated(endpoint, result.worth.coordinator)
                return result

    def _judge(self, error: DynamoError, left: float) -> None:
        """Raises what the caller gets, unless another attempt is due: what is in doubt
        stays so whatever becomes of later attempts."""
        if self._doubt is None and not error.definite:
            self._doubt = error
        self._left -= 1
        kind = ERRORS.get(error.code)
        if kind is None or not kind.retry or self._left < 0 or left <= 0:
            if self._doubt is None or self._doubt is error:
                raise error
            raise self._doubt from error
