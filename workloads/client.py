"""Carries operations of a history out on a Dynamo cluster.

A basis in the history is the number of a completion; the store wants the context bytes
that came with it. Contexts keeps these by number for the whole run. Errors become fail or
info by the one table in cluster.core.errors: what the table does not call definite may
have taken effect, and nothing here decides otherwise.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from ssl import SSLContext
from time import monotonic

import msgspec
from msgspec import UNSET

from checkers.op import Op, OpError
from cluster.client import Client, DynamoError, GetResult, PutResult

from .stored import decode, encode

__all__ = ["Contexts", "DynamoClient", "decode", "encode"]

#: The error of a write whose context is no longer known. It was never sent.
EVICTED = "context-evicted"

#: After these the next operation goes to the next node: this one may be gone.
_MOVE_ON = frozenset({"unreachable", "stopping", "not-ready", "timeout", "disconnected"})


#: Seconds after which a client tries the node again that it began with.
HOMESICK = 1.5


class Contexts:
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
    it after a while: a node that was away is where most can be wrong. An operation may name
    another node (`node`)."""

    def __init__(
        self,
        contexts: Contexts,
        number: int = 0,
        timeout: float = 3.0,
        tls: SSLContext | None = None,
    ) -> None:
        """`number`: of this worker, which decides the node it begins with; `timeout`: for
        one operation, in s, longer than what nodes take to give up themselves; `tls`: how
        to check the nodes' certificates, where they have any."""
        self._contexts = contexts
        self._home = self._turn = number
        self._away_until = 0.0
        self._timeout = timeout
        self._tls = tls
        self._clients: dict[str, Client] = {}

    async def open(self, addresses: Mapping[str, str]) -> None:
        """Learn the nodes: id -> host:port. Connections come about when first needed. When
        nodes come and go, it may be told anew; what stays keeps its connections."""
        for node in [node for node in self._clients if node not in addresses]:
            self._clients.pop(node).close()
        for node, address in addresses.items():
            if node not in self._clients:
                self._clients[node] = Client(
                    [address], cluster="", timeout=self._timeout, tls=self._tls
                )

    async def close(self) -> None:
        """Close every connection."""
        for client in self._clients.values():
            client.close()

    async def invoke(self, op: Op) -> tuple[Op, bytes | None]:
        """The completion of a get, put or delete, with the context that came with it: to
        be remembered under the completion's index. Never raises DynamoError."""
        nodes = tuple(self._clients)
        if monotonic() >= self._away_until:
            self._turn = self._home
        node = op.node if op.node in self._clients else nodes[self._turn % len(nodes)]
        done = msgspec.structs.replace(op, index=-1, time=-1, value=None, basis=UNSET, node=node)
        try:
            result = await self._perform(self._clients[node], op)
        except DynamoError as error:
            if error.code in _MOVE_ON and op.node is None:
                self._turn += 1
                self._away_until = monotonic() + HOMESICK
            done.type = "fail" if error.definite else "info"
            done.error = OpError(error.code, error.definite, error.message)
            return done, None
        if result is None:
            done.type = "fail"
            done.error = OpError(EVICTED, True, f"the context of index {op.basis} is forgotten")
            return done, None
        done.type = "ok"
        worth = msgspec.structs.asdict(result.worth)
        done.worth = {name: claim for name, claim in worth.items() if claim is not None}
        if isinstance(result, GetResult):
            done.siblings = [decode(each.value, each.deleted) for each in result.siblings]
        return done, result.context

    async def _perform(self, client: Client, op: Op) -> GetResult | PutResult | None:
        """None: the context of the basis is forgotten, and nothing was sent."""
        key = (op.key or "").encode()
        if op.f == "get":
            return await client.get(key)
        context = self._contexts.of(op.basis) if isinstance(op.basis, int) else b""
        if context is None:
            return None
        stored = encode(op.id or "", op.value)
        if op.f == "put":
            return await client.put(key, stored, context=context, request=op.id)
        if op.f == "delete":
            return await client.delete(key, context=context, note=stored, request=op.id)
        raise ValueError(f"a Dynamo client cannot do {op.f!r}")
