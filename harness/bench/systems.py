"""Both systems as processes: the bare mesh, and the node as it is."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import msgspec
from dynamesis.cluster.process.cluster_spec import ClusterSpec
from dynamesis.cluster.process.parent import PARENT
from dynamesis.cluster.process.supervisor import Cluster
from dynamesis.harness.bench.cases import Setup
from dynamesis.harness.bench.mesh import MeshConfig
from dynamesis.harness.targets.system import EnvironmentFailed

#: on a machine that pauses for a while no request is given up, sent to a fallback, or shed
PATIENT = {"replica_timeout": 20.0, "request_timeout": 30.0, "queue_target": 30.0}
#: seconds for all of the mesh to listen
_READY = 20.0
_MESH = "mesh"


@dataclass(frozen=True)
class Addresses:
    """ "host:port" of each node: where it listens, its admin port, how clients reach it, and by
    the node that dials how it reaches each other one."""

    listen: Mapping[str, str]
    admin: Mapping[str, str]
    clients: Mapping[str, str]
    peers: Mapping[str, Mapping[str, str]]


class System(Protocol):
    """What is measured: `cluster` is the name that its HELLO has."""

    name: str
    cluster: str

    async def start(self) -> None: ...
    def pids(self) -> list[int]: ...
    async def stop(self) -> None: ...


class NodeSystem:
    """The node, as `dynamesis cluster` runs it."""

    name = "node"
    cluster = "dynamesis"

    def __init__(self, setup: Setup, folder: Path, addresses: Addresses) -> None:
        self._pids: list[int] = []
        spec = ClusterSpec(
            tuple(addresses.listen),
            folder,
            addresses.listen,
            addresses.admin,
            addresses.peers,
            PATIENT,
            setup.storage,
        )
        self._cluster = Cluster(spec, self._pids.append, lambda pid: None, lambda: 4.0)

    async def start(self) -> None:
        """Raises EnvironmentFailed."""
        try:
            await self._cluster.start_all()
        except RuntimeError as error:
            raise EnvironmentFailed(str(error)) from error

    def pids(self) -> list[int]:
        return self._pids

    async def stop(self) -> None:
        await self._cluster.stop_all()


@dataclass
class MeshSystem:
    """The bare mesh (harness.bench.mesh)."""

    setup: Setup
    folder: Path
    addresses: Addresses
    name: str = "mesh"
    cluster: str = _MESH
    _processes: list[subprocess.Popen[bytes]] = field(default_factory=list)

    async def start(self) -> None:
        """Raises EnvironmentFailed."""
        for node in self.addresses.listen:
            self._processes.append(self._spawn(node))
        deadline = time.monotonic() + _READY
        for node, address in self.addresses.listen.items():
            await _until_listening(node, address, deadline)
        # each dials the others as soon as they listen
        await asyncio.sleep(0.5)

    def _spawn(self, node: str) -> subprocess.Popen[bytes]:
        folder = self.folder / node
        folder.mkdir(parents=True)
        config = MeshConfig(
            node,
            tuple(self.addresses.listen),
            self.addresses.listen[node],
            dict(self.addresses.peers[node]),
            self.setup.storage,
            str(folder / "data"),
        )
        file = folder / "config.json"
        file.write_bytes(msgspec.json.encode(config))
        with (folder / "stderr.log").open("ab") as stderr:
            return subprocess.Popen(
                [sys.executable, "-P", "-m", "dynamesis.harness.bench.mesh", str(file)],
                stdin=subprocess.PIPE,
                stdout=stderr,
                stderr=stderr,
                env={**os.environ, PARENT: str(os.getpid())},
                start_new_session=True,
            )

    def pids(self) -> list[int]:
        return [process.pid for process in self._processes]

    async def stop(self) -> None:
        for process in self._processes:
            with suppress(OSError):
                process.kill()
            process.wait()
            if process.stdin is not None:
                process.stdin.close()


async def _until_listening(node: str, address: str, deadline: float) -> None:
    host, _, port = address.rpartition(":")
    while True:
        try:
            _, writer = await asyncio.open_connection(host, int(port))
        except OSError as error:
            if time.monotonic() > deadline:
                raise EnvironmentFailed(f"mesh node {node} does not listen: {error}") from error
            await asyncio.sleep(0.05)
        else:
            writer.close()
            return


def cpu_seconds(pids: Iterable[int]) -> float:
    """CPU time, user and system, that these processes have taken so far. Linux: by the clock
    of the process, which is exact to the ns; elsewhere by what `ps` shows."""
    return sum(map(_cpu_of, pids))


def _cpu_of(pid: int) -> float:
    if sys.platform == "linux":
        # CPUCLOCK_SCHED of another process: see clock_getcpuclockid(3)
        return time.clock_gettime(~pid << 3 | 2)
    shown = subprocess.run(
        ["ps", "-o", "time=", "-p", str(pid)], capture_output=True, encoding="utf-8", check=False
    ).stdout.strip()
    seconds = 0.0
    for part in shown.split(":"):
        seconds = 60 * seconds + float(part or 0)
    return seconds
