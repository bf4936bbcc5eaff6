"""Dialling in network namespaces: every node has a network stack and an address of its own, in
a user namespace, so no root is needed where the kernel allows those.

All nodes are on one bridge, as hosts on one switch. To drop what A sends to B, A's neighbour
table gets a wrong Ethernet address for B, which stays until it is deleted. That is a
cut of an ordered pair for every protocol and every program, Go and UDP too. Connections
live on, as they do in a network: their packets are lost, and sent again. The wrong address
belongs to an interface of its own for each pair, whose counter proves that packets went there.

There is no way from this machine into a namespace. A door (door.py) carries the harness and the
clients in: a socket that listens out here, held by a process that lives in there.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path

from dynamesis.harness.links.base import Links
from dynamesis.harness.links.dialling.base import (
    DiallingContext,
    DiallingReport,
    Launch,
    client_routes,
)
from dynamesis.harness.links.dialling.neighbours import NeighbourLinks
from dynamesis.harness.links.dialling.sockets import DialWatch
from dynamesis.harness.processes.process_guard import ProcessGuard
from dynamesis.harness.targets.system import EnvironmentFailed

#: s that one command may take on a busy machine
_LIMIT = 30
_TOOLS = ("unshare", "nsenter", "ip", "bridge")
_NETWORK = "10.88.0"


class Namespaces:
    """The switch and the hosts: one process each that only holds its namespace, and ends with
    the harness, since it reads a pipe from it."""

    def __init__(self, nodes: tuple[str, ...], guard: ProcessGuard) -> None:
        self.nodes = nodes
        self._guard = guard
        self._holders: dict[str, subprocess.Popen[bytes]] = {}
        self._pairs = [(a, b) for a in nodes for b in nodes if a != b]

    def address(self, node: str) -> str:
        return f"{_NETWORK}.{self.nodes.index(node) + 1}"

    def enter(self, name: str) -> list[str]:
        """The command line before a command that is to run in there, as root of that namespace."""
        holder = self._holders[name]
        return ["nsenter", "-t", str(holder.pid), "-U", "-n", "--preserve-credentials", "--"]

    def pid(self, name: str) -> int:
        return self._holders[name].pid

    def open(self) -> None:
        """Make the switch and a host for each node. Raises EnvironmentFailed."""
        self._hold("", ["unshare", "-U", "--map-root-user", "-n"])
        for node in self.nodes:
            self._hold(node, [*self.enter(""), "unshare", "-n"])
        self._batch("", [*_BRIDGE, *self._cables()])
        self._sinks()
        for node in self.nodes:
            own = self.address(node)
            address = f"address add {own}/24 dev eth0"
            self._batch(node, ["link set lo up", address, "link set eth0 up"])

    def close(self) -> None:
        for holder in self._holders.values():
            holder.kill()
            holder.wait()
            assert holder.stdin is not None
            holder.stdin.close()
            self._guard.drop(holder.pid)
        self._holders.clear()

    async def change(self, source: str, lines: list[str]) -> None:
        """Change a node's neighbour table."""
        await asyncio.to_thread(self._batch, source, lines)

    def sink(self, source: str, dest: str) -> str:
        """The interface to which packets from `source` to `dest` go when they are dropped."""
        return f"s{self._pairs.index((source, dest))}"

    def wrong(self, source: str, dest: str) -> str:
        """The Ethernet address of that interface."""
        return f"02:d0:00:00:00:{self._pairs.index((source, dest)):02x}"

    def dropped(self) -> dict[tuple[str, str], int]:
        """Packets dropped so far of each ordered pair."""
        text = Path(f"/proc/{self.pid('')}/net/dev").read_text("ascii")
        sent = {}
        for line in text.splitlines()[2:]:
            name, _, counts = line.partition(":")
            sent[name.strip()] = int(counts.split()[9])
        return {pair: sent.get(self.sink(*pair), 0) for pair in self._pairs}

    def _hold(self, name: str, command: list[str]) -> None:
        holder = subprocess.Popen(
            [*command, "sh", "-c", "echo ready; exec cat"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
        self._holders[name] = holder
        self._guard.add(holder.pid)
        assert holder.stdout is not None
        assert holder.stderr is not None
        if holder.stdout.readline() != b"ready\n":
            why = holder.stderr.read().decode("utf-8", "replace").strip()
            raise EnvironmentFailed(f"no network namespace: {' '.join(command)}: {why}")

    def _cables(self) -> list[str]:
        lines = []
        for number, node in enumerate(self.nodes):
            lines += [
                f"link add v{number} type veth peer name eth0 netns {self.pid(node)}",
                f"link set v{number} master br0 up",
            ]
        for pair in self._pairs:
            sink = self.sink(*pair)
            lines += [
                f"link add {sink} type veth peer name {sink}x",
                f"link set {sink} master br0 up",
                f"link set {sink}x up",
            ]
        return lines

    def _sinks(self) -> None:
        for pair in self._pairs:
            place = ["dev", self.sink(*pair), "master", "static"]
            self._run([*self.enter(""), "bridge", "fdb", "add", self.wrong(*pair), *place], "")

    def _batch(self, name: str, lines: list[str]) -> None:
        self._run([*self.enter(name), "ip", "-force", "-batch", "-"], "\n".join(lines) + "\n")

    def _run(self, command: list[str], text: str) -> None:
        done = subprocess.run(
            command, input=text, capture_output=True, encoding="utf-8", timeout=_LIMIT, check=False
        )
        if done.returncode:
            why = " ".join(done.stderr.split())
            raise EnvironmentFailed(f"no network in the namespaces: {command[-1]}: {why}")


_BRIDGE = ["link add br0 type bridge", "link set br0 up", "link set lo up"]


def no_namespaces() -> str | None:
    """Why there can be none on this machine, with the way out; None where there can."""
    if not sys.platform.startswith("linux"):
        return "network namespaces are for Linux"
    absent = [tool for tool in _TOOLS if shutil.which(tool) is None]
    if absent:
        return f"no {', '.join(absent)} for namespaces (Debian: util-linux and iproute2)"
    trial = ["unshare", "-U", "--map-root-user", "-n", "ip", "-batch", "-"]
    lines = "link add br0 type bridge\nlink add v0 type veth peer name v1\n"
    done = subprocess.run(trial, input=lines, capture_output=True, encoding="utf-8", timeout=_LIMIT)
    if done.returncode == 0:
        return None
    why = " ".join(done.stderr.split()) or f"exit code {done.returncode}"
    return (
        f"user namespaces with a network of their own are not allowed here ({why}); sysctl "
        f"kernel.unprivileged_userns_clone, user.max_user_namespaces and "
        f"kernel.apparmor_restrict_unprivileged_userns decide that"
    )


class NamespaceDialling:
    """Implements harness.links.dialling.base.Dialling: each node is a host of its own."""

    name = "namespaces"
    pairs = True
    notes = (
        "packets of a pair are dropped: between nodes there are black holes only, and "
        "connections live through a cut",
    )

    def __init__(self, context: DiallingContext) -> None:
        self._context = context
        self._spaces = Namespaces(context.nodes, context.guard)
        self._doors: dict[tuple[str, str], str] = {}
        self._porters: list[subprocess.Popen[bytes]] = []
        self._watch = DialWatch({node: self._meaning(node) for node in context.nodes})
        peers = {node: self.advertised(node) for node in context.nodes}
        self._links = NeighbourLinks(context.links, self._spaces, peers)

    @property
    def links(self) -> Links:
        return self._links

    def host(self, node: str) -> str:
        return self._spaces.address(node)

    async def start(self) -> None:
        context = self._context
        context.folder.mkdir(parents=True, exist_ok=True)
        try:
            await asyncio.to_thread(self._spaces.open)
            for node in context.nodes:
                self._open_doors(node)
            clients = {node: self.reach(node, context.client) for node in context.nodes}
            await self._links.start(client_routes(context, clients))
        except BaseException:
            await self.stop()
            raise
        self._watch.start()

    def dials(self, source: str, dest: str) -> str:
        return self.advertised(dest)

    def advertised(self, dest: str) -> str:
        return self._context.listen(dest, self._context.peer, self.host(dest))

    def reach(self, node: str, port: str) -> str:
        return self._doors[node, port]

    def launch(self, node: str) -> Launch:
        argv = self._spaces.enter(node)
        if os.getuid():  # programs that refuse to run as root see their own user
            ids = [f"--map-user={os.getuid()}", f"--map-group={os.getgid()}"]
            argv += ["unshare", "-U", *ids, "--"]
        return Launch(tuple(argv))

    def launched(self, node: str, pid: int) -> None:
        self._watch.launched(node, pid)

    async def report(self) -> DiallingReport:
        await self._watch.look()
        faults = tuple(sorted(self._links.kinds))
        left_out, through = self._context.left_out, dict(self._watch.through)
        return DiallingReport(self.name, True, faults, left_out, through, {}, self.notes)

    async def stop(self) -> None:
        await self._watch.stop()
        await self._links.stop()
        for porter in self._porters:
            porter.kill()
            porter.wait()
            self._context.guard.drop(porter.pid)
        self._porters.clear()
        self._spaces.close()

    def _meaning(self, node: str) -> dict[str, tuple[str, bool]]:
        return {self.advertised(peer): (peer, True) for peer in self._context.nodes if peer != node}

    def _open_doors(self, node: str) -> None:
        """A socket out here for each port of a node, and a process in there that serves them."""
        sockets, words = [], []
        for port, number in self._context.ports[node].items():
            door = socket.socket()
            door.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            door.bind(("127.0.0.1", self._context.take_port()))
            door.listen(1024)
            self._doors[node, port] = f"127.0.0.1:{door.getsockname()[1]}"
            sockets.append(door)
            words.append(f"{door.fileno()}={self.host(node)}:{number}")
        module = "dynamesis.harness.links.dialling.door"
        with (self._context.folder / f"door-{node}.log").open("ab") as log:
            porter = subprocess.Popen(
                [*self._spaces.enter(node), sys.executable, "-m", module, *words],
                pass_fds=[door.fileno() for door in sockets],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self._porters.append(porter)
        self._context.guard.add(porter.pid)
        for door in sockets:
            door.close()
