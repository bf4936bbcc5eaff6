"""Faults of disks, by a layer that each node has between itself and what it stores into.

The layer counts how often each fault took effect ("bites" in the node's status), and those
counts are the proof. A node that is started again has a sound disk. Writes that wait to be
synced are lost when the power fails, so that is how this fault ends: the node is killed, and
started again. Bits that were flipped are not put right by the nemesis: that is for the node to
do. But damage that was never read is latent, and a node reads all that it holds but once a day;
so it is requested when its disk is mended.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

from dynamesis.harness.nemesis.fault_handler import Look, Proof
from dynamesis.harness.nemesis.faults import DiskFault
from dynamesis.harness.nemesis.symptoms import asked
from dynamesis.harness.targets.capabilities import Disks, NodeObserver

#: How a disk can fail, and the settings of each.
DISK_FAULTS: dict[str, tuple[str, ...]] = {
    "full": (),
    "torn-tail": (),
    "read-error": (),
    "bit-flip": ("rows",),
    "lost-writes": ("seconds",),
    "slow-fsync": ("seconds",),
}


#: The fault that ends with a SIGKILL.
FORGETFUL = "lost-writes"
#: The fault that hits what is stored at one instant.
FLIP = "bit-flip"


@dataclass
class BadDisk:
    """One fault at a time and node. It took effect when the node's count has grown."""

    observed: NodeObserver
    disks: Disks
    _bad: set[str] = field(default_factory=set)

    async def inject(self, number: int, fault: DiskFault) -> Look:
        before: dict[str, int] = {}
        for node in fault.nodes:
            if self.observed.state(node) == "running":
                before[node] = await self._count(node, fault.kind)
                self._bad.add(node)
                await self.disks.disk(node, fault.kind, **fault.settings or {})

        hits = dict.fromkeys(before, 0)

        async def look() -> Proof:
            for node, count in before.items():
                hits[node] = max(hits[node], await self._count(node, fault.kind) - count)
                if fault.kind == FLIP and not hits[node] and self._is_bad(node):
                    # at an instant when it stored nothing there was no bit to flip
                    await self.disks.disk(node, fault.kind, **fault.settings or {})
            bit = any(count > 0 for count in hits.values())
            no_target = {} if before else {"nobody": True}
            return Proof(bit, bit, {"bites": dict(hits), **no_target})

        return look

    def _is_bad(self, node: str) -> bool:
        return node in self._bad and self.observed.state(node) == "running"

    async def lift(self, number: int, fault: DiskFault) -> None:
        if fault.kind == FORGETFUL:
            await asyncio.gather(
                *map(self._power_fails, sorted(self._bad.intersection(fault.nodes)))
            )
        await self._mend(fault.nodes)

    async def _power_fails(self, node: str) -> None:
        if self.observed.state(node) == "running":
            await self.observed.processes.kill(node)
            await self.observed.processes.start(node)

    async def heal_all(self) -> None:
        """Mend every disk that was ever made to fail."""
        await self._mend(sorted(self._bad))

    async def _mend(self, nodes: list[str]) -> None:
        """A node that is paused is mended when all is healed."""
        for node in sorted(self._bad.intersection(nodes)):
            if self.observed.state(node) == "running":
                await self.disks.disk(node, "none")
                await self.disks.repair(node)
            if self.observed.state(node) != "paused":
                self._bad.discard(node)

    async def _count(self, node: str, kind: str) -> int:
        status = await asked(self.observed, node)
        return 0 if status is None or status.disk is None else status.disk.effects.get(kind, 0)
