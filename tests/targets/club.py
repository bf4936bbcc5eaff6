"""The target of club_server.py: a store that shows its clocks and changes its members."""

from __future__ import annotations

import asyncio
import http.client
import json
import sys
from pathlib import Path
from typing import Any

from dynamesis import Op, Target
from dynamesis.targets import Command, FaultLimits, NodeClient, NodeSite, Site, ok

SERVER = Path(__file__).with_name("club_server.py")


def ask(address: str, **asked: Any) -> Any:
    connection = http.client.HTTPConnection(address, timeout=2.0)
    connection.request("POST", "/", json.dumps(asked))
    return json.loads(connection.getresponse().read())


class ClubClient(NodeClient):
    def perform(self, op: Op) -> Op:
        value = ask(self.address, f=op.f, key=op.key, value=op.value)
        return ok(op, value) if op.f == "read" else ok(op)


class Club(Target):
    name = "club"
    workloads = ("read-write",)
    links = "pairs"
    quiet_after = 0.2
    limits = FaultLimits(w=1, n=1)

    def command(self, node: NodeSite, site: Site) -> Command:
        first = site.nodes[0]
        at = "-" if node.name == first else "{}:{}".format(*site.dials(node.name, first))
        return Command([sys.executable, "-IS", SERVER, node.name, node.ports["client"], at])

    async def prepare(self, site: Site) -> None:
        for name in site.nodes:
            await self.join(site.node[name], site.node[site.nodes[0]], site)

    async def clock(self, node: NodeSite, site: Site) -> float:
        return float(await asyncio.to_thread(ask, node.address(), f="clock"))

    async def members(self, node: NodeSite, site: Site) -> list[str]:
        return list(await asyncio.to_thread(ask, node.address(), f="members"))

    async def join(self, node: NodeSite, by: NodeSite, site: Site) -> None:
        await asyncio.to_thread(ask, by.address(), f="join", node=node.name)

    async def leave(self, node: NodeSite, by: NodeSite, site: Site) -> None:
        await asyncio.to_thread(ask, by.address(), f="leave", node=node.name)

    def client(self, site: Site) -> ClubClient:
        return ClubClient()


class Slow(Club):
    """A clock that shows whole seconds, and a client that no mistake is in."""

    name = "seconds"

    async def clock(self, node: NodeSite, site: Site) -> int:  # type: ignore[override]
        return int(await super().clock(node, site))


class Skeleton(Target):
    """Neither clocks nor members."""

    name = "skeleton"
    workloads = ("read-write",)
    links = "pairs"
    command = Club.command
    client = Club.client
