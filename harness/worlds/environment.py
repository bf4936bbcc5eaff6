"""A store and the links before it, made of real processes on this machine."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Protocol

from dynamesis.harness.links import LINKS, LinkContext
from dynamesis.harness.links.base import CLIENT, Incident, LinkRoute, Links, routes_to_newcomer
from dynamesis.harness.links.dialling.shim import preloaded, shim
from dynamesis.harness.processes.lifeline import tied
from dynamesis.harness.processes.limits import files_of, require
from dynamesis.harness.processes.patience import stretch
from dynamesis.harness.processes.ports import reserve
from dynamesis.harness.processes.process_guard import ProcessGuard
from dynamesis.harness.processes.watchdog import MARK, marked
from dynamesis.harness.targets.capabilities import Capabilities
from dynamesis.harness.targets.site import CLIENT_PORT, PEERS, NodeSite, Site, split
from dynamesis.harness.targets.target import BuildContext, Target

HOST = "127.0.0.1"
#: The log of a node that is not ours, in its folder.
LOG = "output.log"


class PortSource(Protocol):
    """Gives out ports."""

    def take(self) -> int:
        """One that is given to nothing else."""


@dataclass(frozen=True)
class EnvironmentSpec:
    """What to build."""

    target: Target
    nodes: tuple[str, ...]
    links: str
    #: the folder of the nodes' data; it is deleted at the end
    root: Path
    #: the folder of the links' logs
    logs: Path
    #: --target-option NAME=VALUE
    options: Mapping[str, str] = field(default_factory=dict)
    #: the workload by name, and the model that it names
    workload: str = ""
    model: str = ""
    #: the first port; None finds free ones
    port_base: int | None = None
    #: nodes that run and have not joined
    spares: tuple[str, ...] = ()
    #: how many nodes may be added later
    newcomers: int = 0
    #: the names of the faults' operations, such as start-disk
    starts: frozenset[str] = frozenset()
    #: libfaketime, where clocks are to be wrong through it
    faketime: Path | None = None
    #: clients that connect to each node, beside the other nodes
    clients: int = 1


@dataclass(frozen=True)
class TestEnvironment:
    """Built, but not started: links first, then the store. `sites`: of all nodes that there are
    or were."""

    store: Capabilities
    links: Links
    routes: tuple[LinkRoute, ...]
    site: Site
    sites: dict[str, NodeSite]
    ports: PortSource
    target: Target

    @property
    def nodes(self) -> tuple[str, ...]:
        """All that take part now."""
        return self.store.nodes

    def client_addresses(self) -> dict[str, str]:
        """node id -> host:port as clients dial it; known once the links have started."""
        return {node: self.address(node) for node in self.nodes}

    def address(self, node: str) -> str:
        """Where clients dial a node, host:port."""
        return self.links.address(CLIENT, node)

    def addresses(self) -> dict[tuple[str, str, str], str]:
        """Every address that Site.resolve knows, once the links have started."""
        found: dict[tuple[str, str, str], str] = {}
        for route in self.routes:
            node, port = _named(route.dest)
            names = (port,) if port else ("", _first(self.target, route.source))
            address = self.links.address(route.source, route.dest)
            found |= {(route.source, node, name): address for name in names}
        return found

    async def welcome(self, node: str) -> None:
        """Start a node that has not joined yet, behind links of its own to and from all
        others; or one that has left, with an empty disk, at its old address. Raises
        EnvironmentFailed or RuntimeError if it would not start."""
        newcomers = self.store.newcomers
        if newcomers is None:
            raise RuntimeError(f"target {self.target.name} takes no new nodes")
        if node in self.sites:
            strangers = newcomers.strangers(node)
            dials, dialled_by = await self._introduce(node, strangers, clients=False)
            await newcomers.add_again(node, dials, dialled_by)
            return
        others = self.nodes
        taken = {port: self.ports.take() for port in self.target.ports}
        self.sites[node] = _node_site(node, taken, self.site.folder)
        dials, dialled_by = await self._introduce(node, others, clients=True)
        await newcomers.add(self.sites[node], dials, dialled_by)

    async def _introduce(
        self, node: str, others: tuple[str, ...], clients: bool
    ) -> tuple[dict[str, str], dict[str, str]]:
        """Add links between a node and others, and from clients. Returns at which addresses it
        reaches them, and they it."""
        if others or clients:
            [port] = self.target.between
            upstreams = {other: self.sites[other].address(port) for other in (*others, node)}
            ports = [self.ports.take() for _ in range(2 * len(others) + 1)]
            routes = routes_to_newcomer(node, upstreams, ports)
            await self.links.add(r for r in routes if clients or r.source != CLIENT)
        dials = {other: self.links.address(node, other) for other in others}
        return dials, {other: self.links.address(other, node) for other in others}


@contextmanager
def build(
    plan: EnvironmentSpec,
    say: Callable[[str], None],
    on_incident: Callable[[Incident], None],
) -> Iterator[TestEnvironment]:
    """When the context ends, every process of it is gone and its ports are free. Raises
    EnvironmentFailed."""
    target, everyone = plan.target, (*plan.nodes, *plan.spares)
    kind, count = LINKS[plan.links], len(everyone)
    target.require()
    wanted = ports_for(target, plan.links, count + plan.newcomers)
    require(files_of(count + plan.newcomers, plan.clients))
    with ProcessGuard.start(plan.root) as reaper, reserve(wanted, plan.port_base) as ports:
        sites = place_nodes(target, everyone, ports, plan.root)
        routes = routes_of(target, sites, ports)
        links = kind.make(LinkContext(plan.logs, ports, reaper, say, on_incident))
        site = Site(
            nodes=plan.nodes,
            node=sites,
            folder=plan.root,
            resolve=resolver(target, sites, links),
            options=plan.options,
            workload=plan.workload,
            model=plan.model,
        )
        context = BuildContext(
            site=site,
            spares=plan.spares,
            spawned=reaper.add,
            exited=reaper.drop,
            tied=tied,
            busy=stretch,
            starts=plan.starts,
            faketime=plan.faketime,
            preload=partial(_preload, target, routes, plan.root),
            links=links,
            mark=MARK,
            left=marked,
        )
        store = target.build(context)
        yield TestEnvironment(store, links, tuple(routes), site, sites, ports, target)


def ports_for(target: Target, links: str, nodes: int) -> int:
    """How many ports so many nodes take: those of their own, and one for each route."""
    own = len(target.ports) * nodes
    return own + _route_count(target, nodes) + LINKS[links].api_ports(nodes)


def _route_count(target: Target, nodes: int) -> int:
    clients, between = len(target.client_ports) * nodes, len(target.between)
    pairs = {"pairs": nodes * (nodes - 1), "nodes": nodes, None: 0}[_dialled(target)]
    return clients + between * pairs


def place_nodes(
    target: Target, nodes: tuple[str, ...], ports: PortSource, root: Path
) -> dict[str, NodeSite]:
    taken: dict[str, dict[str, int]] = {node: {} for node in nodes}
    for port in target.ports:
        for node in nodes:
            taken[node][port] = ports.take()
    return {node: _placed(target, _node_site(node, taken[node], root)) for node in nodes}


def _placed(target: Target, site: NodeSite) -> NodeSite:
    """Where it is, if it is there already."""
    there = {port: target.listens(site.name, port) for port in target.ports}
    known = {port: split(address) for port, address in there.items() if address}
    if not known:
        return site
    host = known[CLIENT_PORT][0] if CLIENT_PORT in known else site.host
    return replace(site, host=host, ports={**site.ports, **{p: at for p, (_, at) in known.items()}})


def _node_site(node: str, ports: Mapping[str, int], root: Path) -> NodeSite:
    return NodeSite(node, HOST, ports, root / node / "data", root / node / LOG)


def routes_of(target: Target, sites: Mapping[str, NodeSite], ports: PortSource) -> list[LinkRoute]:
    """A route from the clients to every node, and one for every ordered pair of nodes, or one
    from all peers to every node: each for every port that is dialled so."""
    nodes = tuple(sites)
    pairs = [(CLIENT, dest, port) for dest in nodes for port in target.client_ports]
    sources = {"pairs": nodes, "nodes": (PEERS,), None: ()}[_dialled(target)]
    pairs += [
        (source, dest, port)
        for source in sources
        for dest in nodes
        for port in target.between
        if source != dest
    ]
    return [
        LinkRoute(
            source,
            _dest(target, source, dest, port),
            target.proxied(source, dest, port) or f"{HOST}:{ports.take()}",
            target.listens(dest, port) or sites[dest].address(port),
        )
        for source, dest, port in pairs
    ]


def _dialled(target: Target) -> str | None:
    """How many proxies its nodes dial: one for each pair, one for each node, none."""
    return "pairs" if target.shimmed else target.links


def _preload(
    target: Target,
    routes: list[LinkRoute],
    root: Path,
    node: str,
    environment: Mapping[str, str],
) -> Mapping[str, str]:
    """The variables that lead what a node dials to its own proxies; none where that needs none."""
    if not target.shimmed:
        return {}
    dials = {route.upstream: route.listen for route in routes if route.source == node}
    return preloaded(shim(), root / f"dials-{node}", dials, environment)


def _dest(target: Target, source: str, dest: str, port: str) -> str:
    """A node as the end of a route; beyond the first port that is dialled so, with the port."""
    return dest if port in ("", _first(target, source)) else f"{dest}:{port}"


def _first(target: Target, source: str) -> str:
    """The port that is meant where none is named."""
    return (target.client_ports if source == CLIENT else target.between)[0]


def _named(dest: str) -> tuple[str, str]:
    """The node and the port of the end of a route, "" for the first."""
    node, _, port = dest.partition(":")
    return node, port


def _no_such_address(target: Target, source: str) -> str:
    """Why there is no proxy of this kind."""
    asked = "site.advertised" if source == PEERS else "site.dials"
    return (
        f"target {target.name}: {asked} has no address, since links = {target.links!r}; "
        'links = "pairs" gives site.dials, links = "nodes" gives site.advertised'
    )


def resolver(
    target: Target, sites: Mapping[str, NodeSite], links: Links
) -> Callable[[str, str, str], str]:
    def resolve(source: str, dest: str, port: str) -> str:
        if source == PEERS and target.shimmed:  # what it dials there is led to its own proxy
            return sites[dest].address(port or target.between[0])
        if source != CLIENT and _dialled(target) != ("nodes" if source == PEERS else "pairs"):
            raise RuntimeError(_no_such_address(target, source))
        return links.address(source, _dest(target, source, dest, port))

    return resolve
