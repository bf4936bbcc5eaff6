"""A cluster and the links before it, made of real processes on this machine."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dynamesis.cluster.config.tls import Tls
from dynamesis.cluster.process.supervisor import Cluster, ClusterSpec
from dynamesis.harness.links import LINKS, LinkContext
from dynamesis.harness.links.base import CLIENT, LinkRoute, Links, plan_routes, routes_to_newcomer
from dynamesis.harness.processes.limits import files_of, require
from dynamesis.harness.processes.patience import stretch
from dynamesis.harness.processes.ports import Ports, reserve
from dynamesis.harness.processes.process_guard import ProcessGuard

HOST = "127.0.0.1"


@dataclass(frozen=True)
class EnvironmentSpec:
    """What to build."""

    nodes: tuple[str, ...]
    links: str
    storage: str
    #: the folder of the nodes' data; it is deleted at the end
    root: Path
    #: the folder of the links' logs
    logs: Path
    #: parameters of every node (cluster.core.protocol.params)
    params: Mapping[str, Any] = field(default_factory=dict)
    bugs: tuple[str, ...] = ()
    #: the first port; None finds free ones
    port_base: int | None = None
    #: certificates, where everything is encrypted
    tls: Tls | None = None
    #: nodes that run and have not joined
    spares: tuple[str, ...] = ()
    #: how many nodes may be added later
    newcomers: int = 0
    #: whether disks can be made to fail
    disk_faults: bool = False
    #: whether wall clocks can be made wrong; through `faketime`, where that is given
    clock_faults: bool = False
    faketime: Path | None = None
    #: clients that connect to each node, beside the other nodes
    clients: int = 1


@dataclass(frozen=True)
class TestEnvironment:
    """Built, but not started: links first, then the cluster. `listen` and `admin`: the own
    addresses of all nodes that there are or were."""

    cluster: Cluster
    links: Links
    routes: tuple[LinkRoute, ...]
    listen: dict[str, str]
    admin: dict[str, str]
    ports: Ports

    def client_addresses(self) -> dict[str, str]:
        """node id -> host:port as clients dial it; known once the links have started."""
        return {node: self.address(node) for node in self.cluster.nodes}

    def address(self, node: str) -> str:
        """Where clients dial a node, host:port."""
        return self.links.address(CLIENT, node)

    async def welcome(self, node: str) -> None:
        """Start a node that has not joined yet, behind links of its own to and from all
        others; or one that has left, with an empty disk, at its old address. Raises
        EnvironmentFailed or RuntimeError if it would not start."""
        if node in self.listen:
            await self._welcome_back(node)
            return
        others = self.cluster.nodes
        listen, self.admin[node] = _address(self.ports), _address(self.ports)
        self.listen[node] = listen
        upstreams = {other: self.listen[other] for other in (*others, node)}
        ports = [self.ports.take() for _ in range(2 * len(others) + 1)]
        await self.links.add(routes_to_newcomer(node, upstreams, ports))
        dials = {other: self.links.address(node, other) for other in others}
        dialled_by = {other: self.links.address(other, node) for other in others}
        await self.cluster.add(node, listen, self.admin[node], dials, dialled_by)

    async def _welcome_back(self, node: str) -> None:
        """Add links to the nodes that joined since it left, then start it."""
        strangers = self.cluster.strangers(node)
        if strangers:
            upstreams = {other: self.listen[other] for other in (*strangers, node)}
            ports = [self.ports.take() for _ in range(2 * len(strangers) + 1)]
            routes = routes_to_newcomer(node, upstreams, ports)
            await self.links.add(route for route in routes if route.source != CLIENT)
        dials = {other: self.links.address(node, other) for other in strangers}
        dialled_by = {other: self.links.address(other, node) for other in strangers}
        await self.cluster.add_again(node, dials, dialled_by)


@contextmanager
def build(
    plan: EnvironmentSpec,
    say: Callable[[str], None],
    on_incident: Callable[[dict[str, Any]], None] = lambda what: None,
) -> Iterator[TestEnvironment]:
    """When the context ends, every process of it is gone and its ports are free. Raises
    EnvironmentFailed."""
    everyone = (*plan.nodes, *plan.spares)
    kind, count = LINKS[plan.links], len(everyone)
    wanted = ports_for(plan.links, count + plan.newcomers)
    require(files_of(count + plan.newcomers, plan.clients))
    with ProcessGuard.start(plan.root) as reaper, reserve(wanted, plan.port_base) as ports:
        listen, admin = _addresses(everyone, ports), _addresses(everyone, ports)
        routes = plan_routes(listen, [ports.take() for _ in range(count * count)])
        links = kind.make(LinkContext(plan.logs, ports, reaper, say, on_incident))
        spec = ClusterSpec(
            nodes=plan.nodes,
            root=plan.root,
            listen=listen,
            admin=admin,
            peers=_Dialled(everyone, links),
            params=plan.params,
            engine=plan.storage,
            bugs=plan.bugs,
            tls=plan.tls,
            spares=plan.spares,
            disk_faults=plan.disk_faults,
            clock_faults=plan.clock_faults and plan.faketime is None,
            faketime=plan.faketime if plan.clock_faults else None,
        )
        cluster = Cluster(spec, reaper.add, reaper.drop, stretch)
        yield TestEnvironment(cluster, links, tuple(routes), listen, admin, ports)


def ports_for(links: str, nodes: int) -> int:
    """How many ports so many nodes take: two each, and one for each route."""
    return 2 * nodes + nodes * nodes + LINKS[links].api_ports(nodes)


def _addresses(nodes: tuple[str, ...], ports: Ports) -> dict[str, str]:
    return {node: _address(ports) for node in nodes}


def _address(ports: Ports) -> str:
    return f"{HOST}:{ports.take()}"


class _Dialled(Mapping[str, Mapping[str, str]]):
    """The address by which each node dials each other one, looked up when a node starts: links
    have it only once they are up."""

    def __init__(self, nodes: tuple[str, ...], links: Links) -> None:
        self._nodes = nodes
        self._links = links

    def __getitem__(self, node: str) -> Mapping[str, str]:
        return {peer: self._links.address(node, peer) for peer in self._nodes if peer != node}

    def __iter__(self) -> Iterator[str]:
        return iter(self._nodes)

    def __len__(self) -> int:
        return len(self._nodes)
