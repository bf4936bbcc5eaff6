"""What our own nodes answer over their admin ports, decoded for the harness."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from dynamesis.cluster.process.supervisor import Cluster
from dynamesis.harness.targets.reports import DumpRow, NodeStatus, RingView, dump_rows


@dataclass(frozen=True)
class Questions:
    """harness.targets.capabilities.Status, ReplicaDumps and Placements of a cluster."""

    cluster: Cluster
    #: by node, the answer that was decoded last, and what it came to: a simulated node to which
    #: nothing has happened answers with the very same
    _decoded: dict[str, tuple[Mapping[str, Any], NodeStatus]] = field(default_factory=dict)

    async def status(self, node: str) -> NodeStatus | None:
        answer = await self.cluster.status(node)
        if answer is None:
            return None
        known = self._decoded.get(node)
        if known is None or known[0] is not answer:
            known = self._decoded[node] = answer, NodeStatus.of(answer)
        return known[1]

    async def metrics(self, node: str) -> str | None:
        return await self.cluster.metrics(node)

    async def dump(self, node: str) -> list[DumpRow]:
        return dump_rows(await self.cluster.dump(node))

    async def ring(self, node: str | None = None) -> RingView:
        return RingView.of(await self.cluster.ring(node))
