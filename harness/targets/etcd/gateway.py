"""One node of etcd over its JSON gateway: ranges and transactions, keys and values as text.

What counts in an error is whether etcd has proposed the request to Raft: what it refused before
that certainly did not happen. A time-out, a lost connection, a change of leader leave it open.
"""

from __future__ import annotations

import http.client
import json
import select
from base64 import b64decode, b64encode
from dataclasses import dataclass
from typing import Any

#: s to connect, and that a node may take to show that it is there
_GREETING = 1.0
#: What etcd answers to a request that it has not proposed (api/v3rpc/rpctypes/error.go, and
#: raft.ErrProposalDropped, which a node without a leader returns).
DEFINITE = (
    "etcdserver: no leader",
    "etcdserver: too many requests",
    "etcdserver: not capable",
    "raft proposal dropped",
)


class Refused(Exception):
    """The request certainly had no effect."""


class Unanswered(Exception):
    """The request may have had its effect, or may still have it."""


@dataclass(frozen=True)
class Held:
    """What a key holds. `revision`: of its last change, 0 where it was never written."""

    text: str | None = None
    revision: int = 0


class Gateway:
    """A connection to one node. It blocks."""

    def __init__(self, name: str, address: str, limit: float) -> None:
        """`limit`: s that an answer may take."""
        self.name = name
        self._address = address
        self._limit = limit
        self._connection: http.client.HTTPConnection | None = None

    def range(self, key: str, prefix: bool = False, serializable: bool = False) -> dict[str, Held]:
        """What a key, or every key that begins so, holds. Serializable reads are answered by
        the node alone, and may be stale. Raises Refused, Unanswered."""
        return _rows(self.call("kv/range", wanted(key, prefix, serializable)))

    def transact(
        self, compare: list[dict[str, Any]], success: list[dict[str, Any]]
    ) -> tuple[bool, list[dict[str, Held]]]:
        """Whether all comparisons held, so that the operations were done, and what those that
        read have found, in their order. Raises Refused, Unanswered."""
        answer = self.call("kv/txn", {"compare": compare, "success": success})
        reads = (part.get("response_range") for part in answer.get("responses", ()))
        return bool(answer.get("succeeded")), [_rows(read) for read in reads if read is not None]

    def call(self, path: str, content: dict[str, Any]) -> dict[str, Any]:
        """The answer to one request. Raises Refused, Unanswered."""
        connection = self._ready()
        try:
            connection.request("POST", f"/v3/{path}", json.dumps(content))
            answer = connection.getresponse()
            body = answer.read()
            found: dict[str, Any] = json.loads(body) if body else {}
        except (OSError, http.client.HTTPException, ValueError) as failure:
            self.close()
            raise Unanswered(f"{self.name}: {type(failure).__name__}: {failure}") from failure
        if answer.status == 200:
            return found
        message = str(found.get("error") or found.get("message") or f"HTTP {answer.status}")
        if message.startswith(DEFINITE):
            raise Refused(f"{self.name}: {message}")
        raise Unanswered(f"{self.name}: {message}")

    def close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def _ready(self) -> http.client.HTTPConnection:
        """A connection over which the node has answered, and that it has not closed since: a
        request that is lost on a dead one would be in doubt for nothing. Raises Refused."""
        connection = self._connection
        if connection is not None and connection.sock is not None and not _ended(connection):
            return connection
        self.close()
        connection = http.client.HTTPConnection(self._address, timeout=_GREETING)
        try:
            connection.request("GET", "/version")
            connection.getresponse().read()
        except (OSError, http.client.HTTPException) as failure:
            connection.close()
            raise Refused(f"{self.name}: {type(failure).__name__}: {failure}") from failure
        if connection.sock is not None:
            connection.sock.settimeout(self._limit)
        self._connection = connection
        return connection


def _ended(connection: http.client.HTTPConnection) -> bool:
    """Whether the other end has closed it: there is something to be read, and nothing was asked."""
    return bool(select.select([connection.sock], [], [], 0)[0])


def wanted(key: str, prefix: bool = False, serializable: bool = False) -> dict[str, Any]:
    """A RangeRequest."""
    request: dict[str, Any] = {"key": encoded(key)}
    if prefix:
        request["range_end"] = encoded(key[:-1] + chr(ord(key[-1]) + 1))
    if serializable:
        request["serializable"] = True
    return request


def put(key: str, text: str) -> dict[str, Any]:
    """A RequestOp that writes."""
    return {"request_put": {"key": encoded(key), "value": encoded(text)}}


def read(key: str) -> dict[str, Any]:
    """A RequestOp that reads."""
    return {"request_range": wanted(key)}


def holds(key: str, text: str) -> dict[str, Any]:
    """A Compare: the key holds this text."""
    return {"key": encoded(key), "target": "VALUE", "result": "EQUAL", "value": encoded(text)}


def unchanged(key: str, revision: int) -> dict[str, Any]:
    """A Compare: the key was last changed at this revision."""
    return {"key": encoded(key), "target": "MOD", "result": "EQUAL", "mod_revision": revision}


def encoded(text: str) -> str:
    return b64encode(text.encode()).decode("ascii")


def _rows(answer: dict[str, Any]) -> dict[str, Held]:
    return {
        b64decode(row["key"]).decode(): Held(
            b64decode(row.get("value", "")).decode(), int(row["mod_revision"])
        )
        for row in answer.get("kvs", ())
    }
