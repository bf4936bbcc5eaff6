"""Faults of processes: killed, paused, wiped.

Each fault holds its nodes down or paused; a node is given back when no fault holds it.
Where holds differ, down outranks paused.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import Any, Literal

from harness.nemesis.effects import Look, Proof, proven
from harness.system import System

Held = Literal["down", "paused"]


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
    """SIGKILL, or SIGTERM where the value says so. The proof is that the kernel has given
    the process up."""

    system: System
    holds: Holds

    async def inject(self, fault: int, value: dict[str, Any]) -> Look:
        graceful = value.get("signal") == "SIGTERM"
        pids = await _each(value["nodes"], lambda node: self._end(fault, node, graceful))
        down = [node for node in pids if self.system.state(node) == "down"]
        return proven(bool(down), gone={node: pids[node] for node in down})

    async def lift(self, fault: int, value: dict[str, Any]) -> None:
        await _each(value["nodes"], lambda node: self.holds.release(fault, node))

    async def _end(self, fault: int, node: str, graceful: bool) -> int | None:
        """The pid that is gone, as far as it is known."""
        self.holds.take(fault, node, "down")
        if self.system.state(node) == "down":
            return None
        if graceful and self.system.state(node) == "running":
            await self.system.stop(node)
            return None
        return await self.system.kill(node)


@dataclass(frozen=True)
class Wipe(Kill):
    """SIGKILL, and everything the node stored is deleted; or copied; or replaced by what was
    copied before."""

    async def inject(self, fault: int, value: dict[str, Any]) -> Look:
        look = await super().inject(fault, value)
        what = value.get("disk", "wiped")
        await _each(value["nodes"], self._act(what))
        proof = await look()
        return proven(proof.bit, **proof.detail, **{what: value["nodes"]})

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
