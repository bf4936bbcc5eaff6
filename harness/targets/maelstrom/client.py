"""The client of one thread: asks one node, over a connection to the harness's router.

Every connection is a client of its own for the programs. What is not answered in time is unknown,
and the next operation is another client's, as with Maelstrom.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgspec
from dynamesis.checkers.history.op import Op
from dynamesis.harness.targets.client import Client, fail, ok, unknown
from dynamesis.harness.targets.maelstrom.errors import MISMATCH, NO_KEY, code_of
from dynamesis.harness.targets.maelstrom.messages import LONGEST, Body
from dynamesis.harness.targets.maelstrom.wire import ClientRequest, Malformed, Requests

#: The code of a compare-and-set that met another value, or no key, as evidence knows it.
_NOT_MET = "cas-mismatch"


@dataclass
class _Connection:
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter


class MaelstromClient(Client):
    """Asks the node of its thread, or the one that an operation names. `requests`: how each f of
    the workload is asked for."""

    def __init__(self, requests: Requests) -> None:
        self._requests = requests
        self._addresses: dict[str, str] = {}
        self._connections: dict[str, _Connection] = {}
        self._number = 0

    async def open(self, addresses: Mapping[str, str]) -> None:
        self._addresses = dict(addresses)

    async def invoke(self, op: Op) -> Op:
        request = self._requests[op.f]
        nodes = tuple(self._addresses)
        node = op.node or nodes[self.thread % len(nodes)]
        body = await self._ask(node, {"type": request.kind, **request.fields(op)})
        if body.get("type") == "error":
            return _refused(op, request, body, node)
        if body.get("type") != f"{request.kind}_ok":
            return await self._complain(node, op, request, body, f'type is "{request.kind}_ok"')
        if request.value is None:
            return ok(op, node=node)
        try:
            return ok(op, request.value(op, body), node)
        except Malformed as wrong:
            return await self._complain(node, op, request, body, str(wrong))

    async def close(self) -> None:
        for connection in self._connections.values():
            connection.writer.close()
        self._connections.clear()

    async def _ask(self, node: str, body: Body) -> Body:
        """The answer to a request; late ones to earlier requests are passed over."""
        connection = await self._connected(node)
        self._number += 1
        await _send(connection, {**body, "msg_id": self._number})
        while line := await connection.reader.readline():
            answer: Body = msgspec.json.decode(line)
            if answer.get("in_reply_to") == self._number:
                return answer
        raise ConnectionError(f"{node} ended before it answered")

    async def _complain(
        self, node: str, op: Op, request: ClientRequest, body: Body, right: str
    ) -> Op:
        """Report an answer that is not as the workload has it: the node is stopped for that."""
        shown = msgspec.json.encode(body).decode()
        complaint = f"{node} answered {request.kind} by {shown[:400]}: right is that {right}"
        await _send(self._connections[node], {"complaint": complaint})
        return unknown(op, "malformed-answer", complaint, node)

    async def _connected(self, node: str) -> _Connection:
        known = self._connections.get(node)
        if known is None or known.reader.at_eof():
            host, _, port = self._addresses[node].rpartition(":")
            opened = await asyncio.open_connection(host, int(port), limit=LONGEST)
            self._connections[node] = _Connection(*opened)
        return self._connections[node]


async def _send(connection: _Connection, body: Body) -> None:
    connection.writer.write(msgspec.json.encode(body) + b"\n")
    await connection.writer.drain()


def _refused(op: Op, request: ClientRequest, body: Body, node: str) -> Op:
    """The completion after an error. What only reads has changed nothing, whatever the error; that
    a key does not exist is what a read of it shows."""
    number, text = body.get("code"), str(body.get("text") or "")
    if request.absent and number == NO_KEY:
        return ok(op, None, node)
    if op.f == "cas" and number in (NO_KEY, MISMATCH):
        return fail(op, _NOT_MET, text, node)
    code = code_of(number)
    changes = _changes(op)
    return (fail if code.definite or not changes else unknown)(op, code.name, text, node)


def _changes(op: Op) -> bool:
    if op.f == "txn":
        return any(mop[0] != "r" for mop in _mops(op))
    return op.f not in ("read", "echo", "generate")


def _mops(op: Op) -> list[list[Any]]:
    return list(op.value)
