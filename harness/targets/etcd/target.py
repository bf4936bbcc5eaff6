"""Target `etcd`: a cluster of etcd 3.4 or later, with every link between its nodes cut alone.

etcd promises strict serializability for everything but reads that ask to be answered by one node
(`reads=serializable`). Each write is on the disks of a majority before it is acknowledged, so that
kills of all nodes lose nothing.
"""

from __future__ import annotations

import asyncio
import json
import shutil
import sys
import urllib.request
from pathlib import Path
from typing import Any

from dynamesis.harness.targets.client import Client
from dynamesis.harness.targets.etcd.client import EtcdClient
from dynamesis.harness.targets.site import NodeSite, Site
from dynamesis.harness.targets.target import Command, Target, TargetOption

FORWARD = Path(__file__).with_name("forward.py")
#: The port of the addresses that nodes advertise; forward.py has why.
_PEER = 2380
#: s between two looks, and that one answer may take
_LOOK, _ANSWER = 0.05, 2.0

OPTIONS = {
    "reads": TargetOption(
        "linearizable",
        "reads agree with a majority, or one node answers alone, and may be behind",
        ("linearizable", "serializable"),
    ),
}


class EtcdTarget(Target):
    """The class attributes as in Target."""

    name = "etcd"
    description = "etcd 3.4 or later, by Raft: register, sets, counters, transactions"
    workloads = ("register", "set", "counter", "append", "rw", "bank", "long-fork")
    ports = ("client", "peer")
    programs = ("etcd",)
    install = "Debian: apt install etcd-server; or a release of https://github.com/etcd-io/etcd"
    links = "pairs"
    boot_limit = 60.0
    op_limit = 15.0
    quiet_after = 2.0
    options = OPTIONS

    def command(self, node: NodeSite, site: Site) -> Command:
        table = {
            _advertised(site, peer): ":".join(map(str, site.dials(node.name, peer)))
            for peer in site.nodes
            if peer != node.name
        }
        client_host, client_port = site.client(node.name)
        members = ",".join(f"{peer}=http://{_advertised(site, peer)}" for peer in site.nodes)
        forward = [sys.executable, "-I", "-S", str(FORWARD), json.dumps(table)]
        etcd = [
            shutil.which("etcd") or "etcd",
            f"--name={node.name}",
            f"--data-dir={node.data / 'etcd'}",
            f"--listen-client-urls=http://{node.address()}",
            f"--advertise-client-urls=http://{client_host}:{client_port}",
            f"--listen-peer-urls=http://{node.address('peer')}",
            f"--initial-advertise-peer-urls=http://{_advertised(site, node.name)}",
            f"--initial-cluster={members}",
            "--initial-cluster-state=new",
            "--logger=zap",
        ]
        return Command([*forward, *etcd])

    async def ready(self, node: NodeSite, site: Site) -> bool:
        """Whether it takes part. Clients are served once there is a majority, which a node that
        starts in the middle of a fault cannot wait for."""
        return bool(await asked(f"http://{node.address('peer')}/version"))

    async def prepare(self, site: Site) -> None:
        """Waits until every node serves."""
        async with asyncio.timeout(self.boot_limit):
            for node in site.node.values():
                while not await healthy(node):
                    await asyncio.sleep(_LOOK)

    async def at_rest(self, site: Site) -> bool:
        """Whether all nodes have applied the same log, all of it."""
        states = [await status(node) for node in site.node.values()]
        logs = {(state.get("raftAppliedIndex"), state.get("raftIndex")) for state in states}
        return len(logs) == 1 and all(applied == index for applied, index in logs)

    def client(self, site: Site) -> Client:
        return EtcdClient(site.model, site.options["reads"] == "serializable")


def _advertised(site: Site, node: str) -> str:
    """The host:port by which all peers know a node."""
    return f"192.0.2.{1 + site.nodes.index(node)}:{_PEER}"


async def healthy(node: NodeSite) -> bool:
    """Whether a node serves, with a majority behind it."""
    return (await asked(f"http://{node.address()}/health")).get("health") == "true"


async def status(node: NodeSite) -> dict[str, Any]:
    """What a node reports of itself; nothing if it does not answer."""
    return await asked(f"http://{node.address()}/v3/maintenance/status", b"{}")


async def asked(url: str, body: bytes | None = None) -> dict[str, Any]:
    """The JSON object that comes back; an empty one if none does."""

    def ask() -> dict[str, Any]:
        try:
            with urllib.request.urlopen(url, body, _ANSWER) as answer:
                found: dict[str, Any] = json.loads(answer.read())
                return found
        except (OSError, ValueError):
            return {}

    return await asyncio.to_thread(ask)
