"""Target `dynamo`: our own node. It has every capability, and no privilege: whatever is done to
it is done by the protocols that any target may have."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from copy import copy
from dataclasses import replace
from typing import Any, Self

from dynamesis.checkers.history.op import JsonObject, Op
from dynamesis.cluster.config.config import draw_secret
from dynamesis.cluster.config.tls import client_context
from dynamesis.cluster.core.protocol.params import Params
from dynamesis.cluster.net.connection import Connect, Connection
from dynamesis.cluster.process.cluster_spec import ClusterSpec
from dynamesis.cluster.process.process import OURS
from dynamesis.cluster.process.runtime import NodeRuntime
from dynamesis.cluster.process.supervisor import Cluster
from dynamesis.harness.processes.patience import stretch
from dynamesis.harness.targets.capabilities import Capabilities, MakeLoad
from dynamesis.harness.targets.client import Client
from dynamesis.harness.targets.dynamo.load_generator import MOST_REQUESTS, LoadGenerator
from dynamesis.harness.targets.dynamo.questions import Questions
from dynamesis.harness.targets.dynamo.topology import Topology, require_params, topology_of
from dynamesis.harness.targets.dynamo.versions import NodeVersions, runtimes
from dynamesis.harness.targets.site import CLIENT, NodeSite, Site
from dynamesis.harness.targets.target import (
    CAPABILITIES,
    BuildContext,
    Demands,
    FaultLimits,
    Target,
)
from dynamesis.workloads import WORKLOADS
from dynamesis.workloads.base import DYNAMO
from dynamesis.workloads.client.client import ContextCache, DynamoClient, decode

#: A day in production is seconds in a test: tombstones are reaped while it lasts.
_HASTE = {"reap_after": 1.0}
#: s that an older disk is at most when a test puts it back
_OLD = 3600.0
#: A machine that is busy with other tests delays every request without an overload: delay alone
#: sheds nothing in a test. What is shed by number and bytes is.
_PATIENT = {"queue_target": 2.0}
#: by interval of nodes: s up to which the usual deadlines of a test are enough, and in how many of
#: them hints are handed off, or news has come to all; s that a test waits longer for that at most
_USUAL = {"handoff_interval": (1.0, 2), "gossip_interval": (2.0, 3)}
_SLOWEST = 600.0


class DynamoTarget(Target):
    """A full Dynamo node (the 2007 paper), an operating-system process each."""

    name = "dynamo"
    description = "our own node: a full Dynamo store, with every capability"
    workloads = tuple(f"{DYNAMO}/{name}" for name in WORKLOADS)
    ports = ("client", "admin")
    peer_ports = ("client",)
    nodes = 5
    links = "pairs"
    wipes = True
    op_limit = 3600.0  # its client has a limit of its own, for each of several tries
    takes_version = True

    def __init__(self, topology: Topology | None = None, hasty: bool = False) -> None:
        """`hasty`: for a test, in which tombstones are reaped while it lasts."""
        self.topology = topology
        #: what the nodes of its cluster share, and administrators must know
        self.secret = draw_secret()
        self._hasty = hasty
        self._demands = Demands()
        #: this version and the other, where there is one
        self._runtimes: tuple[NodeRuntime, NodeRuntime] | None = None
        self._contexts = ContextCache()

    def configured(self, values: Mapping[str, Any]) -> Self:
        """Of the same class, which may be a user's own."""
        other = self.anew()
        other.topology, other.secret, other._hasty = topology_of(values), draw_secret(), True
        return other

    @property
    def able(self) -> frozenset[str]:
        return frozenset(CAPABILITIES) - {"quiet"} - ({"versions"} if self.other is None else set())

    def with_other(self, version: str) -> DynamoTarget:
        other = copy(self)
        other._runtimes = runtimes(version)
        other.label, label = (each.label for each in other._runtimes)
        other.other = copy(self)
        other.other.label = label
        return other

    def adapted(self, demands: Demands) -> DynamoTarget:
        """Raises UsageError where the test has parameters that these exclude."""
        if demands.params:
            needed = {**self._topology.node_params, **demands.params}
            require_params("--workload, --param", self._topology.nodes, needed)
        other = copy(self)
        other._demands = demands
        return other

    def anew(self) -> Self:
        """The same target, whose clients have met no store yet."""
        other = copy(self)
        other._contexts = ContextCache()
        return other

    @property
    def _topology(self) -> Topology:
        assert self.topology is not None, "a cluster needs a topology"
        return self.topology

    @property
    def node_params(self) -> Mapping[str, Any]:
        """The parameters of the nodes. Where a fault puts an old disk back, tombstones stay
        as long as in production: a disk from before one was reaped brings back what was
        deleted, and no operator may put it back (docs/node.md)."""
        hasty = self._hasty and not self._demands.restores
        patient = _PATIENT if self._hasty else {}
        return {**(_HASTE if hasty else {}), **patient, **self._topology.node_params}

    @property
    def setting(self) -> Mapping[str, Any]:
        params = self.node_params
        return {
            "n": self._topology.n,
            "durable": self._topology.storage != "memory",
            "compares": params.get("anti_entropy_interval") != 0,
            "reap_after": params.get("reap_after", Params.reap_after),
            "local": self._fewest_in_a_zone(params),
        }

    def _fewest_in_a_zone(self, params: Mapping[str, Any]) -> int:
        """How many replicas of a key each zone has at least; 0 where a node lies in none."""
        top = self._topology
        zones: Mapping[str, str] = params.get("zones") or {}
        if not zones or not {*top.nodes} <= {*zones}:
            return 0
        names = {*zones.values()}
        shares: Mapping[str, int] = params.get("zone_replicas") or {}
        if shares:
            return min(shares.get(name, 0) for name in names)
        return max(0, top.n - (len(names) - 1) * -(-top.n // len(names)))

    @property
    def limits(self) -> FaultLimits:  # type: ignore[override]  # of the topology
        params = self._topology.node_params
        durable = params.get("durable_replicas", 1) >= 2
        return FaultLimits(
            w=self._topology.w,
            n=self._topology.n,
            volatile=self._topology.storage == "memory",
            buffered=params.get("durability") == "buffered" and not durable,
            anti_entropy=params.get("anti_entropy_interval") != 0,
            reaps=0 < params.get("reap_after", 0) < _OLD,
        )

    @property
    def slower(self) -> float:
        """s more than usual that its nodes take over what they do at intervals."""
        params = self.node_params
        slower = 0.0
        for name, (usual, rounds) in _USUAL.items():
            slower += rounds * max(0.0, float(params.get(name, usual)) - usual)
        return min(slower, _SLOWEST)

    def describe(self) -> JsonObject:
        top = self._topology
        return {
            "n": top.n,
            "r": top.r,
            "w": top.w,
            "sloppy": top.sloppy,
            "partitions": top.node_params["partitions"],
            "reap": self.node_params.get("reap_after", Params.reap_after),
            "bounds": top.bounds,
            "storage": top.storage,
            "bugs": list(top.bugs),
            "params": dict(top.params),
            "tls": top.tls is not None,
            **({} if self.other is None else {"target_versions": [self.label, self.other.label]}),
        }

    def build(self, context: BuildContext) -> Capabilities:
        cluster = Cluster(self.cluster_spec(context), context.spawned, context.exited, context.busy)
        top, site = self._topology, context.site
        tls = None if top.tls is None else client_context(top.tls.ca)
        make_load = LoadGenerator(lambda node: site.resolve(CLIENT, node, ""), tls)
        both = self._runtimes
        versions = None if both is None else NodeVersions(cluster, *both)
        every = capabilities(cluster, make_load)
        return replace(every, versions=versions, slower=self.slower)

    def cluster_spec(self, context: BuildContext) -> ClusterSpec:
        """The cluster that `build` makes."""
        site, starts, top = context.site, context.starts, self._topology
        params = {**self.node_params, **self._demands.params}
        if "start-load" in starts:
            params["max_requests"] = min(MOST_REQUESTS, params.get("max_requests", MOST_REQUESTS))
        clocks = "start-clock" in starts
        return ClusterSpec(
            nodes=site.nodes,
            root=site.folder,
            listen={name: node.address("client") for name, node in site.node.items()},
            admin={name: node.address("admin") for name, node in site.node.items()},
            peers=_Dialled(site),
            params=params,
            engine=top.storage,
            bugs=top.bugs,
            secret=self.secret,
            tls=top.tls,
            spares=context.spares,
            disk_faults="start-disk" in starts,
            clock_faults=clocks and context.faketime is None,
            faketime=context.faketime if clocks else None,
            runtime=OURS if self._runtimes is None else self._runtimes[0],
        )

    def client(self, site: Site) -> Client:
        return DynamoStoreClient(self)


def capabilities(cluster: Cluster, make_load: MakeLoad) -> Capabilities:
    """All that can be done to a cluster of our nodes."""
    asked = Questions(cluster)
    return Capabilities(
        processes=cluster,
        prepare=cluster.prepare,
        status=asked,
        dumps=asked,
        placements=asked,
        data=cluster,
        disks=cluster,
        clocks=cluster,
        membership=cluster,
        newcomers=_Newcomers(cluster),
        exchanges=cluster,
        make_load=make_load,
        decode=decode,
    )


#: s for a connection to come about on an idle machine, and on any: an operation has 3 s
_HELLO, _HELLO_MOST = 1.0, 2.5


class DynamoStoreClient(Client):
    """Performs gets, puts and deletes with the contexts of earlier completions, which the clients
    of one process share."""

    def __init__(self, target: DynamoTarget, connect: Connect = Connection.open) -> None:
        """`connect`: opens a connection to a node."""
        self._contexts = target._contexts
        self._connect = connect
        self._tls = target._topology.tls
        self._client: DynamoClient | None = None
        self._token: bytes | None = None

    async def open(self, addresses: Mapping[str, str]) -> None:
        if self._client is None:
            tls = None if self._tls is None else client_context(self._tls.ca)
            # all clients dial as the load begins, which on a busy machine takes more than a second
            patience = min(_HELLO * stretch(), _HELLO_MOST)
            self._client = DynamoClient(
                self._contexts,
                self.thread,
                tls=tls,
                connect=self._connect,
                hello_timeout=patience,
            )
        await self._client.open(addresses)

    async def invoke(self, op: Op) -> Op:
        assert self._client is not None, "open comes first"
        completion, self._token = await self._client.invoke(op)
        return completion

    def recorded(self, index: int) -> None:
        self._contexts.remember(index, self._token)
        self._token = None

    async def close(self) -> None:
        if self._client is not None:
            await self._client.close()


class _Newcomers:
    """Nodes that are added to a cluster, by their sites."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster

    def strangers(self, node: str) -> tuple[str, ...]:
        return self._cluster.strangers(node)

    async def add(
        self, node: NodeSite, dials: Mapping[str, str], dialled_by: Mapping[str, str]
    ) -> None:
        listen, admin = node.address("client"), node.address("admin")
        await self._cluster.add(node.name, listen, admin, dials, dialled_by)

    async def add_again(
        self, node: str, dials: Mapping[str, str], dialled_by: Mapping[str, str]
    ) -> None:
        await self._cluster.add_again(node, dials, dialled_by)


class _Dialled(Mapping[str, Mapping[str, str]]):
    """The address by which each node dials each other one, looked up when a node starts: links
    have it only once they are up."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._nodes = tuple(site.node)

    def __getitem__(self, node: str) -> Mapping[str, str]:
        return {peer: self._site.resolve(node, peer, "") for peer in self._nodes if peer != node}

    def __iter__(self) -> Iterator[str]:
        return iter(self._nodes)

    def __len__(self) -> int:
        return len(self._nodes)
