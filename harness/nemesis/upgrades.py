"""Rolling upgrades: nodes are started in another version of the store, one after the other, and
later rolled back one after the other, while clients continue.

Nodes of two versions are in one cluster then. The proof is which version each of them was started
in, and with which peers it has a link, so that it shows where the versions do not understand each
other. A node that does not start in the other version is a failure of the nemesis, and makes the
verdict unknown; the roll ends there, and the rest is rolled back.
"""

from __future__ import annotations

import asyncio

from dynamesis.harness.nemesis.fault_handler import Look, proven
from dynamesis.harness.nemesis.faults import UpgradeFault
from dynamesis.harness.nemesis.processes import Holds
from dynamesis.harness.targets.capabilities import NodeObserver, Versions
from msgspec import structs

#: s between two looks, and s within which a node that was started has links to its peers; it is
#: noted without them after that: a cut may be the reason
_LOOK = 0.05
_LINKED = 3.0


class Upgrade:
    """Moves nodes from one version to the other, and back."""

    def __init__(self, observed: NodeObserver, versions: Versions, holds: Holds) -> None:
        self._observed = observed
        self._processes = observed.processes
        self._versions = versions
        self._holds = holds
        #: nodes that are down because they are being started anew
        self.moving: set[str] = set()

    def resolve(self, fault: UpgradeFault) -> UpgradeFault:
        """The fault with the versions that it is about."""
        ours, other = self._versions.labels
        return structs.replace(fault, versions={"from": ours, "to": other})

    async def inject(self, number: int, fault: UpgradeFault) -> Look:
        _, other = self._versions.labels
        linked: dict[str, list[str] | None] = {}
        for node in fault.nodes:
            if await self._move(number, node, other, fault):
                linked[node] = await self._links(node)
        return proven(bool(linked), versions=self._in_versions(), linked=linked)

    async def lift(self, number: int, fault: UpgradeFault) -> None:
        ours, _ = self._versions.labels
        for node in fault.nodes:
            await self._move(number, node, ours, fault)

    async def heal_all(self) -> None:
        """Roll every node back that is in the other version; those that are down are started in
        ours."""
        ours, _ = self._versions.labels
        for node in self._processes.nodes:
            if self._versions.version(node) == ours:
                continue
            if self._processes.state(node) != "down":
                await self._processes.stop(node)
                self._versions.use(node, ours)
                await self._start(node, ours)
            else:
                self._versions.use(node, ours)

    async def _move(self, number: int, node: str, version: str, fault: UpgradeFault) -> bool:
        """Start a node anew in a version; whether it runs in it now. Another fault may keep it
        down: then it is started in this version once that is over."""
        if node not in self._processes.nodes:
            return False
        if self._versions.version(node) == version and self._processes.state(node) != "down":
            return True
        self.moving.add(node)
        try:
            self._holds.take(number, node, "down")
            if self._processes.state(node) != "down":
                await self._end(node, fault)
            self._versions.use(node, version)
            await self._start(node, version, number)
        finally:
            self.moving.discard(node)
        return self._processes.state(node) == "running"

    async def _end(self, node: str, fault: UpgradeFault) -> None:
        if fault.signal == "SIGKILL":
            await self._processes.kill(node)
        else:
            await self._processes.stop(node)

    async def _start(self, node: str, version: str, number: int | None = None) -> None:
        try:
            if number is None:
                await self._processes.start(node)
            else:
                await self._holds.release(number, node)
        except RuntimeError as failure:
            raise RuntimeError(f"in version {version}: {failure}") from failure

    def _in_versions(self) -> dict[str, str]:
        return {node: self._versions.version(node) for node in self._processes.nodes}

    async def _links(self, node: str) -> list[str] | None:
        """The running peers with which a node has a link, once it has one to each, or after a
        while; None where it does not report that."""
        loop = asyncio.get_running_loop()
        deadline, up = loop.time() + _LINKED, list[str]()
        while True:
            status = await self._observed.status(node)
            if status is None or status.links is None:
                return None
            up = sorted(peer for peer, link in status.links.items() if link.up)
            peers = {peer for peer in self._processes.nodes if peer != node}
            running = {peer for peer in peers if self._processes.state(peer) == "running"}
            if running <= set(up) or loop.time() > deadline:
                return up
            await asyncio.sleep(_LOOK)
