"""The store as a library.

    async with Client(["127.0.0.1:7101", "127.0.0.1:7102"]) as store:
        await store.put(b"cart", b"[]")
        read = await store.get(b"cart")
        await store.put(b"cart", b'["book"]', context=read.context)
        await store.update(b"cart", union)

A get may return several siblings: versions that no writer has yet declared merged. A put
that carries the context of a get replaces exactly what that get returned, and nothing
that was written meanwhile; a put without context replaces nothing.

Errors are typed (cluster.failures), and each says whether the operation certainly took no
effect. Nothing is retried behind the caller's back once it may have been sent.
"""

from __future__ import annotations

import asyncio
import secrets
import ssl
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from itertools import count
from typing import Literal, Self, TypeVar

from cluster.core.messages import (
    Answer,
    Get,
    GetReply,
    Hello,
    Message,
    Options,
    Put,
    PutReply,
    Question,
    Refusal,
    Version,
    Welcome,
    Worth,
)
from cluster.failures import (
    BadRequest,
    DynamoError,
    InDoubt,
    NoQuorum,
    StorageFailure,
    Unavailable,
    Unreachable,
    failure,
)
from cluster.stream import DialFailed, Dialled, dial
from cluster.wire import CLIENT_LIMIT, NODE_LIMIT, WireError

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

#: seconds between two attempts to reach a node: doubling from the first to the second
BACKOFF = (0.05, 0.5)
#: what another node may well do although this one did not
_ELSEWHERE = frozenset({"unreachable", "stopping", "not-ready"})

T = TypeVar("T")
_DEFAULTS = Options()


@dataclass(frozen=True, slots=True)
class GetResult:
    """`siblings`: every version that stands, tombstones included. `context`: hand it back
    with the put that replaces them. `worth`: which nodes the answer rests on. `node`: who
    was asked."""

    siblings: tuple[Version, ...]
    context: bytes
    worth: Worth
    node: str

    @property
    def values(self) -> tuple[bytes, ...]:
        """The siblings that are not deletions."""
        return tuple(version.value for version in self.siblings if not version.deleted)


@dataclass(frozen=True, slots=True)
class PutResult:
    """`context` covers the version just written and what the put replaced. `siblings` only
    with the option return_body."""

    context: bytes
    worth: Worth
    node: str
    siblings: tuple[Version, ...] = ()


class _Conversation(Dialled):
    """Answers find their questions by rid, in whatever order they come."""

    def __init__(self, mine: Hello, limit: int, secret: str | None) -> None:
        super().__init__(mine, limit, CLIENT_LIMIT, secret)
        self.waiting: dict[int, asyncio.Future[Message]] = {}
        self.refusal = ""

    def on_answer(self, message: Message) -> None:
        if isinstance(message, Refusal) and message.rid == 0:
            self.refusal = message.message  # the node is about to hang up
        elif isinstance(message, Hello | Welcome):
            self.fault(f"{type(message).__name__} came twice")
        elif (future := self.waiting.pop(message.rid, None)) is not None and not future.done():
            future.set_result(message)

    def on_close(self, reason: str) -> None:
        super().on_close(reason)
        for future in self.waiting.values():
            if not future.done():
                future.set_exception(ConnectionError(self.refusal or reason))


class Connection:
    """One connection to one node; any number of questions may be under way on it."""

    def __init__(self, conversation: _Conversation, node: str) -> None:
        self.node = node
        self._conversation = conversation
        self._rids = count(1)

    @classmethod
    async def open(
        cls,
        address: str,
        cluster: str = "dynamesis",
        timeout: float = 1.0,
        limit: int = NODE_LIMIT,
        role: Literal["client", "admin"] = "client",
        secret: str | None = None,
        tls: ssl.SSLContext | None = None,
    ) -> Connection:
        """Connect, and wait for HELLO, `timeout` seconds in all. `cluster` "" takes any;
        `limit`: largest answer, bytes; `secret`: prove that it is known. Raises Unreachable:
        nothing was sent."""
        conversation = _Conversation(Hello("", cluster, role=role), limit, secret)
        try:
            theirs = await dial(address, conversation, timeout, tls)
        except DialFailed as error:
            raise failure("unreachable", str(error), address) from error
        return cls(conversation, theirs.node)

    @property
    def closed(self) -> bool:
        return self._conversation.closing

    async def ask(self, question: Callable[[int], Question], timeout: float) -> Answer:
        """The answer to question(rid), within `timeout` seconds. Raises DynamoError."""
        rid = next(self._rids)
        future: asyncio.Future[Message] = asyncio.get_running_loop().create_future()
        if self.closed:
            raise failure("unreachable", "the connection was closed", self.node)
        try:
            self._conversation.send(question(rid))
            self._conversation.waiting[rid] = future
            async with asyncio.timeout(timeout):
                answer = await future
        except WireError as error:
            raise failure("value-too-large", str(error), self.node) from error
        except TimeoutError:
            raise failure("timeout", f"no answer within {timeout:g} s", self.node) from None
        except ConnectionError as error:
            raise failure("disconnected", str(error), self.node) from error
        finally:
            self._conversation.waiting.pop(rid, None)
        if isinstance(answer, Refusal):
            raise failure(answer.code, answer.message, self.node, answer.retry_after)
        return answer  # type: ignore[return-value]

    async def get(
        self, key: bytes, options: Options = _DEFAULTS, timeout: float = 5.0
    ) -> GetResult:
        """Every version of `key` that stands. Raises DynamoError."""
        reply = _as(GetReply, await self.ask(lambda rid: Get(rid, key, options), timeout))
        return GetResult(reply.siblings, reply.context, reply.worth, self.node)

    async def put(
        self,
        key: bytes,
        value: bytes,
        context: bytes = b"",
        *,
        request: str,
        deleted: bool = False,
        options: Options = _DEFAULTS,
        timeout: float = 5.0,
    ) -> PutResult:
        """Write a version. `request` names this write for good: the same write sent again
        carries the same. Raises DynamoError."""
        reply = _as(
            PutReply,
            await self.ask(
                lambda rid: Put(rid, request, key, value, context, deleted, options), timeout
            ),
        )
        return PutResult(reply.context, reply.worth, self.node, reply.siblings)

    def close(self) -> None:
        """What is under way ends as "disconnected"."""
        self._conversation.close("closed by this client")


class _Endpoint:
    """One address: connected, or dialled when asked for, no more often than BACKOFF."""

    def __init__(
        self,
        address: str,
        cluster: str,
        hello_timeout: float,
        secret: str | None,
        tls: ssl.SSLContext | None,
    ) -> None:
        self._address = address
        self._cluster = cluster
        self._hello_timeout = hello_timeout
        self._secret = secret
        self._tls = tls
        self._connection: Connection | None = None
        self._dialling = asyncio.Lock()
        self._delay = 0.0
        self._not_before = 0.0

    async def connection(self, deadline: float) -> Connection:
        """Raises Unreachable, at `deadline` (loop time) at the latest."""
        try:
            async with asyncio.timeout_at(deadline), self._dialling:
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
        connection = await Connection.open(
            self._address,
            self._cluster,
            self._hello_timeout,
            secret=self._secret,
            tls=self._tls,
        )
        self._delay = 0.0
        return connection

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()


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
    ) -> None:
        """`timeout`: for one operation, all attempts together; `hello_timeout`: for one
        connection to come about. Seconds. `secret` where clients must know it; `tls` as
        cluster.tls.dialling makes it."""
        self._endpoints = [
            _Endpoint(address, cluster, hello_timeout, secret, tls) for address in addresses
        ]
        self._timeout = timeout
        self._current = 0
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
        return await self._attempt(lambda node, timeout: node.get(key, options, timeout))

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

        return await self._attempt(put)

    async def _attempt(self, act: Callable[[Connection, float], Awaitable[T]]) -> T:
        """`act` on one node, or on the next if that one certainly did nothing."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self._timeout
        left = len(self._endpoints)
        while True:
            left -= 1
            try:
                node = await self._endpoints[self._current].connection(deadline)
                return await act(node, deadline - loop.time())
            except DynamoError as error:
                if error.code in _ELSEWHERE:
                    self._current = (self._current + 1) % len(self._endpoints)
                if error.code not in _ELSEWHERE or not left:
                    raise


def _as(kind: type[T], answer: Answer) -> T:
    if not isinstance(answer, kind):
        raise failure("disconnected", f"{type(answer).__name__} is no {kind.__name__}")
    return answer
