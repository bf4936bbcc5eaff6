"""Targets that are only known when a fault strikes: primaries of a key, who coordinated its
last put, the holder of the most hints, a node that gives up partitions. What was found stands
in the history."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from dynamesis.checkers.dynamo.ring import CheckedRing
from dynamesis.checkers.history.op import Op
from dynamesis.harness.links.base import CLIENT, route_name
from dynamesis.harness.nemesis.cuts import unheard
from dynamesis.harness.targets.system import System

#: What a value may aim at.
TARGETS = ("primaries", "coordinator", "hint-holder", "giver")
#: s that a change of the membership may take until a node gives up partitions; and between
#: two looks whether one does
_GIVES = 2.0
_LOOK = 0.05


@dataclass(frozen=True)
class Targets:
    """Finds targets in a running system; in one where nobody answers, it is `otherwise`.
    Before the first put of a key its coordinator is the first primary."""

    system: System
    _coordinated: dict[str, str] = field(default_factory=dict)

    def hear(self, op: Op) -> None:
        """Learn from the answer to a put who coordinated it."""
        if op.type == "ok" and op.f in ("put", "delete") and op.key is not None and op.worth:
            self._coordinated[op.key] = str(op.worth.get("coordinator"))

    async def resolve(self, family: str, value: dict[str, Any]) -> dict[str, Any]:
        """`value` with the nodes, or for a cut the grudge, that its target now means."""
        if "target" not in value:
            return value
        if value["target"] == "giver":
            return await self._giver(family, value)
        nodes = await self._find(value)
        if family != "cut":
            return {**value, "nodes": nodes}
        rest = [node for node in self.system.nodes if node not in nodes]
        if not rest:
            nodes, rest = nodes[:1], [node for node in self.system.nodes if node != nodes[0]]
        return {**value, "grudge": [nodes, rest]}

    async def _find(self, value: dict[str, Any]) -> list[str]:
        if value["target"] == "hint-holder":
            return [await self._hint_holder() or value["otherwise"]]
        coordinator = self._coordinated.get(value["key"])
        if value["target"] == "coordinator" and coordinator in self.system.nodes:
            return [coordinator]
        try:
            ring = await self.system.ring()
        except RuntimeError:
            return [value["otherwise"]]
        replicas = CheckedRing.of_node(ring, ring["n"]).primaries(value["key"])
        return sorted(replicas) if value["target"] == "primaries" else [replicas[0]]

    async def _giver(self, family: str, value: dict[str, Any]) -> dict[str, Any]:
        """A node that waits for exchanges before it deletes what others own now; a cut is
        between it and those that it waits for. Where the membership changes, such a node is
        waited for; where it does not, there is none."""
        deadline = time.monotonic() + _GIVES
        while True:
            statuses = await self._statuses()
            waits = {node: _waits_for(status) for node, status in statuses.items()}
            giver = max(waits, key=lambda node: len(waits[node]), default=value["otherwise"])
            peers = sorted(set(waits.get(giver, ())) & set(self.system.nodes))
            calm = all((s.get("membership") or {}).get("settled", True) for s in statuses.values())
            if peers or calm or time.monotonic() > deadline:
                break
            await asyncio.sleep(_LOOK)
        giver = giver if peers else value["otherwise"]
        if family != "cut":
            return {**value, "nodes": [giver]}
        rest = peers or [node for node in self.system.nodes if node != giver]
        return {**value, "grudge": [[giver], rest]}

    async def _statuses(self) -> dict[str, dict[str, Any]]:
        """Of the nodes that answer."""
        running = [node for node in self.system.nodes if self.system.state(node) == "running"]
        answers = await asyncio.gather(*map(self.system.status, running))
        return {node: told for node, told in zip(running, answers, strict=True) if told}

    async def _hint_holder(self) -> str | None:
        hints = {node: told["hints"] for node, told in (await self._statuses()).items()}
        most = max(hints, key=lambda node: hints[node], default=None)
        return most if most is not None and hints[most] else None


def _waits_for(status: dict[str, Any]) -> list[str]:
    """The peers whose exchanges a node waits for before it drops what it gives up."""
    moving = (each for each in status.get("moving", ()) if each["state"] == "giving up")
    return sorted({peer for each in moving for peer in each["waiting_for"]})


def present(value: dict[str, Any], nodes: Sequence[str]) -> dict[str, Any] | None:
    """`value` without what is not there any more; None if nothing is left to be done."""
    if "nodes" in value:
        left = [node for node in value["nodes"] if node in nodes]
        return {**value, "nodes": left} if left else None
    if "grudge" in value:
        return value if any({a, b} <= set(nodes) for a, b in unheard(value["grudge"])) else None
    if "links" in value:
        names = {route_name(a, b) for a in (CLIENT, *nodes) for b in nodes if a != b}
        left = [name for name in value["links"] if name in names]
        return {**value, "links": left} if left else None
    return value
