"""What our own nodes answer over their admin ports, decoded for the harness."""

from __future__ import annotations

from dataclasses import dataclass

from dynamesis.cluster.process.supervisor import Cluster
from dynamesis.harness.targets.reports import DumpRow, NodeStatus, RingView, dump_rows


@dataclass(frozen=True)
class Questions:
    """harness.targets.capabilities.Status, ReplicaDumps and Placements of a cluster."""

    cluster: Cluster

    async def status(self, node: str) -> NodeStatus | None:
        answer = await self.cluster.status(node)
        return None if answer is None else NodeStatus.of(answer)

    async def metrics(self, node: str) -> str | None:
        return await self.cluster.metrics(node)

    async def dump(self, node: str) -> list[DumpRow]:
        return dump_rows(await self.cluster.dump(node))

    async def ring(self, node: str | None = None) -> RingView:
        return RingView.of(await self.cluster.ring(node))
