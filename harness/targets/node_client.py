"""A client that stays with one node, and asks it by HTTP or through a command line."""

from __future__ import annotations

import http.client
import shlex
import subprocess
from collections.abc import Mapping
from contextlib import closing

from dynamesis.checkers.history.op import Op
from dynamesis.harness.targets.client import BlockingClient
from msgspec import structs

#: s that a request or a command may take; then it raises, and the operation is unknown
LIMIT = 3.0


class NodeClient(BlockingClient):
    """A client of one node: that of its number, so that all clients together ask all nodes.
    Subclasses override `perform`.

    node: the name of that node
    address, host, port: where it is reached, behind a proxy; address is host:port
    """

    node: str = ""
    address: str = ""
    host: str = ""
    port: str = ""

    def connect(self, addresses: Mapping[str, str]) -> None:
        self.node = list(addresses)[self.thread % len(addresses)]
        self.address = addresses[self.node]
        self.host, _, self.port = self.address.rpartition(":")

    async def invoke(self, op: Op) -> Op:
        done = await super().invoke(op)
        if not isinstance(done, Op) or done.node is not None:  # anything may have come back
            return done
        return structs.replace(done, node=self.node)

    def http(
        self,
        method: str,
        path: str,
        body: str = "",
        headers: Mapping[str, str] | None = None,
        limit: float = LIMIT,
    ) -> tuple[int, str]:
        """Status and text of the answer to one request; a body that is JSON is sent as such.
        Raises OSError or HTTPException where no whole answer came."""
        json = {"Content-Type": "application/json"} if body[:1] in ("{", "[") else {}
        with closing(http.client.HTTPConnection(self.address, timeout=limit)) as connection:
            connection.request(method, path, body.encode(), {**json, **(headers or {})})
            answer = connection.getresponse()
            return answer.status, answer.read().decode("utf-8", "replace")

    def shell(self, line: str, limit: float = LIMIT) -> tuple[int, str]:
        """Exit code and output of a command line, split as a shell does (but no shell runs it).
        The output is that to stderr where stdout has none. Raises OSError, TimeoutExpired."""
        done = subprocess.run(
            shlex.split(line),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=False,
            timeout=limit,
            encoding="utf-8",
            errors="replace",
        )
        return done.returncode, done.stdout or done.stderr
