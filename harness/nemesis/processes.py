"""Faults of processes: killed, paused, wiped.

Each fault holds its nodes down or paused; a node is given back when no fault holds it.
Where holds differ, down outranks paused.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Literal, TypeVar

from dynamesis.harness.nemesis.cuts import route_faults
from dynamesis.harness.nemesis.fault_handler import Look, Proof, proven
from dynamesis.harness.nemesis.faults import KillFault, PauseFault, WipeFault
from dynamesis.harness.nemesis.network import RouteFaults
from dynamesis.harness.targets.capabilities import DataFolders, Processes, Status

T = TypeVar("T")
Held = Literal["down", "paused"]
#: s for which a node without its last writes is kept from its peers, so that it coordinates
#: writes before they reach it
_APART = 1.2


class Holds:
    """Which faults hold which node in which state; shared by all families of process faults."""

    def __init__(self, processes: Processes) -> None:
        self._processes = processes
        self._held: dict[str, dict[int, Held]] = defaultdict(dict)

    def take(self, number: int, node: str, state: Held) -> None:
        """From now on, `node` is to be in this state, unless another fault wants more."""
        self._held[node][number] = state

    async def release(self, number: int, node: str) -> None:
        """Bring `node` into the state that the other faults want, or up; one that has
        retired stays down. Raises RuntimeError if it would not start."""
        self._held[node].pop(number, None)
        wanted = self._held[node].values()
        if "down" in wanted or node not in self._processes.nodes:
            return
        if self._processes.state(node) == "down":
            await self._processes.start(node)
        if "paused" in wanted:
            await self._processes.pause(node)
        else:
            await self._processes.resume(node)

    def clear(self) -> None:
        """Forget all holds."""
        self._held.clear()


@dataclass(frozen=True)
class Kill:
    """SIGKILL, or the signal of the fault. `pause_ms`: SIGSTOP, and SIGKILL so much later, while
    what was sent to the node waits unread; `grace_ms`: SIGTERM, and SIGKILL so much later, in
    the middle of the shutdown; `again_ms`: SIGKILL once more, so much after each start. The proof
    is that the kernel has given the process up."""

    processes: Processes
    holds: Holds

    async def inject(self, number: int, fault: KillFault) -> Look:
        pids = await _each(fault.nodes, lambda node: self._end(number, node, fault))
        down = [node for node in pids if self.processes.state(node) == "down"]
        return proven(bool(down), gone={node: pids[node] for node in down})

    async def lift(self, number: int, fault: KillFault) -> None:
        await _each(fault.nodes, lambda node: self._start(number, node, fault.again_ms))

    async def _start(self, number: int, node: str, again_ms: Sequence[int]) -> None:
        """Give a node back; end and start it anew so many ms after each start."""
        await self.holds.release(number, node)
        for gap in again_ms:
            await asyncio.sleep(gap / 1000)
            if self.processes.state(node) != "running":
                return  # another fault has it
            self.holds.take(number, node, "down")
            await self.processes.kill(node)
            await self.holds.release(number, node)

    async def _end(self, number: int, node: str, fault: KillFault) -> int | None:
        """The pid that is gone, as far as it is known."""
        self.holds.take(number, node, "down")
        state = self.processes.state(node)
        if state == "down":
            return None
        if fault.signal == "SIGTERM" and state == "running":
            if fault.grace_ms is not None:
                return await self._cut_short(node, fault.grace_ms / 1000)
            await self.processes.stop(node)
            return None
        if fault.pause_ms is not None and await self.processes.pause(node):
            await asyncio.sleep(fault.pause_ms / 1000)
        return await self.processes.kill(node)

    async def _cut_short(self, node: str, grace: float) -> int:
        """Stop a node, and kill it if it is not down after so many s."""
        stopping = asyncio.create_task(self.processes.stop(node))
        await asyncio.wait({stopping}, timeout=grace)
        pid = await self.processes.kill(node)
        await stopping
        return pid


@dataclass(frozen=True)
class Wipe:
    """SIGKILL, and everything the node stored is deleted; or copied; or replaced by what was
    copied before. `apart`: once it runs again, it is cut off from its peers for _APART s:
    it has to name the versions that clients send it without what they know."""

    processes: Processes
    status: Status | None
    data: DataFolders
    holds: Holds
    route_faults: RouteFaults
    #: by number and node: how many [objects, hints] the node had stored when it was cut off
    #: (`before`) and at the end of that (`then`)
    _seen: dict[int, dict[str, dict[str, list[int] | None]]] = field(default_factory=dict)

    async def inject(self, number: int, fault: WipeFault) -> Look:
        kill = Kill(self.processes, self.holds)
        killed = await (await kill.inject(number, KillFault(nodes=fault.nodes)))()
        what = fault.disk or "wiped"
        await _each(fault.nodes, self._act(what))
        detail = {**killed.detail, what: fault.nodes}

        async def look() -> Proof:
            seen = self._seen.get(number)
            apart = {} if seen is None else {"apart": seen}
            return Proof(killed.bit, seen is not None or not fault.apart, detail | apart)

        return look

    async def lift(self, number: int, fault: WipeFault) -> None:
        if not fault.apart:
            await _each(fault.nodes, lambda node: self.holds.release(number, node))
            return
        # only a disk that was put back knows the ring; any other node must ask for it first
        early = fault.disk == "restored"
        self._seen[number] = {}
        for node in fault.nodes:
            self._seen[number][node] = await self._start_apart(number, node, early)

    async def _start_apart(
        self, number: int, node: str, early: bool
    ) -> dict[str, list[int] | None]:
        """Give a node back, cut off from its peers: before it starts, or once it is ready.
        Returns what it had stored when it was cut off, and at the end of that."""
        try:
            if early:
                await self._cut_off(number, node)
            await self.holds.release(number, node)
            if self.processes.state(node) != "running":
                return {}
            if not early:
                await self._cut_off(number, node)
            before = await self._stored(node)
            await asyncio.sleep(_APART)
            return {"before": before, "then": await self._stored(node)}
        finally:
            await self.route_faults.lift(number)

    async def _cut_off(self, number: int, node: str) -> None:
        rest = [other for other in self.processes.nodes if other != node]
        await self.route_faults.lay(number, route_faults("refused", [[node], rest]))

    async def _stored(self, node: str) -> list[int] | None:
        """How many objects and hints a node has; None if it does not answer."""
        status = None if self.status is None else await self.status.status(node)
        return None if status is None else [status.objects, status.hints]

    def _act(self, what: str) -> Callable[[str], Awaitable[None]]:
        match what:
            case "copied":
                return self.data.copy_data
            case "restored":
                return self.data.restore_data
        return self.data.wipe


@dataclass(frozen=True)
class Pause:
    """SIGSTOP. The proof is that the kernel shows the process as stopped; one that another
    fault holds down is stopped when it is back."""

    processes: Processes
    holds: Holds

    async def inject(self, number: int, fault: PauseFault) -> Look:
        nodes = fault.nodes
        found = await _each(nodes, lambda node: self._pause(number, node))
        stopped = {node for node in nodes if found[node]}

        async def look() -> Proof:
            late = [n for n in nodes if n not in stopped and self.processes.state(n) == "paused"]
            again = await _each(late, self.processes.pause)
            stopped.update(node for node, is_stopped in again.items() if is_stopped)
            return Proof(bool(stopped), len(stopped) == len(nodes), {"stopped": sorted(stopped)})

        return look

    async def lift(self, number: int, fault: PauseFault) -> None:
        await _each(fault.nodes, lambda node: self.holds.release(number, node))

    async def _pause(self, number: int, node: str) -> bool:
        self.holds.take(number, node, "paused")
        return self.processes.state(node) != "down" and await self.processes.pause(node)


async def _each(nodes: Iterable[str], act: Callable[[str], Awaitable[T]]) -> dict[str, T]:
    """Act on all nodes together, to the end, before the first failure is raised."""
    nodes = list(nodes)
    results = await asyncio.gather(*(act(node) for node in nodes), return_exceptions=True)
    done: dict[str, T] = {}
    for node, result in zip(nodes, results, strict=True):
        if isinstance(result, BaseException):
            raise result
        done[node] = result
    return done
