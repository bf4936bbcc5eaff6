"""A target: a store that can be tested. This is what a user writes for a store of their own.

    class Mine(Target):
        name = "mine"
        workloads = ("register",)

        def command(self, node, site):
            return Command([ "my-store", f"--port={node.ports['client']}", f"--dir={node.data}" ])

        async def ready(self, node, site):
            return await answers(node.address())

        def client(self, site):
            return MyClient()

What a target can do beside that is known from the class, before anything is started: see `able`.
What it lacks is left out of a test, and named in its verdict.
"""

from __future__ import annotations

import asyncio
import re
import shlex
import shutil
from collections.abc import Callable, Mapping, Sequence
from copy import copy
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from dynamesis.checkers.history.op import JsonObject
from dynamesis.harness.targets.capabilities import Capabilities
from dynamesis.harness.targets.client import Client
from dynamesis.harness.targets.site import CLIENT_PORT, NodeSite, Site
from dynamesis.harness.targets.system import EnvironmentFailed

#: The capabilities that a target may have beside its processes (docs/targets.md).
CAPABILITIES: dict[str, str] = {
    "cuts": "links between its nodes that can be cut one by one",
    "kill": "nodes that can be killed and started again",
    "stop": "nodes that can be stopped gracefully and started again",
    "pause": "nodes that can be paused",
    "isolations": "a proxy in front of each node, by which all its peers reach it",
    "status": "what a node reports of itself",
    "quiet": "whether replication is at rest",
    "dumps": "what one replica holds",
    "placements": "which nodes hold a key",
    "wipe": "data folders that may be deleted",
    "disks": "disks that can be made to fail",
    "clocks": "wall clocks that can be made wrong",
    "versions": "nodes in a second version of the store, given by --target-version",
    "membership": "nodes that can join and leave",
    "load": "a load generator of its own",
    "frames": "a protocol of whole frames: lost, doubled and reordered ones",
}


#: The async methods that a target may have beside those of Target: each is a capability.
HOOKS: dict[str, str] = {
    "at_rest": "quiet",
    "held": "dumps",
    "clock": "clocks",
    "members": "membership",
    "join": "membership",
    "leave": "membership",
}


@dataclass(frozen=True)
class Command:
    """How a node is started; no shell is involved. `env`: variables beside those of the harness;
    `cwd`: its working folder, the node's data folder by default."""

    argv: Sequence[str | int | Path]
    env: Mapping[str, str] = field(default_factory=dict)
    cwd: Path | None = None

    @classmethod
    def line(cls, text: str, node: NodeSite, site: Site, **more: object) -> Command:
        """A command line, split as a shell does, of which {name}, {host}, {port} (that of
        clients), {address} (host:port), {data}, {peers} (the host:port of every other node, by
        comma), {PORT_port} of any other port, and what else is given are filled in."""
        values = {f"{name}_port": port for name, port in node.ports.items()} | {
            "name": node.name,
            "host": node.host,
            "port": node.ports[CLIENT_PORT],
            "address": node.address(),
            "data": node.data,
            "peers": ",".join(site.peers(node.name)) if "{peers}" in text else "",
            **more,
        }

        def fill(found: re.Match[str]) -> str:
            return str(values.get(found[1], found[0]))

        return cls([re.sub(r"\{(\w+)\}", fill, word) for word in shlex.split(text)])


@dataclass(frozen=True)
class TargetOption:
    """A --target-option. `allowed`: the values to choose from, if only some are."""

    default: str
    meaning: str
    allowed: tuple[str, ...] = ()


@dataclass(frozen=True)
class BuildContext:
    """What a store is built with.

    site: its nodes and their addresses
    spares: nodes that run from the start too, and are members of nothing until asked to join
    spawned, exited: called with the pid of each process as soon as it runs, and once it is
        reaped: it does not outlive the harness
    tied: the command line by which a process ends with the harness
    busy: how many times as long as on an idle machine everything may take now
    starts: the names of the faults' operations that the test may use, such as start-disk
    faketime: libfaketime, where clocks are to be wrong through it
    preload: variables beside those of a node's own environment
    links: what is between nodes and clients (harness.links.base.Links)
    mark: the variable that the environment of a node's processes has, so that `left` finds them
    left: pid -> command line of the processes whose `mark` is a folder, or within it
    """

    site: Site
    spares: tuple[str, ...]
    spawned: Callable[[int], None]
    exited: Callable[[int], None]
    tied: Callable[[Sequence[str]], list[str]]
    busy: Callable[[], float]
    starts: frozenset[str] = frozenset()
    faketime: Path | None = None
    preload: Callable[[str, Mapping[str, str]], Mapping[str, str]] = lambda node, environment: {}
    links: Any = None
    mark: str = ""
    left: Callable[[str], Mapping[int, str]] = lambda folder: {}


@dataclass(frozen=True)
class Demands:
    """What a test's faults and workload need of the nodes.

    starts: the names of the faults' operations, such as start-disk
    restores: whether an old disk is put back
    params: parameters of nodes that the workload needs
    """

    starts: frozenset[str] = frozenset()
    restores: bool = False
    params: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class FaultLimits:
    """What faults may not do to a store without making it lose acknowledged writes rightly.

    w: on how many nodes an acknowledged write is at least
    n: how many nodes hold a key; None: all
    volatile: whether a node forgets all when its process dies
    buffered: whether a write is acknowledged before it is on a disk
    anti_entropy: whether replicas compare what they hold
    reaps: whether nodes forget within a test what was deleted, and no older disk may be put back
    """

    w: int = 2
    n: int | None = None
    volatile: bool = False
    buffered: bool = False
    anti_entropy: bool = True
    reaps: bool = False


class Target:
    """A store that can be tested. Subclass it; `--target FILE.py:NAME` takes the class, or an
    instance.

    name: as it is shown, and as folders of results begin
    workloads: the names of the workloads that its clients speak
    ports: the ports that a node needs, by names of its own; clients dial "client"
    peer_ports: those by which nodes dial each other; by default all but "client", or "client"
        where there is no other
    client_ports: those that clients dial, each through a proxy
    options: by name, what --target-option may set
    nodes: how many there are where --nodes is absent
    programs: what must be on the PATH; `install` is how to get it
    links: how its nodes are given each other's addresses: one for each ordered pair ("pairs",
        by Site.dials), one for each node ("nodes", by Site.advertised), or not at all (None)
    links_kind: the only kind of links (harness.links.LINKS) that its nodes can be joined by; None
        where any will do that carries connections
    wipes: whether the data of one node may be deleted without a loss
    takes_bin: whether --bin names the program to test; it is among the values of `configured`
    takes_version: whether nodes may be started in another version (--target-version), which
        `in_version` makes
    other: the target in that other version, where there is one; `label` is how it is shown
    boot_limit: s that a node may take to be ready
    stop_limit: s from SIGTERM to SIGKILL
    op_limit: s that an operation may take; then it is unknown, and its client is made anew
    quiet_after: s to wait once the faults are healed, where it cannot report that it is at rest
    promises: what test.json has for the checkers because of it
    limits: what faults may not do to it
    """

    name: str = ""
    description: str = ""
    workloads: tuple[str, ...] = ()
    ports: tuple[str, ...] = (CLIENT_PORT,)
    peer_ports: tuple[str, ...] | None = None
    client_ports: tuple[str, ...] = (CLIENT_PORT,)
    options: Mapping[str, TargetOption] = {}  # replaced, never changed
    nodes: int = 3
    programs: tuple[str, ...] = ()
    install: str = ""
    links: Literal["pairs", "nodes"] | None = None
    links_kind: str | None = None
    wipes: bool = False
    takes_bin: bool = False
    takes_version: bool = False
    other: Target | None = None
    label: str = ""
    boot_limit: float = 30.0
    stop_limit: float = 5.0
    op_limit: float = 5.0
    quiet_after: float = 5.0
    promises: Mapping[str, Any] = {}
    limits: FaultLimits = FaultLimits()
    #: whether its nodes, which advertise one address each, are led to a proxy for each pair by a
    #: preloaded connect() (docs/links.md); found out for `programs`, before the test
    shimmed: bool = False
    #: libfaketime, which makes the clocks of its nodes wrong, where `clock` shows them; found
    #: before the test
    faketime: Path | None = None
    #: by capability, why it is left out although the class has what it takes
    left_out: Mapping[str, str] = {}
    #: whether it may be: not where a node is known by the very address that its peers dial
    takes_shim: bool = True

    def require(self) -> None:
        """Raises EnvironmentFailed, with how to get the store, where it is not on this machine."""
        for program in self.programs:
            if shutil.which(program) is None:
                how = f"; {self.install}" if self.install else ""
                raise EnvironmentFailed(
                    f"target {self.name} needs {program}, which is not on the PATH{how}"
                )

    def command(self, node: NodeSite, site: Site) -> Command:
        """How to start this node. Files that it reads are written here, into node.data or
        site.folder: it is asked at every start."""
        raise NotImplementedError

    async def ready(self, node: NodeSite, site: Site) -> bool:
        """Whether this node serves clients; asked again and again until it does. An exception
        counts as False. By default: whether its client port takes a connection."""
        return await connects(node)

    async def prepare(self, site: Site) -> None:
        """Called once when all nodes are ready: make a schema, form the cluster."""

    def client(self, site: Site) -> Client:
        """The client of one thread."""
        raise NotImplementedError

    def with_options(self, options: Mapping[str, str]) -> Target:
        """This target with the values of all its options; most read them from the site. Raises
        ValueError for those that make no sense."""
        return self

    def listens(self, node: str, port: str) -> str | None:
        """The host:port at which a node that is there already listens; None: where the harness
        has it listen."""
        return None

    def proxied(self, source: str, dest: str, port: str) -> str | None:
        """The host:port of this machine at which `source` (a node, or site.PEERS, or
        site.CLIENT) was configured to reach `dest`, so that the proxy must listen there; None:
        anywhere."""
        return None

    def configured(self, values: Mapping[str, Any]) -> Target:
        """This target with the values of a test's options (fields of TestSpec by name); most
        need none of them. Raises UsageError for values that make no sense together."""
        return self

    def names(self, count: int) -> tuple[str, ...]:
        """The names of so many nodes."""
        return tuple(f"n{number}" for number in range(1, count + 1))

    def in_version(self, version: str) -> Target:
        """This target in another version: its `command` starts a node of that. `version` is what
        --target-version has, a file or folder by its whole path. Raises ValueError for one that
        makes no sense."""
        raise NotImplementedError

    def with_other(self, version: str) -> Target:
        """This target, with nodes that may be started in another version too."""
        both = copy(self)
        both.label = self.label or "this"
        both.other = other = copy(self.in_version(version))
        other.label = other.label if other.label not in ("", both.label) else version
        return both

    def adapted(self, demands: Demands) -> Target:
        """This target as a test with these faults and this workload needs it."""
        return self

    @property
    def setting(self) -> Mapping[str, Any]:
        """What workloads aim at (fields of workloads.script.settings.Setting)."""
        return {}

    @property
    def able(self) -> frozenset[str]:
        """What it can do beside running (CAPABILITIES), known from the class and its HOOKS: an
        async method `at_rest(site)` is quiet, one `held(node, site)`, which returns by key what
        this node holds, is dumps, one `clock(node, site)`, which returns the wall clock of a node,
        s since 1970, is clocks; `members(node, site)`, `join(node, by, site)` and
        `leave(node, by, site)` are membership. What only `build` can add, a subclass adds here
        too."""
        found = {
            "cuts": self.links == "pairs" or self.shimmed,
            "isolations": self.links == "nodes",
            "kill": True,
            "stop": True,
            "pause": True,
            "wipe": self.wipes,
            "quiet": hasattr(self, "at_rest"),
            "dumps": hasattr(self, "held"),
            "clocks": hasattr(self, "clock") and self.faketime is not None,
            "membership": self._has_members and self.links == "pairs" and len(self.between) == 1,
            "versions": self.other is not None,
        }
        return frozenset(name for name, has in found.items() if has)

    @property
    def _has_members(self) -> bool:
        return all(hasattr(self, name) for name, what in HOOKS.items() if what == "membership")

    def build(self, context: BuildContext) -> Capabilities:
        """The store, not started yet. By default one process a node."""
        from dynamesis.harness.targets.process_store import build_processes

        return build_processes(self, context)

    def describe(self) -> JsonObject:
        """What test.json has on it, beside its name and options."""
        return dict(self.promises)

    @property
    def between(self) -> tuple[str, ...]:
        """The ports by which nodes dial each other."""
        if self.peer_ports is not None:
            return self.peer_ports
        return tuple(port for port in self.ports if port != CLIENT_PORT) or (CLIENT_PORT,)


async def connects(node: NodeSite, port: str = CLIENT_PORT, within: float = 1.0) -> bool:
    """Whether a port of this node takes a connection."""
    try:
        async with asyncio.timeout(within):
            _, writer = await asyncio.open_connection(node.host, node.ports[port])
    except (OSError, TimeoutError):
        return False
    writer.close()
    return True
