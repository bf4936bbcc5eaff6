"""A whole cluster on this machine: real processes, started, killed, paused, wiped.

It asks nodes over their admin ports, which no link's fault touches. It knows no proxies:
a `ClusterSpec` gives the address by which each node dials each other one.
"""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from dynamesis.cluster.config.config import dump, write_private
from dynamesis.cluster.process import node_folders
from dynamesis.cluster.process.cluster_spec import ClusterSpec
from dynamesis.cluster.process.fakeclock import FakeClock
from dynamesis.cluster.process.forks import ForkServer, fork_server
from dynamesis.cluster.process.node_folders import CLOCK, CONFIG, STDERR, last_lines
from dynamesis.cluster.process.node_questions import ClusterQuestions
from dynamesis.cluster.process.process import NodeProcess
from dynamesis.cluster.process.runtime import NodeRuntime

#: seconds for a node to be ready, and for a cluster to be linked up
READY_WITHIN = 30.0
#: seconds after which a node counts as started that only waits for nodes out of its reach
WAITS_AFTER = 1.0
#: seconds between two questions whether it is
ASK_AGAIN = 0.01
#: what goes wrong in the process that nodes are forked from, in the folder of all
FORKS = "fork-server.log"
#: seconds for a graceful stop before SIGKILL
GRACE = 5.0


class Cluster(ClusterQuestions):
    """The processes of a ClusterSpec. `on_spawn(pid)` is called as soon as a process runs,
    `on_exit(pid)` once it is reaped. `busy()`: how many times as long as on an idle machine
    everything may take now."""

    def __init__(
        self,
        spec: ClusterSpec,
        on_spawn: Callable[[int], None],
        on_exit: Callable[[int], None],
        busy: Callable[[], float],
    ) -> None:
        super().__init__(spec, busy)
        self._on_spawn = on_spawn
        self._on_exit = on_exit
        self._processes: dict[str, NodeProcess] = {}
        self._clocks: dict[str, FakeClock] = {}
        #: nodes that are started in another version than the rest
        self._runtimes: dict[str, NodeRuntime] = {}
        #: what nodes are forked from, once it was started
        self._forks: ForkServer | None = None
        #: founders that have left and came again, as nodes that join
        self._came_again: set[str] = set()

    # ---- processes

    def prepare(self) -> None:
        """Begin to load the code of the nodes, which start_all then has; to be undone by stop_all.
        Nodes whose clock is to be wrong by a library have that loaded first, each for itself."""
        spec = self._spec
        if self._forks is None and spec.faketime is None:
            spec.root.mkdir(parents=True, exist_ok=True)
            variables = spec.runtime.environment(os.environ)
            self._forks = fork_server(spec.runtime, variables, spec.root / FORKS)

    async def start_all(self) -> None:
        """Start every node, and return once each is ready and has a link to each other.
        Raises RuntimeError with the last lines of its log if a node would not start."""
        self.prepare()
        if self._forks is not None:
            await self._forks.until_ready()
        for node in self.nodes:
            self._spawn(node)
        await asyncio.gather(
            *(self._until_ready(node, linked=True) for node in self._spec.nodes),
            *(self._until_answering(node) for node in self._spec.spares),
        )

    async def start(self, node: str) -> None:
        """Start a node that is not running, and wait until it is ready, or, with no ring on its
        disk, reports that it waits for others. Raises RuntimeError as start_all does."""
        self._spawn(node)
        await self._until_ready(node, waits_after=WAITS_AFTER)

    def runtime(self, node: str) -> NodeRuntime:
        """The version in which a node was started last, or will be if it is down."""
        return self._runtimes.get(node, self._spec.runtime)

    def use(self, node: str, runtime: NodeRuntime) -> None:
        """Start a node that is down in this version from now on. Raises RuntimeError if it runs."""
        if self.state(node) != "down":
            raise RuntimeError(f"{node} is {self.state(node)}; it must be down for that")
        self._runtimes[node] = runtime

    async def kill(self, node: str) -> int:
        """SIGKILL; returns the pid that is gone once it was reaped."""
        process = self._process(node)
        await process.kill()
        return process.pid

    async def add(
        self,
        node: str,
        listen: str,
        admin: str,
        dials: Mapping[str, str],
        dialled_by: Mapping[str, str],
    ) -> None:
        """Start a node that is not a member yet. It reaches the others at `dials`, and they
        reach it at `dialled_by`, each by node id. Then ask any member to "join" it."""
        spec = self._spec
        peers = {
            # a node that has gone does not know it, but may come again
            other: {**known, node: dialled_by[other]} if other in dialled_by else known
            for other, known in spec.peers.items()
        }
        self._spec = replace(
            spec,
            listen={**spec.listen, node: listen},
            admin={**spec.admin, node: admin},
            peers={**peers, node: dict(dials)},
        )
        for other in self.nodes:
            if self.state(other) == "running":
                await self._introduce(other, node, dialled_by[other])
        self.nodes = (*self.nodes, node)
        self._spawn(node)
        await self._until_answering(node)

    def strangers(self, node: str) -> tuple[str, ...]:
        """The nodes that came after this one had gone: neither knows where the other is."""
        known = self._spec.peers[node]
        return tuple(other for other in self.nodes if other != node and other not in known)

    async def add_again(
        self, node: str, dials: Mapping[str, str], dialled_by: Mapping[str, str]
    ) -> None:
        """Start a node that has retired, with nothing on its disk, under its old name and at its
        old address: it is not a member. It reaches its `strangers` at `dials`, and they reach it at
        `dialled_by`."""
        peers = {other: dict(known) for other, known in self._spec.peers.items()}
        peers[node].update(dials)
        for other in dials:
            peers[other][node] = dialled_by[other]
        self._spec = replace(self._spec, peers=peers)
        for other in dials:
            if self.state(other) == "running":
                await self._introduce(other, node, dialled_by[other])
        await self.wipe(node)
        self._came_again.add(node)
        self.nodes = (*self.nodes, node)
        self._spawn(node)
        await self._until_answering(node)

    async def _introduce(self, other: str, node: str, address: str) -> None:
        """Give `other` the address of `node`, unless it goes away meanwhile."""
        try:
            await self.ask(other, "introduce", id=node, address=address)
        except RuntimeError:
            if other in self.nodes and self.state(other) == "running":
                raise

    async def clock(self, node: str, **settings: int) -> None:
        """Have a running node's wall clock be wrong (wallclock), if the spec allows it; by no
        settings no more. Raises RuntimeError."""
        if node in self._clocks:
            self._clocks[node].set(**settings)
        else:
            await self.ask(node, "clock", **settings)

    async def retire(self, node: str) -> None:
        """Stop a node that is not a member any more: it is not among `nodes` from now on. Its log
        is still collected."""
        self.nodes = tuple(other for other in self.nodes if other != node)
        await self._process(node).stop(GRACE)

    async def _until_answering(self, node: str) -> None:
        late = self._deadline(READY_WITHIN)
        while (status := await self.status(node)) is None:
            if self.state(node) == "down" or late():
                raise RuntimeError(self._why_not_ready(node, status))
            await asyncio.sleep(ASK_AGAIN)

    async def stop(self, node: str) -> None:
        """SIGTERM; SIGKILL after GRACE seconds."""
        await self._process(node).stop(GRACE)

    async def pause(self, node: str) -> bool:
        """SIGSTOP; True once the kernel shows the process as stopped, False if it is gone."""
        return await self._process(node).pause()

    async def resume(self, node: str) -> None:
        """SIGCONT; harmless when not paused. It learns which nodes came meanwhile."""
        paused = self.state(node) == "paused"
        self._process(node).signal(signal.SIGCONT)
        for other in self.nodes if paused else ():
            known = self._spec.peers[node]
            if self._is_newcomer(other) and other != node and other in known:
                await self.ask(node, "introduce", id=other, address=known[other])

    async def wipe(self, node: str) -> None:
        """Delete the data of a node. Raises RuntimeError if it is running."""
        node_folders.wipe_data(self._of_dead(node))

    async def copy_data(self, node: str) -> None:
        """Keep a copy of a node's data. Raises RuntimeError if it is running."""
        node_folders.copy_data(self._of_dead(node))

    async def restore_data(self, node: str) -> None:
        """Put the copy of a node's data in its place. Raises RuntimeError if it is running, or
        there is no copy."""
        if not node_folders.restore_data(self._of_dead(node)):
            raise RuntimeError(f"there is no copy of the data of {node}")

    def _of_dead(self, node: str) -> Path:
        """The folder of a node that is down."""
        if self.state(node) != "down":
            raise RuntimeError(f"{node} is {self.state(node)}; it must be down for that")
        return self._folder(node)

    def state(self, node: str) -> str:
        """ "running", "paused" or "down"."""
        process = self._processes.get(node)
        return "down" if process is None else process.state

    def exit_code(self, node: str) -> int | None:
        """How the process of a node ended: minus the signal's number if one ended it; None
        while it lives, or if it was never started."""
        process = self._processes.get(node)
        return None if process is None else process.exit_code

    def last_words(self, node: str) -> str:
        """How the process of a node ended, and the last lines of its logs."""
        return self._with_logs(node, f"ended with exit code {self._process(node).exit_code}")

    async def stop_all(self) -> None:
        """Stop every process, whatever its state; never raises."""
        for clock in self._clocks.values():
            clock.stop()
        if self._forks is not None:
            self._forks.close()
            self._forks = None
        await asyncio.gather(
            *(process.stop(GRACE) for process in self._processes.values()), return_exceptions=True
        )

    def collect(self, into: Path) -> None:
        """Copy each node's log, what it printed and its configuration to into/<id>/."""
        for node in self._processes:
            node_folders.collect(self._folder(node), into / node)

    # ---- inside

    def _spawn(self, node: str) -> None:
        if self.state(node) != "down":
            raise RuntimeError(f"{node} is {self.state(node)} already")
        folder = self._folder(node)
        folder.mkdir(parents=True, exist_ok=True)
        config = folder / CONFIG
        write_private(config, dump(self._spec.config(node, node in self._came_again)))
        environment = self._faked(node, folder)
        process = NodeProcess(
            config, folder / STDERR, self._gone, environment, self.runtime(node), self._forks
        )
        self._processes[node] = process
        self._on_spawn(process.pid)

    def _gone(self, pid: int) -> None:
        if self._clocks:
            FakeClock.forget(pid)
        self._on_exit(pid)

    def _faked(self, node: str, folder: Path) -> dict[str, str]:
        """What a node is started with so that its clock can be wrong later; it is right now."""
        if self._spec.faketime is None:
            return {}
        clock = self._clocks.setdefault(node, FakeClock(self._spec.faketime, folder / CLOCK))
        clock.set()
        return clock.environment(os.environ)

    def _deadline(self, seconds: float) -> Callable[[], bool]:
        """Whether so many seconds of an idle machine have passed."""
        clock = asyncio.get_running_loop().time
        left, asked = seconds, clock()

        def late() -> bool:
            nonlocal left, asked
            now = clock()
            left -= (now - asked) / max(1.0, self._busy())
            asked = now
            return left < 0

        return late

    async def _until_ready(
        self, node: str, linked: bool = False, waits_after: float = READY_WITHIN
    ) -> None:
        loop = asyncio.get_running_loop()
        began = loop.time()
        late = self._deadline(READY_WITHIN)
        status = None
        while not _is_ready(status, linked):
            if loop.time() > began + waits_after and self._waits(node, status):
                return
            if self.state(node) == "down" or late():
                raise RuntimeError(self._why_not_ready(node, status))
            await asyncio.sleep(ASK_AGAIN)
            status = await self.status(node)

    def _waits(self, node: str, status: Mapping[str, Any] | None) -> bool:
        """Whether a node that answers cannot be ready before others are: a founder founds no ring
        without all others, and a newcomer gets one from a member."""
        if status is None or status["membership"] is not None:
            return False
        return bool(status["waiting_for"]) or self._is_newcomer(node)

    def _is_newcomer(self, node: str) -> bool:
        """Whether it is, or was, to join a cluster that runs."""
        return node not in self._spec.nodes or node in self._came_again

    def _why_not_ready(self, node: str, status: Mapping[str, Any] | None) -> str:
        code = self._process(node).exit_code
        if code is not None:
            what = f"ended with exit code {code}"
        elif status is None:
            what = f"did not answer within {READY_WITHIN:g} s"
        else:
            down = [peer for peer, link in status["links"].items() if not link["up"]]
            what = f"was not ready within {READY_WITHIN:g} s; no link to: {', '.join(down)}"
            if status["waiting_for"]:
                what += f"; it founds no ring without: {', '.join(status['waiting_for'])}"
        return f"node {node} {self._with_logs(node, what)}"

    def _with_logs(self, node: str, what: str) -> str:
        return "\n  ".join([f"{what}; its last lines:", *last_lines(self._folder(node))])

    def _process(self, node: str) -> NodeProcess:
        if node not in self._processes:
            raise RuntimeError(f"{node} was never started")
        return self._processes[node]

    def _folder(self, node: str) -> Path:
        return self._spec.root / node


def unwatched(spec: ClusterSpec) -> Cluster:
    """A cluster whose processes nothing else has to know of, on an idle machine."""
    return Cluster(spec, lambda pid: None, lambda pid: None, lambda: 1.0)


def _is_ready(status: Mapping[str, Any] | None, linked: bool) -> bool:
    if status is None or not status["ready"]:
        return False
    return not linked or all(link["up"] for link in status["links"].values())
