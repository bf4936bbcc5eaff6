"""A cluster of simulated nodes: the supervisor of real ones, with lives in place of processes."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Mapping
from itertools import count
from pathlib import Path
from random import Random
from typing import Any

import msgspec
from dynamesis.checkers.history.op import JsonObject
from dynamesis.cluster import zoo
from dynamesis.cluster.client.admin import AdminError
from dynamesis.cluster.config.config import Config, dump, write_private
from dynamesis.cluster.core.node.node import Node
from dynamesis.cluster.process import metrics
from dynamesis.cluster.process.cluster_spec import ClusterSpec
from dynamesis.cluster.process.node_folders import CONFIG
from dynamesis.cluster.process.node_questions import ANSWER_WITHIN, STATUS_WITHIN
from dynamesis.cluster.process.supervisor import READY_WITHIN, Cluster
from dynamesis.harness.worlds.simulated.disk import SimulatedDisk
from dynamesis.harness.worlds.simulated.log import SimulatedLog
from dynamesis.harness.worlds.simulated.network import Network
from dynamesis.harness.worlds.simulated.node import NodeLife
from dynamesis.harness.worlds.simulated.tweaks import Tweaks

#: s that the kernel takes to give up a process
_GONE = 0.001


class SimulatedProcess:
    """A life as cluster.process.process.NodeProcess has a process."""

    def __init__(self, life: NodeLife) -> None:
        self.life = life

    @property
    def pid(self) -> int:
        return self.life.pid

    @property
    def exit_code(self) -> int | None:
        return self.life.exit_code

    @property
    def state(self) -> str:
        return self.life.state

    def signal(self, number: signal.Signals) -> None:
        """SIGCONT is all that is ever sent so."""
        if number == signal.SIGCONT:
            self.life.resume()

    async def pause(self) -> bool:
        self.life.pause()
        await asyncio.sleep(_GONE)
        return self.life.state == "paused"

    async def kill(self) -> None:
        self.life.die(-signal.SIGKILL)
        await asyncio.sleep(_GONE)

    async def stop(self, grace: float) -> None:
        """SIGTERM; SIGKILL after `grace` s, and immediately to a paused one."""
        if self.state == "running":
            try:
                async with asyncio.timeout(grace):
                    await self.life.stop()
            except TimeoutError:
                pass
        await self.kill()


class SimulatedCluster(Cluster):
    """Processes, data folders, disks, clocks and membership of simulated nodes."""

    def __init__(self, spec: ClusterSpec, network: Network, random: Random, tweaks: Tweaks) -> None:
        super().__init__(spec, lambda pid: None, lambda pid: None, lambda: 1.0)
        self.logs: dict[str, SimulatedLog] = {}
        #: by node, what it was started with last
        self._configs: dict[str, Config] = {}
        self._network = network
        self._tweaks = tweaks
        self._roll = random.random
        self._make_core = zoo.plant(spec.bugs) if spec.bugs else Node
        self._durable = spec.engine != "memory"
        self._disks: dict[str, SimulatedDisk] = {}
        self._copies: dict[str, SimulatedDisk] = {}
        self._pids = count(1001)

    def lives(self) -> list[NodeLife]:
        """The last life of each node that was ever started."""
        return [self._life(node) for node in self._processes]

    # ---- processes

    def prepare(self) -> None:
        """Nothing: its nodes are values of this process."""

    def _spawn(self, node: str) -> None:
        if self.state(node) != "down":
            raise RuntimeError(f"{node} is {self.state(node)} already")
        if not self._durable or node not in self._disks:
            self._disks[node] = SimulatedDisk(self._durable)
        log = self.logs.get(node)
        if log is None:
            log = self.logs[node] = SimulatedLog(node, self._network.loop)
        config = self._configs[node] = self._spec.config(node, node in self._came_again)
        life = NodeLife(
            config,
            self._make_core,
            self._disks[node],
            log,
            self._network,
            self._tweaks,
            self._roll,
            next(self._pids),
        )
        self._processes[node] = SimulatedProcess(life)  # type: ignore[assignment]

    async def _until_ready(
        self, node: str, linked: bool = False, waits_after: float = READY_WITHIN
    ) -> None:
        life = self._life(node)

        def is_ready() -> bool:
            return (life.core is not None and life.core.ready) and (not linked or life.linked())

        if await life.until(is_ready, min(waits_after, READY_WITHIN)):
            return
        status = await self.status(node)
        if waits_after < READY_WITHIN:
            if self._waits(node, status):
                return
            if await life.until(is_ready, READY_WITHIN - waits_after):
                return
        raise RuntimeError(self._why_not_ready(node, await self.status(node)))

    async def _until_answering(self, node: str) -> None:
        life = self._life(node)
        if not await life.until(lambda: life.core is not None, READY_WITHIN):
            raise RuntimeError(self._why_not_ready(node, None))

    def _with_logs(self, node: str, what: str) -> str:
        words = self._life(node).last_words.splitlines()
        return "\n  ".join([f"{what}; its last lines:", *words]) if words else what

    def _life(self, node: str) -> NodeLife:
        process: Any = self._process(node)
        life: NodeLife = process.life
        return life

    # ---- data

    async def wipe(self, node: str) -> None:
        self._dead(node)
        self._disks.pop(node, None)

    async def copy_data(self, node: str) -> None:
        self._dead(node)
        self._copies.pop(node, None)
        if node in self._disks:
            self._copies[node] = self._disks[node].copy()

    async def restore_data(self, node: str) -> None:
        self._dead(node)
        if node not in self._copies:
            raise RuntimeError(f"there is no copy of the data of {node}")
        self._disks[node] = self._copies[node].copy()

    def _dead(self, node: str) -> None:
        if self.state(node) != "down":
            raise RuntimeError(f"{node} is {self.state(node)}; it must be down for that")

    def collect(self, into: Path) -> None:
        """Write each node's log and its configuration to into/<id>/."""
        for node, log in self.logs.items():
            (into / node).mkdir(parents=True, exist_ok=True)
            write_private(into / node / CONFIG, dump(self._configs[node]))
            lines = [msgspec.json.encode(line) for line in log.lines()]
            (into / node / "node.log").write_bytes(b"\n".join((*lines, b"")))

    def log_of(self, node: str) -> tuple[JsonObject, ...]:
        """What a node has logged."""
        return self.logs[node].lines()

    # ---- questions

    async def ask(self, node: str, command: str, /, **args: Any) -> Any:
        life = await self._answering(node, ANSWER_WITHIN)
        if life is None:
            raise RuntimeError(f"{node} does not answer {command!r}")
        answer = life.admin.ask(command, args)
        if answer.error is not None:
            raise AdminError(answer.error)
        return answer.result

    async def status(self, node: str) -> Mapping[str, Any] | None:
        if self.state(node) != "running":
            return None
        life = await self._answering(node, STATUS_WITHIN)
        if life is None:
            return None
        answer = life.admin.ask("status", {})
        return None if answer.error is not None else answer.result

    async def metrics(self, node: str) -> str | None:
        try:
            status, figures = await self.ask(node, "status"), await self.ask(node, "figures")
        except (RuntimeError, AdminError):
            return None
        return metrics.render(node, status, figures).decode()

    def prompt(self) -> bool:
        """Whether each node that is not down answers a question now."""
        for process in self._processes.values():
            life: NodeLife = process.life  # type: ignore[attr-defined]
            if life.exit_code is None and (not life.running or life.core is None):
                return False
        return True

    async def _answering(self, node: str, within: float) -> NodeLife | None:
        """The life of a node that runs and has booted; None if there is none in time."""
        process: Any = self._processes.get(node)
        life: NodeLife | None = None if process is None else process.life
        if life is None or life.exit_code is not None:
            return None
        if life.running and life.core is not None:
            return life
        loop = self._network.loop
        deadline = loop.now + within
        while loop.now < deadline and life.exit_code is None:
            await asyncio.sleep(0.05)
            if life.running and life.core is not None:
                return life
        return None
