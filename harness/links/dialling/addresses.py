"""Ways of dialling that need nothing but configuration: an address for each pair, or one for
each node."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping

from dynamesis.harness.links.base import CLIENT, LinkRoute, Links, route_name
from dynamesis.harness.links.dialling.base import (
    DiallingContext,
    DiallingReport,
    Launch,
    client_routes,
)
from dynamesis.harness.links.dialling.sockets import DialWatch
from dynamesis.harness.links.faults import FaultError, LinkFault, strongest

#: the source of a route that all nodes share
ANY = "any"


class AddressDialling:
    """An address for each pair: every node is configured with one for each of its peers."""

    name = "addresses"
    pairs = True
    notes: tuple[str, ...] = ()

    def __init__(self, context: DiallingContext) -> None:
        self._context = context
        self._links: Links = context.links
        self._watch = DialWatch({})

    @property
    def links(self) -> Links:
        return self._links

    def host(self, node: str) -> str:
        return "127.0.0.1"

    async def start(self) -> None:
        context = self._context
        context.folder.mkdir(parents=True, exist_ok=True)
        clients = {node: self.reach(node, context.client) for node in context.nodes}
        await self._links.start([*self._routes(), *client_routes(context, clients)])
        self._watch = DialWatch({node: self._meaning(node) for node in context.nodes})
        self._watch.start()

    def dials(self, source: str, dest: str) -> str:
        return self._links.address(source, dest)

    def advertised(self, dest: str) -> str:
        return self._context.listen(dest, self._context.peer)

    def reach(self, node: str, port: str) -> str:
        return self._context.listen(node, port)

    def launch(self, node: str) -> Launch:
        return Launch()

    def launched(self, node: str, pid: int) -> None:
        self._watch.launched(node, pid)

    async def report(self) -> DiallingReport:
        await self._watch.look()
        past = dict(self._watch.past)
        return DiallingReport(
            self.name,
            self.pairs and not past and not self._uncaught(),
            tuple(sorted(self._links.kinds)),
            self._context.left_out,
            dict(self._watch.through),
            past,
            (*self.notes, *self._remarks(), *_past_in_words(past)),
        )

    async def stop(self) -> None:
        await self._watch.stop()
        await self._links.stop()

    def _routes(self) -> list[LinkRoute]:
        return self._context.pairs()

    def _uncaught(self) -> list[str]:
        """The nodes that are known to dial past the proxies before they are seen to."""
        return []

    def _remarks(self) -> tuple[str, ...]:
        """What is to be known of this cluster beside `notes`."""
        return ()

    def _meaning(self, node: str) -> dict[str, tuple[str, bool]]:
        """What an address means that this node dials: which peer, and whether by the proxy."""
        context, peers = self._context, [peer for peer in self._context.nodes if peer != node]
        straight = {self.reach(peer, context.peer): (peer, False) for peer in peers}
        return straight | {self.dials(node, peer): (peer, True) for peer in peers}


class DestinationDialling(AddressDialling):
    """The floor: an address for each node, which all its peers dial."""

    name = "destinations"
    pairs = False
    notes = (
        "one proxy in front of each node: what is dialled to it is cut from all its peers at "
        "once, never from one alone; what it dials itself continues",
    )

    def __init__(self, context: DiallingContext) -> None:
        super().__init__(context)
        self._links = DestinationLinks(context.links, context.nodes)

    def advertised(self, dest: str) -> str:
        return self._links.address(ANY, dest)

    def _routes(self) -> list[LinkRoute]:
        return self._context.routes(ANY, self._context.peer)


class DestinationLinks:
    """Implements harness.links.base.Links with one route to each node that all its peers share;
    `address` and faults take the names of pairs as ever, and a fault must be the same on all
    pairs to a node."""

    def __init__(self, links: Links, nodes: tuple[str, ...]) -> None:
        self._links = links
        self._nodes = nodes
        self._faults: dict[str, LinkFault] = {}
        self.name = links.name
        self.kinds = links.kinds

    async def start(self, routes: Iterable[LinkRoute]) -> None:
        await self._links.start(routes)

    async def add(self, routes: Iterable[LinkRoute]) -> None:
        await self._links.add(routes)

    def address(self, source: str, dest: str) -> str:
        return self._links.address(source if source == CLIENT else ANY, dest)

    async def apply(self, faults: Mapping[str, LinkFault]) -> None:
        wanted = {**self._faults, **faults}
        laid: dict[str, list[LinkFault]] = defaultdict(list)
        straight = {}
        for name, fault in faults.items():
            dest = self._shared(name)
            if dest is None:
                straight[name] = fault
                continue
            for pair in self._pairs_to(dest):
                if pair not in wanted:
                    raise FaultError(
                        f"{name} cannot have a fault without {pair}: all nodes dial {dest} by one "
                        f"proxy; use per-pair addresses, the shim or namespaces"
                    )
                laid[dest].append(wanted[pair])
        await self._links.apply(
            straight | {route_name(ANY, dest): strongest(all_) for dest, all_ in laid.items()}
        )
        self._faults = wanted

    async def heal(self, names: Iterable[str] | None = None) -> None:
        if names is None:
            self._faults.clear()
            await self._links.heal()
            return
        healed = []
        for name in names:
            dest = self._shared(name)
            healed.append(name if dest is None else route_name(ANY, dest))
            for pair in [name] if dest is None else self._pairs_to(dest):
                self._faults.pop(pair, None)
        await self._links.heal(dict.fromkeys(healed))

    async def revive(self) -> None:
        await self._links.revive()

    async def count(self) -> dict[str, dict[str, int]]:
        counts = await self._links.count()
        for node in self._nodes:
            shared = counts.get(route_name(ANY, node))
            if shared is not None:
                counts |= dict.fromkeys(self._pairs_to(node), shared)
        return counts

    async def stop(self) -> None:
        await self._links.stop()

    def _pairs_to(self, dest: str) -> list[str]:
        return [route_name(node, dest) for node in self._nodes if node != dest]

    def _shared(self, name: str) -> str | None:
        """The node that a pair of that name leads to; None for other routes."""
        return next((dest for dest in self._nodes if name in self._pairs_to(dest)), None)


def _past_in_words(past: Mapping[str, int]) -> tuple[str, ...]:
    if not past:
        return ()
    pairs = ", ".join(sorted(past))
    return (f"connections went past the proxies, and no cut reached them: {pairs}",)
