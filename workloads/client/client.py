"""Carries operations of a history out on a Dynamo cluster.

A basis in the history is the number of a completion; the store wants the context bytes
that came with it. ContextCache keeps these by number for the whole run. Errors become fail or
info by the one table in cluster.core.protocol.errors: what the table does not call definite may
have taken effect, and nothing here decides otherwise.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Mapping
from ssl import SSLContext

import msgspec
from dynamesis.checkers.history.op import Op, OpError
from dynamesis.cluster.client.client import (
    Client,
    Connect,
    Connection,
    DynamoError,
    GetResult,
    PutResult,
    RequestOptions,
)
from dynamesis.cluster.client.validation import DEFAULTS
from dynamesis.workloads.client.codec import decode, encode
from dynamesis.workloads.script.requests import DIRECT, HEDGE, OTHER, RETRY, TO_NODES
from msgspec import UNSET

__all__ = ["ContextCache", "DynamoClient", "decode", "encode"]

#: The error of a write whose context is no longer known. It was never sent.
EVICTED = "context-evicted"

#: After these the next operation goes to the next node: this one may be gone.
_MOVE_ON = frozenset({"unreachable", "stopping", "not-ready", "timeout", "disconnected"})


#: Seconds after which a client tries the node again that it began with. Every second one comes
#: back early to a node that did not let it wait, as one whose process is gone: what a node does in
#: the first moments of a life shows to no other.
HOME_RETRY_S, EARLY_RETRY_S = 1.5, 0.05

#: How often an operation is sent that is to be sent again while it is in doubt, and the first
#: pause between two tries, s; each of the others is twice as long as the one before.
TRIES, PAUSE = 4, 0.05

#: s after which a client that looks for primaries itself fetches them again.
REFRESH = 2.0


class ContextCache:
    """Context bytes by index of the completion that brought them; the longest unused are
    forgotten beyond `limit`."""

    def __init__(self, limit: int = 1 << 16) -> None:
        self._limit = limit
        self._tokens: OrderedDict[int, bytes] = OrderedDict()

    def remember(self, index: int, token: bytes | None) -> None:
        """The completion at `index` came with this context; None: with none."""
        if token is None:
            return
        self._tokens[index] = token
        while len(self._tokens) > self._limit:
            self._tokens.popitem(last=False)

    def of(self, index: int) -> bytes | None:
        """The context that the completion at `index` came with; None if forgotten."""
        token = self._tokens.get(index)
        if token is not None:
            self._tokens.move_to_end(index)
        return token


class DynamoClient:
    """One worker's client. It stays with one node as long as that answers, and comes back to
    it after a while: a node that was away is the likeliest to be wrong. An operation may name
    another node (`node`)."""

    def __init__(
        self,
        contexts: ContextCache,
        number: int = 0,
        timeout: float = 3.0,
        tls: SSLContext | None = None,
        connect: Connect = Connection.open,
        hello_timeout: float = 1.0,
    ) -> None:
        """`number`: of this worker, which decides the node it begins with; `timeout`: for
        one operation, in s, longer than what nodes take to give up themselves;
        `hello_timeout`: for one connection to come about, in s; `tls`: how to check the
        nodes' certificates, where they have any; `connect`: opens a connection."""
        self._contexts = contexts
        self._home = self._turn = number
        self._away_until = 0.0
        self._timeout = timeout
        self._tls = tls
        self._connect = connect
        self._hello_timeout = hello_timeout
        self._clients: dict[str, Client] = {}
        self._addresses: dict[str, str] = {}
        self._primaries: Client | None = None
        #: second tries that are under way
        self._hedges: dict[asyncio.Future[GetResult | PutResult], None] = {}

    @property
    def _direct(self) -> Client:
        """The client that goes straight to a primary; made when first used."""
        if self._primaries is None:
            addresses = list(self._addresses.values())
            self._primaries = Client(
                addresses,
                cluster="",
                timeout=self._timeout,
                hello_timeout=self._hello_timeout,
                tls=self._tls,
                client_driven=True,
                refresh=REFRESH,
                connect=self._connect,
            )
        return self._primaries

    async def open(self, addresses: Mapping[str, str]) -> None:
        """Learn the nodes: id -> host:port. Connections come about when first needed. When
        nodes join and leave, it may be called again; nodes that stay keep their connections."""
        for node in [node for node in self._clients if node not in addresses]:
            self._clients.pop(node).close()
        if self._primaries is not None and self._addresses != dict(addresses):
            self._primaries.close()
            self._primaries = None
        self._addresses = dict(addresses)
        for node, address in addresses.items():
            if node not in self._clients:
                self._clients[node] = Client(
                    [address],
                    cluster="",
                    timeout=self._timeout,
                    hello_timeout=self._hello_timeout,
                    tls=self._tls,
                    connect=self._connect,
                )

    async def close(self) -> None:
        """Close every connection."""
        for second in self._hedges:
            second.cancel()
        for client in self._clients.values():
            client.close()
        if self._primaries is not None:
            self._primaries.close()

    async def invoke(self, op: Op) -> tuple[Op, bytes | None]:
        """The completion of a get, put or delete, with the context that came with it: to
        be remembered under the completion's index. Never raises DynamoError."""
        context = self._contexts.of(op.basis) if isinstance(op.basis, int) else b""
        node, asked = self._node_for(op), dict(op.options or {})
        done = msgspec.structs.replace(
            op, index=-1, time=-1, value=None, basis=UNSET, node=node, options=None
        )
        if context is None:
            done.type = "fail"
            done.error = OpError(EVICTED, True, f"the context of index {op.basis} is forgotten")
            return done, None
        doubt: DynamoError | None = None
        for tries in range(1, TRIES + 1):
            client = self._clients.get(node or "") or self._direct
            try:
                result = await self._send(client, op, context, doubt is not None)
            except DynamoError as error:
                if doubt is None:
                    done.node = node or self._named(error.node)
                    doubt = None if error.definite else error
                if error.code in _MOVE_ON and op.node is None and node is not None:
                    self._move_on(error.code)
                if doubt is None or RETRY not in asked or tries == TRIES:
                    return _refused(done, doubt or error, tries), None
                await asyncio.sleep(PAUSE * 2 ** (tries - 1))
                node = self._other(node) if asked[RETRY] == OTHER else node
            else:
                return _answered(done, result, tries), result.context
        raise AssertionError("the last try returns")

    async def _send(
        self, client: Client, op: Op, context: bytes, again: bool
    ) -> GetResult | PutResult:
        """Send an operation, or, of one to be hedged, the first try twice: the second as long as
        the first is under way. Raises DynamoError."""
        if again or not (op.options or {}).get(HEDGE):
            return await _perform(client, op, context, again)
        first = asyncio.ensure_future(_perform(client, op, context, False))
        await asyncio.sleep(0)  # the first goes out before the second
        second = asyncio.ensure_future(_perform(client, op, context, True))
        self._hedges[second] = None
        second.add_done_callback(self._hedged)
        try:
            return await first
        except DynamoError as error:
            if error.definite:
                raise
            try:
                return await second
            except DynamoError:
                raise error from None

    def _hedged(self, second: asyncio.Future[GetResult | PutResult]) -> None:
        """A second try ended, which was one write with the first: what came of it adds nothing."""
        self._hedges.pop(second, None)
        if not second.cancelled():
            second.exception()

    def _node_for(self, op: Op) -> str | None:
        """The node to ask; None: one that the client itself finds to be a primary."""
        if op.node in self._clients:
            return op.node
        if (op.options or {}).get(DIRECT):
            return None
        nodes = tuple(self._clients)
        if asyncio.get_running_loop().time() >= self._away_until:
            self._turn = self._home
        return nodes[self._turn % len(nodes)]

    def _move_on(self, code: str) -> None:
        """The next operation goes to the next node: this one has failed so."""
        self._turn += 1
        early = self._home % 2 == 1 and code != "timeout"
        away = EARLY_RETRY_S if early else HOME_RETRY_S
        self._away_until = asyncio.get_running_loop().time() + away

    def _other(self, node: str | None) -> str:
        """The node after this one."""
        nodes = tuple(self._clients)
        return nodes[(nodes.index(node) + 1) % len(nodes)] if node in nodes else nodes[0]

    def _named(self, named: str) -> str | None:
        """A node by its id or its address."""
        by_address = {address: node for node, address in self._addresses.items()}
        return named if named in self._clients else by_address.get(named)


async def _perform(client: Client, op: Op, context: bytes, again: bool) -> GetResult | PutResult:
    """Send an operation, for the first time or `again`. Raises DynamoError."""
    key, asked = (op.key or "").encode(), op.options or {}
    to_nodes = {name: asked[name] for name in TO_NODES if name in asked} if asked else None
    options = RequestOptions(**to_nodes) if to_nodes else DEFAULTS
    if op.f == "get":
        return await client.get(key, options=options)
    stored = encode(op.id or "", op.value)
    if op.f == "put":
        return await client.put(
            key, stored, context=context, options=options, request=_request(op), again=again
        )
    if op.f == "delete":
        return await client.delete(
            key, context=context, options=options, note=stored, request=_request(op), again=again
        )
    raise ValueError(f"a Dynamo client cannot do {op.f!r}")


def _request(op: Op) -> str | None:
    """What identifies the write of an operation, however often it is sent. One without an id has
    the place in its history: what a client draws would be another in each run of a seed."""
    return op.id if op.id or op.index < 0 else f"op{op.process}.{op.index}"


def _refused(done: Op, error: DynamoError, tries: int) -> Op:
    """The completion of an operation that has no result."""
    done.type = "fail" if error.definite else "info"
    done.time = error.arrived or -1
    done.error = OpError(error.code, error.definite, error.message)
    return _after(done, tries)


def _answered(done: Op, result: GetResult | PutResult, tries: int) -> Op:
    """The completion of an operation that has a result."""
    done.type = "ok"
    done.time = result.arrived or -1
    done.node = result.node
    worth = msgspec.structs.asdict(result.worth)
    done.worth = {name: claim for name, claim in worth.items() if claim is not None}
    if isinstance(result, GetResult) or result.siblings:
        done.siblings = [decode(each.value, each.deleted) for each in result.siblings]
    return _after(done, tries)


def _after(done: Op, tries: int) -> Op:
    if tries > 1:
        done.options = {"tries": tries}
    return done
