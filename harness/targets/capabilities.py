"""What can be done to a store that was built: small protocols, and the Capabilities that it has.

The harness knows no store: a `harness.targets.target.Target` builds one and hands over its
Capabilities. Nodes are addressed by node id. Times in seconds.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from dynamesis.checkers.history.op import Sibling
from dynamesis.harness.targets.reports import DumpRow, NodeStatus, RingView
from dynamesis.harness.targets.site import NodeSite


class Processes(Protocol):
    """The node processes. `nodes` are all that take part: newcomers from their start on, retired
    ones no longer."""

    nodes: tuple[str, ...]

    async def start_all(self) -> None:
        """Start every node and return once each is ready. Raises RuntimeError with the last
        lines of a node's log if it would not start."""

    async def start(self, node: str) -> None:
        """Start (again) a node that is not running, and wait until it is ready, or has nothing
        to do but to wait for others."""

    async def stop(self, node: str) -> None:
        """Graceful stop (SIGTERM), SIGKILL after a deadline."""

    async def stop_all(self) -> None:
        """Stop every process, whatever its state; never raises."""

    async def kill(self, node: str) -> int:
        """SIGKILL; returns the pid that is gone once it was reaped."""

    async def pause(self, node: str) -> bool:
        """SIGSTOP; True once the kernel shows the process as stopped."""

    async def resume(self, node: str) -> None:
        """SIGCONT; harmless when not paused."""

    def state(self, node: str) -> str:
        """ "running", "paused" or "down"."""

    def exit_code(self, node: str) -> int | None:
        """How the process of a node ended: minus the signal's number if one ended it; None
        while it lives, or if it was never started."""

    def last_words(self, node: str) -> str:
        """How the process of a node ended, and the last lines of its logs."""

    def collect(self, into: Path) -> None:
        """Copy each node's logs to into/<id>/."""


class Status(Protocol):
    """What a node reports of itself: whether replication is at rest, and what a fault did."""

    async def status(self, node: str) -> NodeStatus | None:
        """The node's status over its admin port (not through the proxies); None if it does not
        answer. At least its hints, transfers, objects, peers, exchanges and sizes are to be
        known; what is absent counts as nothing outstanding."""

    async def metrics(self, node: str) -> str | None:
        """What the node measures of itself, as Prometheus text; None if it does not answer."""


class DataFolders(Protocol):
    """What nodes that are not running have stored (wipe faults)."""

    async def wipe(self, node: str) -> None:
        """Delete the data of a node that is not running."""

    async def copy_data(self, node: str) -> None:
        """Keep a copy of the data of a node that is not running."""

    async def restore_data(self, node: str) -> None:
        """Put that copy back in place of the data of a node that is not running."""


class Disks(Protocol):
    """Disks that can be made to fail (disk faults)."""

    async def disk(self, node: str, fault: str, **settings: float) -> None:
        """Have a running node's disk fail from now on as harness.nemesis.disks defines it;
        "none": no more. Its status has `disk`. Raises RuntimeError."""

    async def repair(self, node: str) -> None:
        """Have a running node read all that it holds, so that latent damage shows, and compare
        it with its peers. Its status has `trees`. Raises RuntimeError."""


class Clocks(Protocol):
    """Wall clocks that can be made wrong (clock faults)."""

    async def clock(self, node: str, **settings: int) -> None:
        """Have a running node's wall clock be wrong from now on as harness.nemesis.clocks defines
        it; without settings: no more. Its status has `clock`. Raises RuntimeError."""


class Versions(Protocol):
    """Two versions of the store, in either of which a node may be started (upgrade faults)."""

    @property
    def labels(self) -> tuple[str, str]:
        """The version under test, and the other one, as they are shown; they differ."""

    def version(self, node: str) -> str:
        """The label of that in which a node was started last, or will be if it is down."""

    def use(self, node: str, version: str) -> None:
        """Start a node that is not running in this version from now on, which it keeps over
        restarts. Raises RuntimeError if it runs."""


class MemberAdmin(Protocol):
    """Changes of the membership (membership faults)."""

    async def change(self, kind: str, node: str) -> None:
        """Ask any member to let `node` "join" or "leave", or be "remove"d as dead. Raises
        ValueError if it is refused, RuntimeError if no node answers."""

    async def retire(self, node: str) -> None:
        """Stop a node that has ceased to be a member. It is not among `nodes` from then on."""


class ReplicaDumps(Protocol):
    """What one replica holds (divergence, misplaced and lost writes)."""

    async def dump(self, node: str) -> list[DumpRow]:
        """Everything one node holds, without read repair. Raises ValueError if the node cannot
        know it, RuntimeError if it does not answer."""


class Placements(Protocol):
    """Which nodes hold a key, and coordinate it (aimed faults, quorum claims)."""

    async def ring(self, node: str | None = None) -> RingView:
        """The ring as this node sees it, or any. Raises RuntimeError."""


class Newcomers(Protocol):
    """Nodes that may be added while the store runs (membership faults)."""

    def strangers(self, node: str) -> tuple[str, ...]:
        """The nodes that came after this one had gone: neither knows where the other is."""

    async def add(
        self, node: NodeSite, dials: Mapping[str, str], dialled_by: Mapping[str, str]
    ) -> None:
        """Start a node that is not a member yet. It reaches the others at `dials`, and they
        reach it at `dialled_by`, each host:port by node id. Raises RuntimeError."""

    async def add_again(
        self, node: str, dials: Mapping[str, str], dialled_by: Mapping[str, str]
    ) -> None:
        """Start a node that has retired, with nothing on its disk; it and its `strangers`
        reach each other at these addresses. Raises RuntimeError."""


class Quiet(Protocol):
    """Whether replication is at rest, where nodes report no Status that shows it."""

    async def at_rest(self) -> bool:
        """True once nothing is left to replicate; an exception counts as False."""


class Exchanges(Protocol):
    """Replication that can be asked for, where nodes would begin it by the clock."""

    async def exchange(self, node: str) -> None:
        """Have a node send on what it keeps for others and compare what it holds with them, now.
        Returns once that has begun; never raises."""


class Observed(Protocol):
    """Nodes that are only watched: whether each runs, and what it reports."""

    @property
    def nodes(self) -> tuple[str, ...]:
        """As in Processes."""

    def state(self, node: str) -> str:
        """As in Processes."""

    async def status(self, node: str) -> NodeStatus | None:
        """As in Status."""


def _never() -> bool:
    """Nodes that are asked over sockets."""
    return False


@dataclass(frozen=True)
class NodeObserver:
    """Processes and their status as one; nodes without a status never answer. `prompt`: whether
    each answers now, or not at all, without a wait."""

    processes: Processes
    reports: Status | None
    prompt: Callable[[], bool] = _never

    @property
    def nodes(self) -> tuple[str, ...]:
        return self.processes.nodes

    def state(self, node: str) -> str:
        return self.processes.state(node)

    async def status(self, node: str) -> NodeStatus | None:
        return None if self.reports is None else await self.reports.status(node)

    async def statuses(self, nodes: Sequence[str]) -> list[NodeStatus | None]:
        """Those of several nodes, at about the same time: without a task for each where that
        would take longer than the answer."""
        if self.prompt():
            return [await self.status(node) for node in nodes]
        return await asyncio.gather(*map(self.status, nodes))


#: Loads one node until it is cancelled: (node, kind, settings, how requests ended).
MakeLoad = Callable[[str, str, Mapping[str, int], Counter[str]], Coroutine[Any, Any, None]]
#: The version in a stored value: (bytes, deleted) -> Sibling.
Decode = Callable[[bytes, bool], Sibling]


@dataclass(frozen=True)
class Capabilities:
    """What can be done to a store that was built; None for what it lacks.

    prepare: begins what `start_all` would wait for, while links start; `stop_all` ends it
    status: without it, faults are proved by processes and links alone
    views: what nodes report of their clocks and their membership alone, where there is no status
    pids: the process of each node that runs; without it, it is not seen whether nodes dial each
        other past their proxies
    started: waits until the nodes are ready that were started and took their time; without it,
        `start` waits for that
    quiet: without it and without status, quiescence is a wait of `quiet_after` s
    dumps: without it, replicas are not compared
    placements: without it, no fault is aimed at the replicas of a key, nor is a quorum judged
    data: without it, no wipe faults
    disks: without it, no disk faults
    clocks: without it, no clock faults
    versions: without it, no upgrade faults
    membership: without it, no membership faults
    newcomers: without it, no node joins
    exchanges: without it, quiescence waits for the nodes' own clocks
    make_load: without it, no load faults
    decode: reads the rows of `dumps`
    prompt: whether each node answers questions now, or not at all, without a wait; then they are
        asked one after the other, without a task for each
    slower: s more than usual that its nodes, as they are configured, may take over what they do
        every so often: changes of the membership, and quiescence, are waited for so much longer
    """

    processes: Processes
    prepare: Callable[[], None] | None = None
    status: Status | None = None
    dumps: ReplicaDumps | None = None
    placements: Placements | None = None
    data: DataFolders | None = None
    disks: Disks | None = None
    clocks: Clocks | None = None
    versions: Versions | None = None
    membership: MemberAdmin | None = None
    newcomers: Newcomers | None = None
    quiet: Quiet | None = None
    exchanges: Exchanges | None = None
    views: Status | None = None
    pids: Callable[[], Mapping[str, int]] | None = None
    started: Callable[[], Coroutine[Any, Any, None]] | None = None
    make_load: MakeLoad | None = None
    decode: Decode | None = None
    prompt: Callable[[], bool] = _never
    quiet_after: float = 5.0
    slower: float = 0.0

    @property
    def nodes(self) -> tuple[str, ...]:
        """All that take part now."""
        return self.processes.nodes

    @property
    def observed(self) -> NodeObserver:
        """Its nodes, to be watched."""
        return NodeObserver(self.processes, self.status, self.prompt)

    @property
    def viewed(self) -> NodeObserver:
        """Its nodes, to be asked for their clocks and their membership."""
        return NodeObserver(self.processes, self.status or self.views, self.prompt)
