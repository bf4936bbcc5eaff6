"""A whole cluster on this machine: real processes, started, killed, paused, wiped.

It asks nodes over their admin ports, which no link's fault touches. It knows no proxies:
a `ClusterSpec` gives the address by which each node dials each other one.
"""

from __future__ import annotations

import asyncio
import logging
import os
import shutil
import signal
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from dynamesis.cluster.client.admin import AdminClient, AdminError
from dynamesis.cluster.config.config import Config, Storage, draw_secret, dump, write_private
from dynamesis.cluster.config.tls import Tls, dialling
from dynamesis.cluster.net.exceptions import DynamoError
from dynamesis.cluster.process.fakeclock import FakeClock
from dynamesis.cluster.process.process import OURS, NodeProcess
from dynamesis.cluster.process.runtime import NodeRuntime

log = logging.getLogger(__name__)

#: seconds for a node to be ready, and for a cluster to be linked up
READY_WITHIN = 30.0
#: seconds after which a node counts as started that only waits for nodes out of its reach
WAITS_AFTER = 1.0
#: seconds between two questions whether it is
ASK_AGAIN = 0.01
#: seconds for a graceful stop before SIGKILL
GRACE = 5.0
#: seconds for an answer: to a status, and to a page of a dump
STATUS_WITHIN = 3.0
ANSWER_WITHIN = 10.0
#: rows in a page of a dump
PAGE = 64


@dataclass(frozen=True)
class ClusterSpec:
    """Which cluster to run. Addresses are "host:port": `listen` and `admin` by node, `peers`
    by the node that dials and the one it dials. Everything is kept under `root`, a folder
    for each node; `params` are those of cluster.core.protocol.params, the same for all."""

    nodes: tuple[str, ...]
    root: Path
    listen: Mapping[str, str]
    admin: Mapping[str, str]
    peers: Mapping[str, Mapping[str, str]]
    params: Mapping[str, Any] = field(default_factory=dict)
    engine: str = "lmdb"
    bugs: tuple[str, ...] = ()
    cluster: str = "dynamesis"
    #: drawn for this cluster, where none is given
    secret: str = field(default_factory=draw_secret)
    tls: Tls | None = None
    #: nodes that run from the start too, and are members of nothing until asked to join
    spares: tuple[str, ...] = ()
    #: nodes obey the command `disk`, and have it fail
    disk_faults: bool = False
    #: nodes obey the command `clock`, and have a wrong one
    clock_faults: bool = False
    #: libfaketime, where clocks are to be wrong through it and not in the nodes
    faketime: Path | None = None
    #: the version in which every node is started at first
    runtime: NodeRuntime = OURS


class Cluster:
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
        self.nodes = (*spec.nodes, *spec.spares)
        self._spec = spec
        self._on_spawn = on_spawn
        self._on_exit = on_exit
        self._busy = busy
        self._processes: dict[str, NodeProcess] = {}
        self._clocks: dict[str, FakeClock] = {}
        #: nodes that are started in another version than the rest
        self._runtimes: dict[str, NodeRuntime] = {}
        #: founders that have left and came again, as nodes that join
        self._came_again: set[str] = set()
        self._tls = None if spec.tls is None else dialling(spec.tls.ca)

    # ---- processes

    async def start_all(self) -> None:
        """Start every node, and return once each is ready and has a link to each other.
        Raises RuntimeError with the last lines of its log if a node would not start."""
        for node in self.nodes:
            self._spawn(node)
        await asyncio.gather(
            *(self._until_ready(node, linked=True) for node in self._spec.nodes),
            *(self._until_answering(node) for node in self._spec.spares),
        )

    async def start(self, node: str) -> None:
        """Start a node that is not running, and wait until it is ready, or, with nothing on its
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

    async def disk(self, node: str, fault: str, **settings: float) -> None:
        """Have a running node's disk fail (cluster.storage.faulty), if the spec allows it; by
        "none" no more. Raises RuntimeError."""
        await self.ask(node, "disk", fault=fault, **settings)

    async def repair(self, node: str) -> None:
        """Have a running node read all that it holds, so that latent damage shows, and compare
        it with its peers. Raises RuntimeError."""
        await self.ask(node, "repair")

    async def exchange(self, node: str) -> None:
        """Have a running node hand off its hints and compare what it holds with its peers now. Does
        nothing, beside, where it does not answer: it does so anyway before long."""
        try:
            await self.ask(node, "exchange")
        except (RuntimeError, AdminError):
            log.debug("%s was not asked for exchanges", node, exc_info=True)

    async def clock(self, node: str, **settings: int) -> None:
        """Have a running node's wall clock be wrong (wallclock), if the spec allows it; by no
        settings no more. Raises RuntimeError."""
        if node in self._clocks:
            self._clocks[node].set(**settings)
        else:
            await self.ask(node, "clock", **settings)

    async def change(self, kind: str, node: str) -> None:
        """Ask a member that runs to let `node` "join" or "leave", or be "remove"d as dead:
        not the same for all, since those that make changes at one time may do so at several places.
        Raises ValueError with the reason if it is refused, RuntimeError if no node answers."""
        reason: Exception = RuntimeError("no member is running")
        first = sum(node.encode()) % len(self.nodes)
        for asked in (*self.nodes[first:], *self.nodes[:first]):
            if asked == node or self.state(asked) != "running":
                continue
            try:
                await self.ask(asked, kind, node=node)
                return
            except AdminError as error:
                reason = ValueError(f"{asked} refuses: {error}")
            except RuntimeError as error:
                reason = error
        raise reason

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
            came = other not in self._spec.nodes or other in self._came_again
            if came and other != node and other in self._spec.peers[node]:
                address = self._spec.peers[node][other]
                await self.ask(node, "introduce", id=other, address=address)

    async def wipe(self, node: str) -> None:
        """Delete the data of a node. Raises RuntimeError if it is running."""
        shutil.rmtree(self._data_of_dead(node), ignore_errors=True)

    async def copy_data(self, node: str) -> None:
        """Keep a copy of a node's data. Raises RuntimeError if it is running."""
        data = self._data_of_dead(node)
        shutil.rmtree(data.with_name(_COPY), ignore_errors=True)
        if data.exists():
            shutil.copytree(data, data.with_name(_COPY))

    async def restore_data(self, node: str) -> None:
        """Put the copy of a node's data in its place. Raises RuntimeError if it is running, or
        there is no copy."""
        data = self._data_of_dead(node)
        if not data.with_name(_COPY).exists():
            raise RuntimeError(f"there is no copy of the data of {node}")
        shutil.rmtree(data, ignore_errors=True)
        shutil.copytree(data.with_name(_COPY), data)

    def _data_of_dead(self, node: str) -> Path:
        if self.state(node) != "down":
            raise RuntimeError(f"{node} is {self.state(node)}; it must be down for that")
        return self._folder(node) / "data"

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
        await asyncio.gather(
            *(process.stop(GRACE) for process in self._processes.values()), return_exceptions=True
        )

    def collect(self, into: Path) -> None:
        """Copy each node's log, what it printed and its configuration to into/<id>/."""
        for node in self._processes:
            for file in (self._folder(node) / name for name in ("config.json", *_LOGS)):
                if file.exists():
                    (into / node).mkdir(parents=True, exist_ok=True)
                    shutil.copy2(file, into / node / file.name)

    # ---- questions

    async def ask(self, node: str, command: str, /, **args: Any) -> Any:
        """Any command of the admin port. Raises RuntimeError if there is no answer."""
        try:
            async with self._admin(node, ANSWER_WITHIN * max(1.0, self._busy())) as admin:
                return await admin.ask(command, **args)
        except DynamoError as error:
            raise RuntimeError(f"{node} does not answer {command!r}: {error}") from error

    async def status(self, node: str) -> Mapping[str, Any] | None:
        """The status of the node; None if it does not answer within STATUS_WITHIN."""
        if self.state(node) != "running":
            return None
        try:
            async with (
                asyncio.timeout(STATUS_WITHIN),
                self._admin(node, STATUS_WITHIN) as admin,
            ):
                return dict(await admin.ask("status"))
        except (DynamoError, AdminError, TimeoutError):
            return None

    async def metrics(self, node: str) -> str | None:
        """What the node measures of itself, as Prometheus text; None if it does not answer."""
        try:
            return str(await self.ask(node, "metrics"))
        except (RuntimeError, AdminError):
            return None

    async def dump(self, node: str) -> list[Mapping[str, Any]]:
        """Everything that one node holds, hints too, read without repair: rows {"key": str,
        "siblings": [{"value": bytes, "deleted": bool}], "hint_for": str | None}. Raises
        ValueError with its reason if it refuses, RuntimeError if it does not answer."""
        rows: list[Mapping[str, Any]] = []
        after = None
        while True:
            try:
                page = await self.ask(node, "dump", after=after, limit=PAGE)
            except AdminError as error:
                raise ValueError(f"{node} refuses: {error}") from error
            for row in page["rows"]:
                rows.append(row | {"key": row["key"].decode("utf-8", "backslashreplace")})
            after = page["next"]
            if after is None:
                return rows

    async def ring(self, node: str | None = None) -> Mapping[str, Any]:
        """{"partitions": Q, "owners": [node id] * Q, "members", "n", "r", "w", "sloppy"}, as
        this node sees it, or the first that runs. Raises RuntimeError."""
        running = [node] if node else [n for n in self.nodes if self.state(n) == "running"]
        if not running:
            raise RuntimeError("no node is running")
        return dict(await self.ask(running[0], "ring"))

    # ---- inside

    def _admin(self, node: str, timeout: float) -> AdminClient:
        return AdminClient(self._spec.admin[node], timeout, secret=self._spec.secret, tls=self._tls)

    def _spawn(self, node: str) -> None:
        if self.state(node) != "down":
            raise RuntimeError(f"{node} is {self.state(node)} already")
        folder = self._folder(node)
        folder.mkdir(parents=True, exist_ok=True)
        config = folder / "config.json"
        write_private(config, dump(self._config(node)))
        environment = self._faked(node, folder)
        process = NodeProcess(config, folder / _STDERR, self._gone, environment, self.runtime(node))
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
        clock = self._clocks.setdefault(node, FakeClock(self._spec.faketime, folder / _CLOCK))
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
            if status and status["waiting_for"] and loop.time() > began + waits_after:
                return
            if self.state(node) == "down" or late():
                raise RuntimeError(self._why_not_ready(node, status))
            await asyncio.sleep(ASK_AGAIN)
            status = await self.status(node)

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
        lines = [line for name in _LOGS for line in _tail(self._folder(node) / name, 10)]
        return "\n  ".join([f"{what}; its last lines:", *lines])

    def _config(self, node: str) -> Config:
        spec = self._spec
        founder = node in spec.nodes and node not in self._came_again
        return Config(
            node=node,
            listen=spec.listen[node],
            admin=spec.admin[node],
            members=spec.nodes if founder else (),
            seeds=() if founder else tuple(spec.peers[node]),
            peers=dict(spec.peers[node]),
            cluster=spec.cluster,
            secret=spec.secret,
            tls=spec.tls,
            params=dict(spec.params),
            storage=Storage(engine=spec.engine, faults=spec.disk_faults),
            clock_faults=spec.clock_faults,
            log_size=0,  # the log is evidence: checkers read all of it
            bugs=spec.bugs,
            parent="stdin",
        )

    def _process(self, node: str) -> NodeProcess:
        if node not in self._processes:
            raise RuntimeError(f"{node} was never started")
        return self._processes[node]

    def _folder(self, node: str) -> Path:
        return self._spec.root / node


_CLOCK = "clock"
_COPY = "data.copy"
_STDERR = "stderr.log"
_LOGS = ("node.log", _STDERR)
_TAIL_BYTES = 16 << 10


def unwatched(spec: ClusterSpec) -> Cluster:
    """A cluster whose processes nothing else has to know of, on an idle machine."""
    return Cluster(spec, lambda pid: None, lambda pid: None, lambda: 1.0)


def _is_ready(status: Mapping[str, Any] | None, linked: bool) -> bool:
    if status is None or not status["ready"]:
        return False
    return not linked or all(link["up"] for link in status["links"].values())


def _tail(file: Path, lines: int) -> list[str]:
    if not file.exists():
        return []
    with file.open("rb") as content:
        content.seek(max(0, file.stat().st_size - _TAIL_BYTES))
        return content.read().decode("utf-8", "replace").splitlines()[-lines:]
