"""Gets, puts and deletes with contexts on PouchDB Server's HTTP interface."""

from __future__ import annotations

import http.client
import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from dynamesis.checkers.history.op import Op
from dynamesis.harness.targets.client import BlockingClient, fail, ok, unknown
from dynamesis.harness.targets.pouchdb.documents import (
    STORED,
    Leaf,
    context_of,
    replacing,
    versions,
)
from dynamesis.workloads.client.client import EVICTED, ContextCache
from dynamesis.workloads.client.codec import decode, encode
from msgspec import UNSET, structs

DATABASE = "store"
#: s that one request may take
_TIMEOUT = 3.0
_JSON = {"Accept": "application/json", "Content-Type": "application/json"}


class Refused(Exception):
    """An answer that is not of a request that was carried out: (status, text)."""


class PouchDBClient(BlockingClient):
    """Stays with one node while that answers; an operation may name another. `winner`: reads
    see one leaf only, the one that PouchDB shows by itself, and writes replace that one."""

    def __init__(self, contexts: ContextCache, winner: bool) -> None:
        self._contexts = contexts
        self._winner = winner
        self._turn = 0
        self._token: bytes | None = None
        self._addresses: dict[str, str] = {}
        self._connections: dict[str, http.client.HTTPConnection] = {}

    def connect(self, addresses: Mapping[str, str]) -> None:
        self.disconnect()
        self._addresses = dict(addresses)

    def perform(self, op: Op) -> Op:
        self._token = None
        context = self._contexts.of(op.basis) if isinstance(op.basis, int) else b""
        op = structs.replace(op, node=self._node_for(op), options=None)
        plain = structs.replace(op, value=None, basis=UNSET)
        if context is None:
            return fail(plain, EVICTED, f"the context of index {op.basis} is forgotten")
        try:
            if op.f == "get":
                return self._get(plain)
            return self._write(op, plain, context)
        except ConnectionRefusedError as refused:
            self._turn += 1
            return fail(plain, "unreachable", str(refused))
        except (OSError, http.client.HTTPException) as broken:
            self._turn += 1
            message = f"{type(broken).__name__}: {broken}"
            return (fail if op.f == "get" else unknown)(plain, "disconnected", message)
        except Refused as refused:
            return (fail if op.f == "get" else unknown)(plain, "refused", str(refused))

    def recorded(self, index: int) -> None:
        self._contexts.remember(index, self._token)

    def disconnect(self) -> None:
        for connection in self._connections.values():
            connection.close()
        self._connections = {}

    def _get(self, op: Op) -> Op:
        leaves = self._winning(op) if self._winner else self._leaves(op)
        self._token = context_of(leaves)
        done = ok(op)
        done.siblings = [
            decode(leaf[STORED].encode(), bool(leaf.get("_deleted"))) for leaf in versions(leaves)
        ]
        return done

    def _leaves(self, op: Op) -> list[Leaf]:
        """Every leaf of the document."""
        status, content = self._request(op, "GET", f"{_path(op)}?open_revs=all")
        if status == 404:
            return []
        if status != 200:
            raise Refused(f"{status}: {content}")
        return [entry["ok"] for entry in content if "ok" in entry]

    def _winning(self, op: Op) -> list[Leaf]:
        """The one leaf that a plain GET shows."""
        status, content = self._request(op, "GET", _path(op))
        if status not in (200, 404):
            raise Refused(f"{status}: {content}")
        return [content] if status == 200 else []

    def _write(self, op: Op, plain: Op, context: bytes) -> Op:
        deleted = op.f == "delete"
        if not deleted and op.f != "put":
            raise ValueError(f"a client of pouchdb cannot do {op.f!r}")
        stored = encode(op.id or "", op.value).decode()
        edits = replacing(op.key or "", op.id or "", stored, context, deleted)
        body = {"new_edits": False, "docs": edits}
        status, content = self._request(op, "POST", f"/{DATABASE}/_bulk_docs", body)
        refused = [entry for entry in content if "error" in entry] if status == 201 else [content]
        if refused:
            raise Refused(f"{status}: {refused}")
        self._token = json.dumps([edits[0]["_rev"]]).encode()
        return ok(plain)

    def _request(self, op: Op, method: str, path: str, body: object = None) -> tuple[int, Any]:
        node = op.node or ""
        connection = self._connections.get(node)
        if connection is None:
            connection = http.client.HTTPConnection(self._addresses[node], timeout=_TIMEOUT)
            self._connections[node] = connection
        sent = None if body is None else json.dumps(body)
        try:
            connection.request(method, path, sent, _JSON)
            answer = connection.getresponse()
            return answer.status, json.loads(answer.read() or b"null")
        except (OSError, ValueError, http.client.HTTPException):
            self._connections.pop(node).close()
            raise

    def _node_for(self, op: Op) -> str:
        if op.node in self._addresses:
            return op.node or ""
        nodes = list(self._addresses)
        return nodes[(self.thread + self._turn) % len(nodes)]


def _path(op: Op) -> str:
    return f"/{DATABASE}/{quote(op.key or '', safe='')}"
