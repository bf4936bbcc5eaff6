"""Gets, puts and deletes with contexts on PouchDB Server's HTTP interface."""

from __future__ import annotations

import http.client
import json
from collections.abc import Mapping
from time import monotonic
from typing import Any
from urllib.parse import quote

from dynamesis.checkers.history.op import Op
from dynamesis.harness.targets.client import BlockingClient, fail, ok, unknown
from dynamesis.harness.targets.pouchdb.documents import (
    Leaf,
    LeafContext,
    context_of,
    replacing,
    versions,
)
from dynamesis.workloads.client.client import EVICTED, ContextCache
from dynamesis.workloads.client.codec import decode, encode
from msgspec import UNSET, convert, structs
from msgspec.json import decode as json_decode
from msgspec.json import encode as json_encode

DATABASE = "store"
#: s that one request may take
_TIMEOUT = 6.0
#: s that a connection is kept without requests: Node.js closes it after 5
_IDLE = 2.0
_JSON = {"Accept": "application/json", "Content-Type": "application/json"}


class RefusedByServer(Exception):
    """An answer other than that of a request that was carried out."""


class PouchDBClient(BlockingClient):
    """Stays with one node while that answers; an operation may name another."""

    def __init__(self, contexts: ContextCache, winner: bool, listed: bool) -> None:
        """`winner`: reads see one leaf only, the one that PouchDB shows by itself, and writes
        replace that one; `listed`: revisions list what was merged."""
        self._contexts = contexts
        self._winner = winner
        self._listed = listed
        self._turn = 0
        self._token: bytes | None = None
        self._addresses: dict[str, str] = {}
        self._connections: dict[str, http.client.HTTPConnection] = {}
        self._used: dict[str, float] = {}

    def connect(self, addresses: Mapping[str, str]) -> None:
        self.disconnect()
        self._addresses = dict(addresses)

    def perform(self, op: Op) -> Op:
        self._token = None
        basis = self._contexts.of(op.basis) if isinstance(op.basis, int) else b""
        op = structs.replace(op, node=self._node_for(op), options=None)
        done = structs.replace(op, value=None, basis=UNSET)
        if basis is None:
            return fail(done, EVICTED, f"the context of index {op.basis} is forgotten")
        context = json_decode(basis, type=LeafContext) if basis else LeafContext(op.key or "")
        if context.key != op.key:
            return fail(done, "bad-context", f"the context is of {context.key}")
        in_doubt = fail if op.f == "get" else unknown
        try:
            return self._get(done) if op.f == "get" else self._write(op, done, context)
        except ConnectionRefusedError as refused:
            self._turn += 1
            return fail(done, "unreachable", str(refused))
        except (OSError, http.client.HTTPException) as broken:
            self._turn += 1
            return in_doubt(done, "disconnected", f"{type(broken).__name__}: {broken}")
        except RefusedByServer as refused:
            return in_doubt(done, "refused", str(refused))

    def recorded(self, index: int) -> None:
        self._contexts.remember(index, self._token)

    def disconnect(self) -> None:
        for connection in self._connections.values():
            connection.close()
        self._connections = {}

    def _get(self, done: Op) -> Op:
        found = versions(self._winning(done) if self._winner else self._leaves(done))
        self._token = json_encode(context_of(done.key or "", found))
        done.siblings = [decode(leaf.stored.encode(), leaf.deleted) for leaf in found]
        return ok(done)

    def _leaves(self, op: Op) -> list[Leaf]:
        """Every leaf of the document."""
        status, content = self._request(op, "GET", f"{_path(op)}?open_revs=all")
        if status == 404:
            return []
        if status != 200:
            raise RefusedByServer(f"{status}: {content}")
        return [convert(entry["ok"], Leaf) for entry in content if "ok" in entry]

    def _winning(self, op: Op) -> list[Leaf]:
        """The one leaf that a plain GET shows."""
        status, content = self._request(op, "GET", _path(op))
        if status not in (200, 404):
            raise RefusedByServer(f"{status}: {content}")
        return [convert(content, Leaf)] if status == 200 else []

    def _write(self, op: Op, done: Op, context: LeafContext) -> Op:
        if op.f not in ("put", "delete"):
            raise ValueError(f"a client of pouchdb cannot do {op.f!r}")
        id = op.id or ""
        stored = encode(id, op.value).decode()
        docs, after = replacing(context, id, stored, op.f == "delete", self._listed)
        body = {"new_edits": False, "docs": docs}
        status, content = self._request(op, "POST", f"/{DATABASE}/_bulk_docs", body)
        refused = [entry for entry in content if "error" in entry] if status == 201 else [content]
        if refused:
            raise RefusedByServer(f"{status}: {refused}")
        self._token = json_encode(after)
        return ok(done)

    def _request(self, op: Op, method: str, path: str, body: object = None) -> tuple[int, Any]:
        node = op.node or ""
        connection = self._connection(node)
        sent = None if body is None else json.dumps(body)
        try:
            connection.request(method, path, sent, _JSON)
            answer = connection.getresponse()
            return answer.status, json.loads(answer.read() or b"null")
        except (OSError, ValueError, http.client.HTTPException):
            self._connections.pop(node).close()
            raise

    def _connection(self, node: str) -> http.client.HTTPConnection:
        """A connection that the node has not closed for having been idle."""
        now, used = monotonic(), self._used.get(node, 0.0)
        self._used[node] = now
        if node in self._connections and now - used > _IDLE:
            self._connections.pop(node).close()
        if node not in self._connections:
            opened = http.client.HTTPConnection(self._addresses[node], timeout=_TIMEOUT)
            self._connections[node] = opened
        return self._connections[node]

    def _node_for(self, op: Op) -> str:
        if op.node in self._addresses:
            return op.node or ""
        nodes = list(self._addresses)
        return nodes[(self.thread + self._turn) % len(nodes)]


def _path(op: Op) -> str:
    return f"/{DATABASE}/{quote(op.key or '', safe='')}"
