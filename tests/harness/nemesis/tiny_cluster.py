"""Real processes behind real links, and nothing of the store: what nemeses are tried on."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
from dynamesis.checkers.history.op import Op
from dynamesis.harness.links import LINKS, LinkContext
from dynamesis.harness.links.base import Links, plan_routes
from dynamesis.harness.nemesis import Nemesis
from dynamesis.harness.nemesis.faults import FaultAction, action_from_value
from dynamesis.harness.processes.lifeline import tied
from dynamesis.harness.processes.ports import reserve
from dynamesis.harness.processes.process_guard import ProcessGuard
from dynamesis.harness.targets.capabilities import Capabilities
from dynamesis.harness.targets.reports import NodeStatus, RingView

NODE = Path(__file__).with_name("tiny_node.py")


class TinySystem:
    """Has of harness.targets.capabilities what nemeses need that know no store."""

    def __init__(self, folder: Path, ports: dict[str, int], admin: dict[str, int]) -> None:
        self.nodes = tuple(ports)
        self.folder = folder
        self.links: Links | None = None
        self._ports = ports
        self._admin = admin
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self._paused: set[str] = set()

    async def start(self, node: str) -> None:
        assert self.links is not None
        peers = [f"{p}={self.links.address(node, p)}" for p in self.nodes if p != node]
        where = [str(self._ports[node]), str(self._admin[node]), str(self.folder / node)]
        command = [sys.executable, "-I", "-S", str(NODE), node, *where, *peers]
        self._processes[node] = subprocess.Popen(tied(command), start_new_session=True)
        await until(lambda: self.status(node))

    async def kill(self, node: str) -> int:
        process = self._processes[node]
        process.kill()
        process.wait()
        self._paused.discard(node)
        return process.pid

    async def stop(self, node: str) -> None:
        self._processes[node].terminate()
        self._processes[node].wait()

    async def pause(self, node: str) -> bool:
        os.kill(self.pid(node), signal.SIGSTOP)
        self._paused.add(node)
        await until(lambda: self._is_stopped(node))
        return True

    async def _is_stopped(self, node: str) -> bool:
        stat = Path(f"/proc/{self.pid(node)}/stat").read_text()
        return stat.rpartition(")")[2].split()[0] == "T"

    async def resume(self, node: str) -> None:
        self._paused.discard(node)
        os.kill(self.pid(node), signal.SIGCONT)

    def exit_code(self, node: str) -> int | None:
        return self._processes[node].poll()

    def last_words(self, node: str) -> str:
        return f"ended with exit code {self._processes[node].returncode}"

    async def wipe(self, node: str) -> None:
        assert self.state(node) == "down"
        shutil.rmtree(self.folder / node)

    def state(self, node: str) -> str:
        process = self._processes.get(node)
        if process is None or process.poll() is not None:
            return "down"
        return "paused" if node in self._paused else "running"

    def pid(self, node: str) -> int:
        return self._processes[node].pid

    async def status(self, node: str) -> NodeStatus | None:
        try:
            async with asyncio.timeout(5):
                reader, writer = await asyncio.open_connection("127.0.0.1", self._admin[node])
                answer = await reader.read()
                writer.close()
        except (OSError, TimeoutError):
            return None
        return NodeStatus.of(json.loads(answer))

    async def ring(self) -> RingView:
        if all(self.state(node) == "down" for node in self.nodes):
            raise RuntimeError("no node is running")
        return RingView(owners=self.nodes, n=2)

    def kill_all(self) -> None:
        for process in self._processes.values():
            process.kill()
            process.wait()


@dataclass
class Scene:
    """A tiny cluster, its nemesis, and what the nemesis put into the history."""

    system: TinySystem
    links: Links
    nemesis: Nemesis
    history: list[Op] = field(default_factory=list)

    def record(self, op: Op) -> Op:
        value = op.value.as_value() if isinstance(op.value, FaultAction) else op.value
        event = msgspec.structs.replace(op, index=len(self.history), value=value)
        self.history.append(event)
        return event

    async def do(self, f: str, **value: Any) -> Op:
        """Have the nemesis do it, as the runner would."""
        op = Op(type="invoke", process="nemesis", f=f, value=action_from_value(f, value))
        self.record(op)
        return self.record(await self.nemesis.invoke(op, self.record))

    def proofs(self) -> dict[int, dict[str, Any]]:
        """The evidence so far, by fault."""
        return {op.value["fault"]: op.value for op in self.history if op.f == "evidence"}

    async def reaches(self, a: str, b: str) -> bool:
        """Whether a gets answers from b at present."""
        status = await self.system.status(a)
        return status is not None and status.peers[b].up

    async def all_reach_all(self) -> bool:
        for node in self.system.nodes:
            status = await self.system.status(node)
            if status is None or not all(peer.up for peer in status.peers.values()):
                return False
        return True


def everything(of: Any) -> Capabilities:
    """Every capability of one object."""
    return Capabilities(
        processes=of, status=of, dumps=of, placements=of, data=of, disks=of, clocks=of,
        membership=of,
    )  # fmt: skip


@asynccontextmanager
async def open_scene(folder: Path, size: int = 3, links: str = "toxiproxy") -> AsyncIterator[Scene]:
    nodes = [f"n{i}" for i in range(1, size + 1)]
    with reserve(size * size + 3 * size + 3) as ports, ProcessGuard.start() as reaper:
        listen = {node: ports.take() for node in nodes}
        system = TinySystem(folder, listen, {node: ports.take() for node in nodes})
        site = LinkContext(folder, ports, reaper, print, print)
        system.links = LINKS[links].make(site)
        upstreams = {node: f"127.0.0.1:{port}" for node, port in listen.items()}
        try:
            await system.links.start(
                plan_routes(upstreams, [ports.take() for _ in range(size * size)])
            )
            await asyncio.gather(*map(system.start, nodes))
            nemesis = Nemesis(everything(system), system.links, folder / "ledger")
            scene = Scene(system, system.links, nemesis)
            await until(scene.all_reach_all)
            yield scene
        finally:
            system.kill_all()
            await system.links.stop()


class Scenes:
    """One tiny cluster for each kind of links, for scenarios that take back what they do: to start
    one takes as long as most of them. Each has a nemesis and a history of its own, and one that
    fails leaves its cluster to no other."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._runner = asyncio.Runner()
        self._open: dict[str, tuple[AsyncExitStack, Scene]] = {}

    def play(self, links: str, ledger: Path, scenario: Callable[[Scene], Awaitable[None]]) -> None:
        """Play it, and heal what it left."""
        try:
            self._runner.run(self._played(links, ledger, scenario))
        except BaseException:
            self._runner.run(self._closed(links))
            raise

    async def _played(
        self, links: str, ledger: Path, scenario: Callable[[Scene], Awaitable[None]]
    ) -> None:
        if links not in self._open:
            stack, folder = AsyncExitStack(), Path(tempfile.mkdtemp(dir=self._folder))
            self._open[links] = stack, await stack.enter_async_context(open_scene(folder, 3, links))
        _, first = self._open[links]
        nemesis = Nemesis(everything(first.system), first.links, ledger)
        scene = Scene(first.system, first.links, nemesis)
        await scenario(scene)
        await nemesis.heal_all()
        await until(scene.all_reach_all)

    async def _closed(self, links: str) -> None:
        if links in self._open:
            stack, _ = self._open.pop(links)
            await stack.aclose()

    def close(self) -> None:
        """End all of them."""
        for links in list(self._open):
            self._runner.run(self._closed(links))
        self._runner.close()


async def until(condition: Callable[[], Any]) -> None:
    """Wait until what `condition` returns, when awaited, is true."""
    deadline = time.monotonic() + 100
    while not await condition():
        assert time.monotonic() < deadline, "waited in vain"
        await asyncio.sleep(0.03)
