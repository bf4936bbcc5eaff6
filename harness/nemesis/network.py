"""Faults of the network: cuts and bad links."""

from __future__ import annotations

import asyncio
from collections import Counter, defaultdict
from collections.abc import Awaitable, Callable, Iterable, Mapping

from dynamesis.checkers.history.op import JsonObject
from dynamesis.harness.links.base import CLIENT, Links, route_name
from dynamesis.harness.links.faults import LinkFault, least_delay, strongest
from dynamesis.harness.nemesis.cuts import KINDS, route_faults, unreached
from dynamesis.harness.nemesis.fault_handler import Look, Proof
from dynamesis.harness.nemesis.faults import CutFault, LinksFault
from dynamesis.harness.nemesis.symptoms import (
    ANY_STATE,
    ESTABLISHED,
    SOCKETS,
    Greeting,
    Pair,
    Probes,
    asked,
    complaints,
    turns_away,
    worse,
)
from dynamesis.harness.targets.capabilities import Observed
from dynamesis.harness.targets.site import PEERS

#: greetings of which the fastest is the usual one
_SAMPLES = 4


class RouteFaults:
    """What each fault does to which route, and what a route suffers from all of them;
    shared by all families of link faults."""

    def __init__(self, links: Links, routes: Iterable[str] = (), probes: Probes = SOCKETS) -> None:
        """`routes`: the names of all that there are; where a pair has one for each of several
        ports, a fault of the pair is one of all of them."""
        self.links = links
        self.probes = probes
        self._of_pair: dict[str, list[str]] = defaultdict(list)
        for name in routes:
            self._of_pair[name.partition(":")[0]].append(name)
        #: the nodes that all their peers reach by one route
        self._shared = [pair.removeprefix(f"{PEERS}-") for pair in self._of_pair
                        if pair.startswith(f"{PEERS}-")]  # fmt: skip
        #: connections of earlier tests at the same ports, and of probes
        self.foreign = probes.connections()
        self._faults: dict[str, dict[int, LinkFault]] = defaultdict(dict)

    async def lay(self, number: int, routes: Mapping[str, LinkFault]) -> None:
        """Add a fault. Only routes on which something changes are touched: a touch costs
        every connection there."""
        each = {name: bad for pair, bad in routes.items() for name in self.of_pair(pair)}
        before = {name: self._effective(name) for name in each}
        for name, suffered in each.items():
            self._faults[name][number] = suffered
        after = {name: self._effective(name) for name in each}
        await self.links.apply({n: f for n, f in after.items() if f and f != before[n]})

    async def lift(self, number: int) -> None:
        """Take a fault away; what others do to the same routes stays."""
        touched = [name for name, faults in self._faults.items() if number in faults]
        before = {name: self._effective(name) for name in touched}
        for name in touched:
            del self._faults[name][number]
        after = {name: self._effective(name) for name in touched}
        await self.links.heal([name for name in touched if after[name] is None])
        await self.links.apply({n: f for n, f in after.items() if f and f != before[n]})

    async def heal_all(self) -> None:
        """Take all faults away."""
        self._faults.clear()
        await self.links.heal()

    def of_pair(self, name: str) -> list[str]:
        """The routes of the pair that this name has."""
        return self._of_pair.get(name) or [name]

    def that_there_are(self, faults: Mapping[str, LinkFault]) -> Mapping[str, LinkFault]:
        """The same faults on the routes that there are: where all peers of a node share one, it
        has the fault that the routes of all of them were to have."""
        if not self._shared:
            return faults
        laid: dict[str, LinkFault] = {}
        for node in self._shared:
            wanted = [faults.get(route_name(peer, node)) for peer in self._shared if peer != node]
            if wanted and wanted[0] is not None and wanted.count(wanted[0]) == len(wanted):
                laid[route_name(PEERS, node)] = wanted[0]
        return laid

    def burden(self, name: str) -> int:
        """How many faults are on this route."""
        return len(self._faults[name])

    def _effective(self, name: str) -> LinkFault | None:
        faults = self._faults[name].values()
        return strongest(faults) if faults else None


class Cut:
    """Some nodes do not receive what others send. It took effect when the nodes on either side
    count failures or time-outs that they had not before, or see the link down. `reporting`:
    whether nodes count that; where not, it is what the links carried and refuse."""

    def __init__(self, observed: Observed, routes: RouteFaults, reporting: bool = True) -> None:
        self._observed = observed
        self._routes = routes
        self._reporting = reporting

    async def inject(self, number: int, fault: CutFault) -> Look:
        silent = unreached(fault.grudge)
        cut = self._routes.that_there_are(route_faults(fault.kind, fault.grudge))
        pairs = silent | {(b, a) for a, b in silent}
        if self._reporting:
            look = await _felt(self._observed, self._routes, pairs, list(cut))
        else:
            look = await _used(self._observed, self._routes, KINDS[fault.kind], list(cut))
        await self._routes.lay(number, cut)
        return look

    async def lift(self, number: int, fault: CutFault) -> None:
        await self._routes.lift(number)


class BadLink:
    """Links that carry, but badly. What resets or stalls is felt by the nodes; what is late
    or in pieces shows in a greeting through the link; what happens to frames is counted by
    the links. Where nodes do not report (`reporting`), the peers' own connections are."""

    def __init__(self, observed: Observed, routes: RouteFaults, reporting: bool = True) -> None:
        self._observed = observed
        self._routes = routes
        self._reporting = reporting

    async def inject(self, number: int, fault: LinksFault) -> Look:
        bad = fault.link_fault
        watch = _PROOFS[bad.kind] if self._reporting else _used
        look = await watch(self._observed, self._routes, bad, fault.links)
        await self._routes.lay(number, dict.fromkeys(fault.links, bad))
        return look

    async def lift(self, number: int, fault: LinksFault) -> None:
        await self._routes.lift(number)


async def _felt(
    observed: Observed, routes: RouteFaults, pairs: Iterable[Pair], names: list[str]
) -> Look:
    """Proof by the failures that nodes count, compared with those of now, or by the links' own
    count of what their faults did. What was seen once stays seen: a busy node may not answer
    the next time. "nobody" in the detail: no node could be asked, as with one that was cut off
    when it was dead."""
    pairs = sorted(pairs)
    before = await complaints(observed, pairs)
    harmed = await _harm(routes, names)
    felt: JsonObject = {}
    asked_pairs: set[str] = set()

    async def look() -> Proof:
        for (a, b), now in (await complaints(observed, pairs)).items():
            asked_pairs.add(f"{a}-{b}")
            if worse(before.get((a, b)), now):
                felt[f"{a}-{b}"] = now.as_value()
        numb = sorted(asked_pairs - felt.keys())
        harm = await harmed()
        no_target = {} if asked_pairs else {"nobody": True}
        detail = {"felt": dict(felt), "not_felt": numb, **harm, **no_target}
        return Proof(bool(felt or harm), bool(felt) and not numb, detail)

    return look


async def _harm(routes: RouteFaults, names: list[str]) -> Callable[[], Awaitable[dict[str, int]]]:
    """How often the faults of these links have taken effect since now, as the links count it;
    {} where they did not, or do not count. Links that see every message know as well that none
    was ever sent there: then the fault was there, and there was nothing that it could harm."""
    before = await routes.links.count()

    async def harm() -> dict[str, int]:
        after = await routes.links.count()
        bitten = sum(
            max(0, after[name]["bitten"] - before.get(name, {}).get("bitten", 0))
            for name in names
            if name in after
        )
        if bitten:
            return {"bitten": bitten}
        sent = [after[name]["messages"] for name in names if "messages" in after.get(name, {})]
        return {"nothing_sent": True} if sent and not any(sent) else {}

    return harm


async def _used(observed: Observed, routes: RouteFaults, bad: LinkFault, names: list[str]) -> Look:
    """Proof where nodes report nothing: these links were used before and they refuse or
    reset now, or connections go through them while they have the fault, which was read
    back when it was laid; or the links' own count. "nobody" in the detail: nothing ever dialled
    there, or no link had a running node at each end."""
    ends = [(a, b) for a in (CLIENT, PEERS, *observed.nodes) for b in observed.nodes if a != b]
    wanted = {route_name(a, b): (a, b) for a, b in ends if route_name(a, b) in names}
    addresses = {
        name: routes.links.address(a, b + name.removeprefix(pair))
        for pair, (a, b) in wanted.items()
        for name in routes.of_pair(pair)
    }
    ports = {name: int(address.rpartition(":")[2]) for name, address in addresses.items()}
    before = _dialled(routes, ports.values())
    harmed = await _harm(routes, list(addresses))
    felt: JsonObject = {}
    alive: set[str] = set()

    def both_run(name: str) -> bool:
        ends = wanted[name.partition(":")[0]]
        return all(end in (CLIENT, PEERS) or observed.state(end) == "running" for end in ends)

    async def look() -> Proof:
        alive.update(filter(both_run, ports))
        harm, now = await harmed(), _dialled(routes, ports.values(), ESTABLISHED)
        for name, port in ports.items():
            if name in felt or not routes.burden(name):
                continue  # lifted by now: what is seen may have come since
            if bad.kind in ("refused", "reset"):
                address = addresses[name]
                if before[port] and (how := await turns_away(address, routes.foreign)):
                    felt[name] = {"carried": before[port], how: True}
            elif now[port]:
                felt[name] = {"carries": now[port]}
        used = bool(felt or harm or any(before[ports[name]] for name in alive))
        no_target = {} if used else {"nobody": True}
        bit = bool(felt or harm)
        return Proof(bit, bit, {"felt": dict(felt), **harm, **no_target})

    return look


def _dialled(
    routes: RouteFaults, ports: Iterable[int], states: frozenset[str] = ANY_STATE
) -> dict[int, int]:
    """How many connections of this test there are to each of these ports, or were a moment ago."""
    found = Counter(port for _, port in routes.probes.connections(states) - routes.foreign)
    return {port: found[port] for port in ports}


WatchLinks = Callable[[Observed, RouteFaults, LinkFault, list[str]], Awaitable[Look]]


async def _complained(
    observed: Observed, routes: RouteFaults, bad: LinkFault, names: list[str]
) -> Look:
    return await _felt(observed, routes, _pairs(observed, names), names)


async def _late(observed: Observed, routes: RouteFaults, bad: LinkFault, names: list[str]) -> Look:
    """Proof by a greeting that takes as long as the fault is meant to delay it, where another
    took less, before it or once it was lifted; or longer than before by half of that. On a busy
    machine every greeting is late: there it is that something came through the links while they
    had the fault. "nobody" in the detail: no node greeted, neither before nor now."""
    _, address = _sample(observed, routes, names)
    usual = await routes.probes.greeting(address, _SAMPLES)
    before = usual.seconds if usual else 0.0
    took: list[float] = []
    through = await _through(observed, routes, names)

    async def look() -> Proof:
        carried = await through()
        name, now = await _greeted(observed, routes, names)
        bit = bool(carried)
        if now is not None:
            took.append(now.seconds)
            delay, longest = least_delay(bad, now.size), max(took)
            late = longest >= delay
            bit |= late and (min(before, *took) < delay or longest > before + delay / 2)
        no_target = {} if usual or took else {"nobody": True}
        seconds = {"before": before, "then": list(took)}
        return Proof(bit, bit, {"link": name, "greeting_s": seconds, **carried, **no_target})

    return look


async def _through(
    observed: Observed, routes: RouteFaults, names: list[str]
) -> Callable[[], Awaitable[JsonObject]]:
    """What has come through these links, and so suffered their fault: as the links count
    it, or, since the first look, as the nodes count what they received through them. That a
    link has the fault was read back from its proxy when it was laid; {} while nothing came."""
    harmed = await _harm(routes, names)
    pairs = sorted(_pairs(observed, names))
    first: dict[Pair, int] = {}
    most: dict[str, int] = {}

    async def through() -> JsonObject:
        for (a, b), received in (await _received(observed, pairs)).items():
            if not routes.burden(route_name(a, b)):
                continue  # lifted by now: what came may have come since
            base = first.setdefault((a, b), received)
            if received < base:  # it was started since
                first[a, b] = received
            elif received > base:
                most[f"{a}-{b}"] = received - base
        harm = await harmed()
        return harm | ({"came_through": dict(most)} if most else {})

    return through


async def _received(observed: Observed, pairs: list[Pair]) -> dict[Pair, int]:
    """How many bytes each node a has received over its link to b, by its own count."""
    askable = [a for a in dict.fromkeys(a for a, _ in pairs) if observed.state(a) == "running"]
    answers = await asyncio.gather(*(asked(observed, node) for node in askable))
    links = {a: known.links or {} for a, known in zip(askable, answers, strict=True) if known}
    counted = {(a, b): links[a][b].bytes_in for a, b in pairs if b in links.get(a, {})}
    return {pair: received for pair, received in counted.items() if received is not None}


async def _in_pieces(
    observed: Observed, routes: RouteFaults, bad: LinkFault, names: list[str]
) -> Look:
    """Proof by a greeting that comes in several segments. A busy reader finds the segments joined
    again: there it is that something came through the links while they had the fault."""
    through = await _through(observed, routes, names)

    async def look() -> Proof:
        carried = await through()
        name, now = await _greeted(observed, routes, names)
        bit = bool(carried) or (now is not None and now.pieces > 1)
        return Proof(bit, bit, {"link": name, "pieces": now.pieces if now else 0, **carried})

    return look


async def _counted(
    observed: Observed, routes: RouteFaults, bad: LinkFault, names: list[str]
) -> Look:
    """Proof by the links' own count of frames that they harmed."""
    before = await routes.links.count()

    async def look() -> Proof:
        after = await routes.links.count()
        harmed = {
            what: sum(after[name][what] - before[name][what] for name in names)
            for what in ("dropped", "duplicated", "reordered")
        }
        bit = any(count > 0 for count in harmed.values())
        return Proof(bit, bit, harmed)

    return look


_PROOFS: dict[str, WatchLinks] = {
    "refused": _complained,
    "black-hole": _complained,
    "reset": _complained,
    "cut-off": _complained,
    "stall": _complained,
    "slow": _late,
    "narrow": _late,
    "torn": _in_pieces,
    "frames": _counted,
}


def _pairs(observed: Observed, names: list[str]) -> set[Pair]:
    """The pairs of nodes whose links these are; clients have no counts."""
    return {(a, b) for a in observed.nodes for b in observed.nodes if route_name(a, b) in names}


async def _greeted(
    observed: Observed, routes: RouteFaults, names: list[str]
) -> tuple[str, Greeting | None]:
    """One of the links, and the greeting over it; None also where the nodes at its ends have left
    the cluster meanwhile."""
    of_clients = any(route_name(CLIENT, node) in names for node in observed.nodes)
    if not of_clients and not _pairs(observed, names):
        return names[0], None
    name, address = _sample(observed, routes, names)
    return name, await routes.probes.greeting(address)


def _sample(observed: Observed, routes: RouteFaults, names: list[str]) -> tuple[str, str]:
    """One of the links, and its address: towards a node that runs now if there is one,
    and one with as few other faults as can be, which would hide this one."""
    ends = [
        (a, b)
        for a in (CLIENT, *observed.nodes)
        for b in observed.nodes
        if a != b and route_name(a, b) in names
    ]
    a, b = min(
        ends,
        key=lambda end: (observed.state(end[1]) != "running", routes.burden(route_name(*end))),
    )
    return route_name(a, b), routes.links.address(a, b)
