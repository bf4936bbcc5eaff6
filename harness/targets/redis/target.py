"""Target `redis`: a primary, its replicas and as many Sentinels; or a lone primary.

Replication is asynchronous: what a primary has acknowledged and not passed on when it is cut off or
dies is gone after a fail-over, and a primary that is cut off continues to acknowledge until it is
found and made a replica. That is by design (redis.io, "High availability with Redis Sentinel"),
and this target shows it. `wait=N` has clients wait for replicas (WAIT), `mode=alone` has no
replicas, and `appendfsync` is what a node keeps of its own.
"""

from __future__ import annotations

import asyncio
import copy
import json
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from dynamesis.harness.targets.client import Client
from dynamesis.harness.targets.redis.client import MASTER, SENTINEL, RedisClient
from dynamesis.harness.targets.redis.configuration import write_redis, write_sentinel
from dynamesis.harness.targets.redis.power import fail_power
from dynamesis.harness.targets.redis.resp import RedisError, Resp
from dynamesis.harness.targets.site import CLIENT_PORT, NodeSite, Site
from dynamesis.harness.targets.target import Command, Target, TargetOption

BESIDE = Path(__file__).with_name("beside.py")
#: s between two looks
_LOOK = 0.05

OPTIONS = {
    "mode": TargetOption(
        "sentinel",
        "a primary with replicas and Sentinels, or one node alone",
        ("sentinel", "alone"),
    ),
    "wait": TargetOption("0", "replicas that must have a write before it counts as done"),
    "appendfsync": TargetOption(
        "everysec",
        "when the append-only file is synced; off: there is none, and a node forgets all",
        ("always", "everysec", "no", "off"),
    ),
    "kill": TargetOption(
        "process",
        "what a kill ends: the process, or the machine's power, so that what is not synced is lost",
        ("process", "power"),
    ),
}


class RedisTarget(Target):
    """The class attributes as in Target. `alone`: whether there is one node and no Sentinel."""

    name = "redis"
    description = "Redis 6.2 or later with Sentinel, or a lone primary"
    workloads = (
        *("set", "register", "counter", "queue", "append", "rw", "bank"),
        *("unique-ids", "long-fork"),
    )
    ports: tuple[str, ...] = (CLIENT_PORT, SENTINEL)
    peer_ports: tuple[str, ...] | None = (CLIENT_PORT, SENTINEL)
    client_ports: tuple[str, ...] = (CLIENT_PORT, SENTINEL)
    programs = ("redis-server",)
    install = "Debian: apt install redis-server; or https://redis.io/download"
    links: Literal["pairs", "nodes"] | None = "nodes"
    takes_shim = False  # Sentinel names nodes to clients by the address that peers dial
    op_limit = 10.0
    quiet_after = 5.0
    alone = False
    options = OPTIONS

    def with_options(self, options: Mapping[str, str]) -> Target:
        wait = options["wait"]
        if not wait.isdecimal():
            raise ValueError(f"wait: {wait!r} is not a number of replicas")
        if options["mode"] == "sentinel":
            return self
        if int(wait):
            raise ValueError(f"wait: {wait} with mode=alone, where there are no replicas")
        lone = copy.copy(self)
        lone.alone, lone.nodes, lone.links = True, 1, None
        lone.ports = lone.client_ports = (CLIENT_PORT,)
        lone.peer_ports = ()
        return lone

    def command(self, node: NodeSite, site: Site) -> Command:
        server = shutil.which("redis-server") or "redis-server"
        serve = [server, str(write_redis(node, site, site.options["appendfsync"], self.alone))]
        env = fail_power(node, site) if site.options["kill"] == "power" else {}
        if self.alone:
            return Command(serve, env)
        sentinel = [server, str(write_sentinel(node, site)), "--sentinel"]
        return Command([sys.executable, "-I", "-S", str(BESIDE), json.dumps(sentinel), *serve], env)

    async def ready(self, node: NodeSite, site: Site) -> bool:
        """Whether it has loaded its data and answers, its Sentinel too."""
        if await ask(node, "client", "PING") != "PONG":
            return False
        return self.alone or await ask(node, SENTINEL, "PING") == "PONG"

    async def prepare(self, site: Site) -> None:
        """Waits until all replicas have synced."""
        async with asyncio.timeout(self.boot_limit):
            while not await self.at_rest(site):
                await asyncio.sleep(_LOOK)

    async def at_rest(self, site: Site) -> bool:
        """Whether all Sentinels name one primary, nothing is down in their eyes, and all
        replicas are where that primary is."""
        nodes = list(site.node.values())
        if self.alone:
            return bool(await ask(nodes[0], "client", "PING") == "PONG")
        named = {tuple(await ask(node, SENTINEL, "SENTINEL", "GET-MASTER-ADDR-BY-NAME", MASTER)
                       or ()) for node in nodes}  # fmt: skip
        states = {node.name: await replication(node) for node in nodes}
        primaries = [name for name, state in states.items() if state.get("role") == "master"]
        if len(named) != 1 or len(primaries) != 1:
            return False
        host, port = site.advertised(primaries[0], CLIENT_PORT)
        offset = states[primaries[0]].get("master_repl_offset")
        replicas = [state for name, state in states.items() if name not in primaries]
        return named == {(host, str(port))} and all(
            state.get("master_link_status") == "up" and state.get("slave_repl_offset") == offset
            for state in replicas
        )

    def client(self, site: Site) -> Client:
        return RedisClient(site, int(site.options["wait"]), self.alone)


async def ask(node: NodeSite, port: str, *words: object) -> Any:
    """The reply of a node that is asked where it listens; None if it does not answer."""
    try:
        connection = await Resp.dial(node.host, node.ports[port])
        try:
            return await connection(*words)
        finally:
            connection.close()
    except (OSError, EOFError, RedisError):
        return None


async def replication(node: NodeSite) -> dict[str, str]:
    """What a node reports of replication; nothing if it does not answer."""
    text: str = await ask(node, "client", "INFO", "replication") or ""
    pairs = (line.partition(":") for line in text.splitlines())
    return {name: value for name, colon, value in pairs if colon}
