"""Target `cassandra`: Apache Cassandra 5, a JVM a node.

It needs Java 17 and the jars of `org.apache.cassandra:cassandra-all`: in the folder that
$DYNAMESIS_CASSANDRA names, or in our cache (dynamesis.harness.targets.cassandra.fetch).
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import closing
from copy import copy
from pathlib import Path
from typing import Any

from dynamesis.harness.targets.cassandra.client import KEYSPACE, TABLES, WORKLOADS, CassandraClient
from dynamesis.harness.targets.cassandra.cql import CqlConnection, Value
from dynamesis.harness.targets.cassandra.settings import PEER, java, write_files
from dynamesis.harness.targets.client import Client
from dynamesis.harness.targets.provision import provided
from dynamesis.harness.targets.site import NodeSite, Site
from dynamesis.harness.targets.target import Command, FaultLimits, Target, TargetOption

VARIABLE, VERSION = "DYNAMESIS_CASSANDRA", "5.0.6"
CACHED = f"cassandra-{VERSION}"
_HOW = "python -m dynamesis.harness.targets.cassandra.fetch (it runs Maven; Debian: maven)"
#: s that the nodes may take to agree on a schema
_AGREED = 60.0


class CassandraTarget(Target):
    """Three replicas of everything, or as many as there are nodes."""

    name = "cassandra"
    description = "Apache Cassandra: the last writer wins; lightweight transactions and counters"
    workloads = WORKLOADS
    ports = ("client", PEER)
    links = "nodes"
    programs = ("java",)
    install = "get Java 17 (Debian: openjdk-17-jre-headless)"
    boot_limit = 240.0
    stop_limit = 20.0
    op_limit = 10.0
    quiet_after = 5.0
    options: Mapping[str, TargetOption] = {
        "registers": TargetOption(
            "lww",
            "what a register is: a row where the last writer wins, or one of lightweight "
            "transactions",
            ("lww", "lwt"),
        ),
        "sets": TargetOption(
            "row", "what a set is: one row with all elements, or a row for each", ("row", "rows")
        ),
        "consistency": TargetOption(
            "quorum", "how many replicas answer an operation", ("one", "quorum", "all")
        ),
        "skew": TargetOption(
            "0",
            "ms by which the clock of each client, which dates its writes, is ahead of that of the "
            "one before; 0: nodes date them",
            ("0", "1", "10", "20", "100", "1000"),
        ),
        "commitlog": TargetOption(
            "periodic",
            "when the commit log is on disk: up to 10 s later, the same through a buffer that "
            "dies with the process, or before the answer",
            ("periodic", "compressed", "batch"),
        ),
        "paxos": TargetOption("v1", "the variant of Paxos", ("v1", "v2")),
        "heap": TargetOption("512m", "the heap of a node", ("384m", "512m", "1g", "2g")),
    }
    limits = FaultLimits(w=2, n=3)
    _workload = "register"

    def configured(self, values: Mapping[str, Any]) -> CassandraTarget:
        other = copy(self)
        other._workload = str(values["workload"])
        return other

    def require(self) -> None:
        super().require()
        _jars()

    def command(self, node: NodeSite, site: Site) -> Command:
        write_files(node, site)
        return Command(java(_jars(), node, site.options["heap"]))

    async def ready(self, node: NodeSite, site: Site) -> bool:
        """Whether it serves clients, and has met all others."""
        rows = await _asked(node, "SELECT peer FROM system.peers_v2")
        return len(rows) >= len(site.nodes) - 1

    async def prepare(self, site: Site) -> None:
        first = site.node[site.nodes[0]]
        copies = min(3, len(site.nodes))
        replication = f"{{'class': 'SimpleStrategy', 'replication_factor': {copies}}}"
        await _asked(first, f"CREATE KEYSPACE {KEYSPACE} WITH replication = {replication}")
        for table in TABLES:
            await _asked(first, f"CREATE TABLE {KEYSPACE}.{table}")
        async with asyncio.timeout(_AGREED):
            while len({await _schema(site.node[name]) for name in site.nodes}) > 1:
                await asyncio.sleep(0.1)

    def client(self, site: Site) -> Client:
        return CassandraClient(self._workload, site.options)


async def _asked(node: NodeSite, statement: str) -> list[dict[str, Value]]:
    """What a node answers, asked directly."""
    with closing(await CqlConnection.open(node.address())) as connection:
        return await connection.run(statement)


async def _schema(node: NodeSite) -> Value:
    rows = await _asked(node, "SELECT CAST(schema_version AS text) AS s FROM system.local")
    return rows[0]["s"]


def _jars() -> Path:
    return provided("cassandra", VARIABLE, CACHED, "lib/cassandra-all-*.jar", _HOW) / "lib"
