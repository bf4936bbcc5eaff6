"""What the nodes of a cluster are asked over their admin ports, which no link's fault touches."""

from __future__ import annotations

import asyncio
import logging
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import Any

from dynamesis.cluster.client.admin import AdminClient, AdminError
from dynamesis.cluster.config.tls import client_context
from dynamesis.cluster.net.exceptions import DynamoError
from dynamesis.cluster.process import metrics
from dynamesis.cluster.process.cluster_spec import ClusterSpec

log = logging.getLogger(__name__)

#: seconds for an answer: to a status, and to a page of a dump
STATUS_WITHIN = 3.0
ANSWER_WITHIN = 10.0
#: rows in a page of a dump
PAGE = 64


class ClusterQuestions(ABC):
    """Asks the nodes of a ClusterSpec. `busy()`: how many times as long as on an idle machine
    everything may take now."""

    def __init__(self, spec: ClusterSpec, busy: Callable[[], float]) -> None:
        self.nodes = (*spec.nodes, *spec.spares)
        self._spec = spec
        self._busy = busy
        self._tls = None if spec.tls is None else client_context(spec.tls.ca)

    @abstractmethod
    def state(self, node: str) -> str:
        """ "running", "paused" or "down"."""

    async def ask(self, node: str, command: str, /, **args: Any) -> Any:
        """Any command of the admin port. Raises RuntimeError if there is no answer."""
        try:
            async with self._admin(node, ANSWER_WITHIN * max(1.0, self._busy())) as admin:
                return await admin.ask(command, **args)
        except DynamoError as error:
            raise RuntimeError(f"{node} does not answer {command!r}: {error}") from error

    async def status(self, node: str) -> Mapping[str, Any] | None:
        """The status of the node; None if it does not answer within STATUS_WITHIN."""
        if self.state(node) != "running":
            return None
        try:
            async with (
                asyncio.timeout(STATUS_WITHIN),
                self._admin(node, STATUS_WITHIN) as admin,
            ):
                return dict(await admin.ask("status"))
        except (DynamoError, AdminError, TimeoutError):
            return None

    async def metrics(self, node: str) -> str | None:
        """What the node measures of itself, as Prometheus text; None if it does not answer.

        The text is made here, since the library takes a process a tenth of a second to load."""
        try:
            status, figures = await self.ask(node, "status"), await self.ask(node, "figures")
        except (RuntimeError, AdminError):
            return None
        return metrics.render(node, status, figures).decode()

    async def dump(self, node: str) -> list[Mapping[str, Any]]:
        """Everything that one node holds, hints too, read without repair: rows {"key": str,
        "siblings": [{"value": bytes, "deleted": bool}], "hint_for": str | None}. Raises
        ValueError with its reason if it refuses, RuntimeError if it does not answer."""
        rows: list[Mapping[str, Any]] = []
        after = None
        while True:
            try:
                page = await self.ask(node, "dump", after=after, limit=PAGE)
            except AdminError as error:
                raise ValueError(f"{node} refuses: {error}") from error
            for row in page["rows"]:
                rows.append(row | {"key": row["key"].decode("utf-8", "backslashreplace")})
            after = page["next"]
            if after is None:
                return rows

    async def ring(self, node: str | None = None) -> Mapping[str, Any]:
        """{"partitions": Q, "owners": [node id] * Q, "members", "n", "r", "w", "sloppy"}, as
        this node sees it, or the first that runs. Raises RuntimeError."""
        running = [node] if node else [n for n in self.nodes if self.state(n) == "running"]
        if not running:
            raise RuntimeError("no node is running")
        return dict(await self.ask(running[0], "ring"))

    async def disk(self, node: str, fault: str, **settings: float) -> None:
        """Have a running node's disk fail (cluster.storage.faulty), if the spec allows it; by
        "none" no more. Raises RuntimeError."""
        await self.ask(node, "disk", fault=fault, **settings)

    async def repair(self, node: str) -> None:
        """Have a running node read all that it holds, so that latent damage shows, and compare
        it with its peers; nothing where it has no ring, and so holds nothing. Raises
        RuntimeError."""
        try:
            await self.ask(node, "repair")
        except AdminError:
            if await self._has_ring(node):
                raise

    async def exchange(self, node: str) -> None:
        """Have a running node hand off its hints and compare what it holds with its peers now. Does
        nothing, beside, where it does not answer: it does so anyway before long."""
        try:
            await self.ask(node, "exchange")
        except (RuntimeError, AdminError):
            log.debug("%s was not asked for exchanges", node, exc_info=True)

    def _admin(self, node: str, timeout: float) -> AdminClient:
        return AdminClient(self._spec.admin[node], timeout, secret=self._spec.secret, tls=self._tls)

    async def change(self, kind: str, node: str) -> None:
        """Ask a member that runs to let `node` "join" or "leave", or be "remove"d as dead:
        not the same for all, since those that make changes at one time may do so at several places.
        Raises ValueError with the reason if it is refused, RuntimeError if no node answers: one
        that has no ring yet, or knows only its own disk's, refuses everything, which decides
        nothing."""
        reason: Exception = RuntimeError("no member is running")
        first = sum(node.encode()) % len(self.nodes)
        for asked in (*self.nodes[first:], *self.nodes[:first]):
            if asked == node or self.state(asked) != "running":
                continue
            try:
                await self.ask(asked, kind, node=node)
                return
            except AdminError as error:
                words = f"{asked} refuses: {error}"
                decides = await self._has_ring(asked, informed=True)
                reason = ValueError(words) if decides else RuntimeError(words)
            except RuntimeError as error:
                reason = error
        raise reason

    async def _has_ring(self, node: str, informed: bool = False) -> bool:
        """Whether a node is known to have a ring; `informed`: and to have had an answer from
        another member since it started, so that this is the present one."""
        status = await self.status(node)
        if status is None or status["membership"] is None:
            return False
        # a node of an older version does not report that
        return not informed or bool(status.get("informed", True))
