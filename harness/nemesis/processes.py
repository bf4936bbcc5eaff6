"""Faults of processes: killed, paused, wiped.

Each fault holds its nodes down or paused; a node is given back when no fault holds it.
Where holds differ, down outranks paused.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, Literal

from dynamesis.harness.nemesis.cuts import route_faults
from dynamesis.harness.nemesis.fault_handler import Look, Proof, proven
from dynamesis.harness.nemesis.network import Wires
from dynamesis.harness.targets.system import System

Held = Literal["down", "paused"]
#: s for which a node without its last writes is kept from its peers, so that it coordinates
#: writes before it hears of those
_APART = 1.2


class Holds:
    """Who holds which node in which state; shared by all families of process faults."""

    def __init__(self, system: System) -> None:
        self._system = system
        self._held: dict[str, dict[int, Held]] = defaultdict(dict)

    def take(self, fault: int, node: str, state: Held) -> None:
        """From now on, `node` is to be in this state, unless another fault says more."""
        self._held[node][fault] = state

    async def release(self, fault: int, node: str) -> None:
        """Bring `node` into the state that the other faults want, or up; one that has
        retired stays down. Raises RuntimeError if it would not start."""
        self._held[node].pop(fault, None)
        wanted = self._held[node].values()
        if "down" in wanted or node not in self._system.nodes:
            return
        if self._system.state(node) == "down":
            await self._system.start(node)
        if "paused" in wanted:
            await self._system.pause(node)
        else:
            await self._system.resume(node)

    def clear(self) -> None:
        """Nobody holds anything."""
        self._held.clear()


@dataclass(frozen=True)
class Kill:
    """SIGKILL, or SIGTERM where the value says so. `pause_ms`: SIGSTOP, and SIGKILL so much
    later, while what was sent to the node waits unread; `grace_ms`: SIGTERM, and SIGKILL so
    much later, in the middle of the shutdown. The proof is that the kernel has given the
    process up."""

    system: System
    holds: Holds

    async def inject(self, fault: int, value: dict[str, Any]) -> Look:
        pids = await _each(value["nodes"], lambda node: self._end(fault, node, value))
        down = [node for node in pids if self.system.state(node) == "down"]
        return proven(bool(down), gone={node: pids[node] for node in down})

    async def lift(self, fault: int, value: dict[str, Any]) -> None:
        await _each(value["nodes"], lambda node: self.holds.release(fault, node))

    async def _end(self, fault: int, node: str, value: dict[str, Any]) -> int | None:
        """The pid that is gone, as far as it is known."""
        self.holds.take(fault, node, "down")
        if self.system.state(node) == "down":
            return None
        if value.get("signal") == "SIGTERM" and self.system.state(node) == "running":
            if "grace_ms" in value:
                return await self._cut_short(node, value["grace_ms"] / 1000)
            await self.system.stop(node)
            return None
        if "pause_ms" in value and await self.system.pause(node):
            await asyncio.sleep(value["pause_ms"] / 1000)
        return await self.system.kill(node)

    async def _cut_short(self, node: str, grace: float) -> int:
        """Stop a node, and kill it if it is not down after so many s."""
        stopping = asyncio.create_task(self.system.stop(node))
        await asyncio.wait({stopping}, timeout=grace)
        pid = await self.system.kill(node)
        await stopping
        return pid


@dataclass(frozen=True)
class Wipe(Kill):
    """SIGKILL, and everything the node stored is deleted; or copied; or replaced by what was
    copied before. `apart`: once it runs again, it is cut off from its peers for _APART s:
    it has to name the versions that clients send it without what they know."""

    wires: Wires
    _seen: dict[int, dict[str, Any]] = field(default_factory=dict)

    async def inject(self, fault: int, value: dict[str, Any]) -> Look:
        look = await super().inject(fault, value)
        what = value.get("disk", "wiped")
        await _each(value["nodes"], self._act(what))
        proof = await look()
        detail = {**proof.detail, what: value["nodes"]}

        async def looked() -> Proof:
            seen = self._seen.get(fault)
            told = {} if seen is None else {"apart": seen}
            return Proof(proof.bit, seen is not None or not value.get("apart"), detail | told)

        return looked

    async def lift(self, fault: int, value: dict[str, Any]) -> None:
        if not value.get("apart"):
            await super().lift(fault, value)
            return
        # only a disk that was put back knows the ring; any other node must ask for it first
        early = value.get("disk") == "restored"
        self._seen[fault] = {}
        for node in value["nodes"]:
            self._seen[fault][node] = await self._start_apart(fault, node, early)

    async def _start_apart(self, fault: int, node: str, early: bool) -> dict[str, Any]:
        """Give a node back, cut off from its peers: before it starts, or once it is ready.
        What it had stored when it was cut off, and when it was not any more: (objects, hints)."""
        try:
            if early:
                await self._cut_off(fault, node)
            await self.holds.release(fault, node)
            if self.system.state(node) != "running":
                return {}
            if not early:
                await self._cut_off(fault, node)
            before = await self._stored(node)
            await asyncio.sleep(_APART)
            return {"before": before, "then": await self._stored(node)}
        finally:
            await self.wires.lift(fault)

    async def _cut_off(self, fault: int, node: str) -> None:
        rest = [other for other in self.system.nodes if other != node]
        await self.wires.lay(fault, route_faults("refused", [[node], rest]))

    async def _stored(self, node: str) -> list[int] | None:
        """How many objects and hints a node has; None if it does not answer."""
        status = await self.system.status(node)
        return None if status is None else [int(status["objects"]), int(status["hints"])]

    def _act(self, what: str) -> Callable[[str], Awaitable[None]]:
        match what:
            case "copied":
                return self.system.copy_data
            case "restored":
                return self.system.restore_data
        return self.system.wipe


@dataclass(frozen=True)
class Pause:
    """SIGSTOP. The proof is that the kernel shows the process as stopped; one that another
    fault holds down is stopped when it is back."""

    system: System
    holds: Holds

    async def inject(self, fault: int, value: dict[str, Any]) -> Look:
        nodes = value["nodes"]
        found = await _each(nodes, lambda node: self._pause(fault, node))
        stopped = {node for node in nodes if found[node]}

        async def look() -> Proof:
            late = {n for n in nodes if n not in stopped and self.system.state(n) == "paused"}
            stopped.update({n for n, is_ in (await _each(late, self.system.pause)).items() if is_})
            return Proof(bool(stopped), len(stopped) == len(nodes), {"stopped": sorted(stopped)})

        return look

    async def lift(self, fault: int, value: dict[str, Any]) -> None:
        await _each(value["nodes"], lambda node: self.holds.release(fault, node))

    async def _pause(self, fault: int, node: str) -> bool:
        self.holds.take(fault, node, "paused")
        return self.system.state(node) != "down" and await self.system.pause(node)


async def _each(nodes: Iterable[str], act: Callable[[str], Awaitable[Any]]) -> dict[str, Any]:
    """Act on all nodes at once, to the end, before the first failure is raised."""
    nodes = list(nodes)
    results = await asyncio.gather(*(act(node) for node in nodes), return_exceptions=True)
    for result in results:
        if isinstance(result, BaseException):
            raise result
    return dict(zip(nodes, results, strict=True))
