"""Targets that are only known when a fault strikes: primaries of a key, the coordinator of its
last put, the holder of the most hints, a node that gives up partitions. What was found is
recorded in the history."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field

from dynamesis.checkers.dynamo.ring import CheckedRing
from dynamesis.checkers.history.op import Op
from dynamesis.harness.links.base import CLIENT, route_name
from dynamesis.harness.nemesis.cuts import unreached
from dynamesis.harness.nemesis.faults import (
    AimedFault,
    ClockFault,
    CutFault,
    DiskFault,
    FaultValue,
    KillFault,
    LinksFault,
    LoadFault,
    NodesFault,
    PauseFault,
)
from dynamesis.harness.processes.clock import clock
from dynamesis.harness.targets.capabilities import Observed, Placements
from dynamesis.harness.targets.reports import NodeStatus, RingView
from msgspec import structs

#: What a fault may aim at.
TARGETS = ("primaries", "coordinator", "hint-holder", "giver")
#: faults that may be done to any node, however many others had one
_ANYWHERE = (PauseFault, ClockFault, LoadFault)
#: s that a change of the membership may take until a node gives up partitions; and between
#: two looks whether one does
_GIVES = 2.0
_LOOK = 0.05


@dataclass(frozen=True)
class Targets:
    """Finds targets in a running cluster; where no node answers, the target is `otherwise`.
    Before the first put of a key its coordinator is the first primary."""

    observed: Observed
    placements: Placements | None
    _coordinated: dict[str, str] = field(default_factory=dict)

    def observe(self, op: Op) -> None:
        """Note the coordinator that the answer to a put names."""
        if op.type == "ok" and op.f in ("put", "delete") and op.key is not None and op.worth:
            self._coordinated[op.key] = str(op.worth.get("coordinator"))

    async def resolve(self, fault: FaultValue) -> FaultValue:
        """The fault with the nodes, or for a cut the grudge, that its target now means; a fault of
        disks with those of its nodes that run."""
        if isinstance(fault, AimedFault) and fault.target is not None:
            fault = await self._aim(fault, fault.target)
        return self._commanded(fault) if isinstance(fault, DiskFault) else fault

    def _commanded(self, fault: DiskFault) -> DiskFault:
        """With the nodes that run, since a disk fails by a command to its node. Where none of them
        does, one that was aimed hits another node; any other is left without a node."""
        running = [node for node in self.observed.nodes if self.observed.state(node) == "running"]
        nodes = [node for node in fault.nodes if node in running]
        if not nodes and fault.target is not None:
            nodes = [node for node in (fault.otherwise, *running) if node in running][:1]
        return structs.replace(fault, nodes=nodes)

    async def _aim(self, fault: AimedFault, target: str) -> AimedFault:
        otherwise = fault.otherwise or self.observed.nodes[0]
        if target == "giver":
            nodes, rest = await self._giver(otherwise)
        else:
            nodes, rest = await self._find(target, fault.key or "", otherwise), []
        if isinstance(fault, KillFault | PauseFault | DiskFault):
            return structs.replace(fault, nodes=nodes)
        assert isinstance(fault, CutFault)
        rest = rest or [node for node in self.observed.nodes if node not in nodes]
        if not rest:
            nodes, rest = nodes[:1], [node for node in self.observed.nodes if node != nodes[0]]
        return structs.replace(fault, grudge=[nodes, rest])

    async def _find(self, target: str, key: str, otherwise: str) -> list[str]:
        if target == "hint-holder":
            return [await self._hint_holder() or otherwise]
        coordinator = self._coordinated.get(key)
        if target == "coordinator" and coordinator in self.observed.nodes:
            return [coordinator]
        if self.placements is None:
            return [otherwise]
        try:
            ring = await self.placements.ring()
        except RuntimeError:
            return [otherwise]
        replicas = placed(ring).primaries(key)
        return sorted(replicas) if target == "primaries" else [replicas[0]]

    async def _giver(self, otherwise: str) -> tuple[list[str], list[str]]:
        """A node that waits for exchanges before it deletes what others own now, and those that
        it waits for. While the membership changes, such a node is waited for; else there is
        none, and `otherwise` is taken."""
        deadline = clock().monotonic() + _GIVES
        while True:
            statuses = await self._statuses()
            waits = {node: _waits_for(status) for node, status in statuses.items()}
            giver = max(waits, key=lambda node: len(waits[node]), default=otherwise)
            peers = sorted(set(waits.get(giver, ())) & set(self.observed.nodes))
            calm = all(s.membership is None or s.membership.settled for s in statuses.values())
            if peers or calm or clock().monotonic() > deadline:
                return [giver if peers else otherwise], peers
            await asyncio.sleep(_LOOK)

    async def _statuses(self) -> dict[str, NodeStatus]:
        """Of the nodes that answer."""
        nodes = [node for node in self.observed.nodes if self.observed.state(node) == "running"]
        answers = await asyncio.gather(*map(self.observed.status, nodes))
        return {
            node: status for node, status in zip(nodes, answers, strict=True) if status is not None
        }

    async def _hint_holder(self) -> str | None:
        hints = {node: status.hints for node, status in (await self._statuses()).items()}
        most = max(hints, key=lambda node: hints[node], default=None)
        return most if most is not None and hints[most] else None


def placed(ring: RingView) -> CheckedRing:
    """Where a ring as a node sees it puts each key."""
    return CheckedRing.of_node(ring.as_value(), ring.n)


def _waits_for(status: NodeStatus) -> list[str]:
    """The peers whose exchanges a node waits for before it drops what it gives up."""
    moving = (each for each in status.moving if each.state == "giving up")
    return sorted({peer for each in moving for peer in each.waiting_for})


def _others(gone: Sequence[str], nodes: Sequence[str]) -> list[str]:
    """The nodes beside these, those first whose names come after the first of them."""
    others = sorted(node for node in nodes if node not in gone)
    after = [node for node in others if node > gone[0]]
    return after + others[: len(others) - len(after)]


def present(fault: FaultValue, nodes: Sequence[str]) -> FaultValue | None:
    """The fault without what is not there any more; None if nothing is left to be done. What costs
    no data is done to other nodes in the place of those that have gone."""
    if isinstance(fault, NodesFault):
        left = [node for node in fault.nodes if node in nodes]
        if isinstance(fault, _ANYWHERE):
            left += _others(fault.nodes, nodes)[: len(fault.nodes) - len(left)]
        return structs.replace(fault, nodes=left) if left else None
    if isinstance(fault, CutFault):
        return fault if any({a, b} <= set(nodes) for a, b in unreached(fault.grudge)) else None
    if isinstance(fault, LinksFault):
        names = {route_name(a, b) for a in (CLIENT, *nodes) for b in nodes if a != b}
        left = [name for name in fault.links if name in names]
        return structs.replace(fault, links=left) if left else None
    return fault
