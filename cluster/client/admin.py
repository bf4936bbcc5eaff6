"""Questions to one node over its admin port, which goes round the links that are broken
on purpose."""

from __future__ import annotations

import ssl
from typing import Any, Self

from dynamesis.cluster.client.client import Connection
from dynamesis.cluster.client.validation import text
from dynamesis.cluster.core.protocol.messages import Ask, AskReply
from dynamesis.cluster.net.wire import ADMIN_LIMIT


class AdminError(RuntimeError):
    """The node refused the command; the message is its own."""


class AdminClient:
    """`async with AdminClient("127.0.0.1:7201", secret=...) as node: await node.ask("status")`"""

    def __init__(
        self,
        address: str,
        timeout: float = 1.0,
        *,
        secret: str,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        """`timeout`: seconds for the connection, and again for each answer; `secret`: that
        of the cluster; `tls` as cluster.config.tls.client_context makes it. Raises TypeError or
        ValueError for a secret that cannot be right."""
        self._address = address
        self._timeout = timeout
        self._secret = text("secret", secret)
        self._tls = tls
        self._connection: Connection | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *error: object) -> None:
        if self._connection is not None:
            self._connection.close()

    async def ask(self, command: str, /, **args: Any) -> Any:
        """The result of `command`. Raises AdminError if the node refuses it, and Unreachable
        or InDoubt (cluster.net.exceptions) if it does not answer."""
        if self._connection is None or self._connection.closed:
            self._connection = await Connection.open(
                self._address, "", self._timeout, ADMIN_LIMIT, "admin", self._secret, self._tls
            )
        answer = await self._connection.ask(lambda rid: Ask(rid, command, args), self._timeout)
        if not isinstance(answer, AskReply):
            raise AdminError(f"{type(answer).__name__} does not answer {command!r}")
        if answer.error is not None:
            raise AdminError(answer.error)
        return answer.result
