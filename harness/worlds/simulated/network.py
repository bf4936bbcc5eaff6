"""The simulated network: routes, the connections on them, and what happens to messages there.

A route is what a proxy is in a world of processes: it takes connections for a node, and a fault
that it has harms those that it has and those that come. A connection carries whole messages in
two directions, each in order. Messages are handed over as values: sizes in bytes are worked out
only where a fault asks for them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from heapq import heapify, heappush
from random import Random
from typing import Any, Protocol

from dynamesis.cluster.core.protocol.events import Reply, Send
from dynamesis.cluster.core.protocol.messages import Message
from dynamesis.harness.links.base import LinkRoute
from dynamesis.harness.links.faults import LinkFault, RefusedLink, Stall
from dynamesis.harness.worlds.simulated.loop import VirtualLoop
from dynamesis.harness.worlds.simulated.shapes import Gate, shape
from dynamesis.harness.worlds.simulated.tweaks import Perturber, Tweaks

#: s by which a message is behind the one before it on the same connection at least
NEXT = 1e-6


class Process(Protocol):
    """What an end of a connection belongs to."""

    running: bool

    def hold(self, action: Callable[..., None], *args: Any) -> None:
        """Do this once it continues, if it ever does."""


class End(Protocol):
    """One end of a connection."""

    @property
    def process(self) -> Process:
        """Whose it is."""

    def receive(self, line: Wire, message: Message) -> None:
        """A message came."""

    def lost(self, line: Wire, reason: str) -> None:
        """The connection is gone, or never came about. Called once at most."""


class Server(Process, Protocol):
    """A node that takes connections."""

    def accept(self, line: Wire) -> None:
        """A connection came about: its end here is to be set, and greets."""


@dataclass
class RouteCounts:
    """What a route has carried; `bitten`: how often its faults did what they are for."""

    connections: int = 0
    messages: int = 0
    dropped: int = 0
    duplicated: int = 0
    reordered: int = 0
    bitten: int = 0


@dataclass(slots=True)
class Sighting:
    """One line of the story: at `time` (s), a message from `source` to `dest` was `sent`,
    `received` or `lost`; or a node `stored` rows (then `dest` is ""), or `failed` to. `line`: the
    connection, on which an answer repeats the `rid` of its question. Not to be changed; were it
    frozen, it would take three times as long to make one, and a story has ten thousand."""

    time: float
    what: str
    source: str
    dest: str
    content: Any
    #: no part of the story: two of one seed are equal, and look so
    line: Wire | None = field(default=None, compare=False, repr=False)


class Way:
    """One direction of one connection. `gate`: the fault that it suffers, if any."""

    __slots__ = ("closed", "counts", "gate", "last", "line", "network", "source", "target", "to")

    def __init__(self, line: Wire, gate: Gate | None, source: str, target: str) -> None:
        self.line = line
        self.network = line.network
        self.counts = line.route.counts
        self.gate = gate
        self.source = source
        self.target = target
        self.to: End | None = None
        #: when the last message comes, s
        self.last = 0.0
        #: whether nothing more is taken
        self.closed = False

    def send(self, message: Message) -> None:
        """Put a message on its way; into the void, if the connection has ended."""
        if self.closed or not self.line.alive:
            return
        self.counts.messages += 1
        network = self.network
        if network.story is not None:
            network.note("sent", self.source, self.target, message, self.line)
        if self.gate is not None:
            self.gate.take(self, message)
        elif network.odd:
            self.carry(message)
        else:  # the same, in few steps
            loop = network.loop
            arrival = loop.now + network.least + network.roll() * network.spread
            if arrival <= self.last:
                arrival = self.last + NEXT
            self.last = arrival
            loop.number += 1
            heappush(loop.due, (arrival, loop.number, self._arrive, (message,)))

    def carry(self, message: Message | None, more: float = 0.0) -> None:
        """Have a message arrive, `more` s late; None: the end of the connection."""
        network = self.network
        loop = network.loop
        if network.perturber.rare and message is not None:
            more += self._held(message)
        arrival = loop.now + network.hop(self.source, self.target) + more
        if arrival <= self.last:
            arrival = self.last + NEXT
        self.last = arrival
        loop.at(arrival, self._arrive, message)

    def _held(self, message: Message) -> float:
        """s for which a message, and with it all behind it, is held back."""
        asks = self is self.line.up
        effect = Send(self.target, message) if asks else Reply(0, message)
        return self.network.perturber.on(effect).delay

    def lose(self, message: Message) -> None:
        """A fault took it."""
        network = self.network
        if network.story is not None:
            network.note("lost", self.source, self.target, message, self.line)

    def finish(self) -> None:
        """Nothing more comes; the other end learns of it after all that was sent."""
        if not self.closed:
            self.closed = True
            if self.gate is None:
                self.carry(None)
            else:
                self.gate.end(self)

    def _arrive(self, message: Message | None) -> None:
        to, line = self.to, self.line
        if to is None or not line.alive:
            return
        process = to.process
        if message is None:
            line.hang_up(to)
            process.hold(to.lost, line, "closed by the other side")
        elif process.running:
            if self.network.story is not None:
                self.network.note("received", self.source, self.target, message, line)
            to.receive(line, message)
        else:
            process.hold(self._arrive, message)


def _arrives(action: Callable[..., None] | None) -> bool:
    """Whether this is a message that arrives."""
    return getattr(action, "__func__", None) is Way._arrive


class Wire:
    """One connection on a route."""

    __slots__ = (
        "alive",
        "channel",
        "deaf",
        "dialler",
        "down",
        "network",
        "opened",
        "owed",
        "peer",
        "role",
        "route",
        "unsent",
        "up",
    )

    def __init__(self, network: Network, route: SimulatedRoute, dialler: End) -> None:
        self.network = network
        self.route = route
        self.alive = True
        #: whether a node took it
        self.opened = False
        up, down = (route.gate(direction) for direction in ("upstream", "downstream"))
        self.up = Way(self, up, route.source, route.dest)
        self.down = Way(self, down, route.dest, route.source)
        self.dialler = dialler
        self.down.to = dialler
        #: what the node that took it knows of it: its number there, the node at the other end
        #: and its role, questions not answered, bytes of answers that are not read
        self.channel = 0
        self.peer: str | None = None
        self.role = ""
        self.owed = 0
        self.unsent = 0
        #: whether the dialler reads nothing
        self.deaf = False

    def hang_up(self, end: End) -> None:
        """This end is gone: nothing reaches it any more, and the other learns of it."""
        here, there = (self.down, self.up) if end is self.dialler else (self.up, self.down)
        here.to = None
        there.finish()
        if there.to is None:
            self.alive = False
            self.route.lines.pop(self, None)

    def drop(self, reason: str) -> None:
        """Both ends lose it, and what is under way."""
        if not self.alive:
            return
        self.alive = False
        self.route.lines.pop(self, None)
        network = self.network
        for way in (self.up, self.down):
            if way.to is not None:
                network.loop.after(network.hop(""), way.to.process.hold, way.to.lost, self, reason)


class SimulatedRoute:
    """The way by which `source` reaches node `dest`, with the fault that it has now."""

    def __init__(self, network: Network, route: LinkRoute) -> None:
        self.name = route.name
        self.source = route.source
        self.dest = route.dest
        self.address = route.listen
        self.counts = RouteCounts()
        self.fault: LinkFault | None = None
        self.lines: dict[Wire, None] = {}
        self._network = network

    def gate(self, direction: str) -> Gate | None:
        """What a new connection suffers in one direction."""
        fault = self.fault
        if fault is None or getattr(fault, "direction", "both") not in (direction, "both"):
            return None
        seed = f"{getattr(fault, 'seed', 0)} {self.name} {self.counts.connections} {direction}"
        return shape(fault, self.counts, seed)

    def set(self, fault: LinkFault | None) -> None:
        """Have this fault from now on, or none. As with a proxy, that costs all connections, but
        for a stall, which neither side notices."""
        former, self.fault = self.fault, fault
        if isinstance(fault, RefusedLink):
            self.counts.bitten += len(self.lines)
        if fault is None and isinstance(former, Stall):
            self._release()
        elif former is None and isinstance(fault, Stall):
            for line in self.lines:
                line.up.gate = self.gate("upstream")
                line.down.gate = self.gate("downstream")
        else:
            for line in list(self.lines):
                line.drop("Connection reset by peer")

    def _release(self) -> None:
        for line in list(self.lines):
            for way in (line.up, line.down):
                gate, way.gate = way.gate, None
                if gate is not None:
                    gate.release(way)


class Network:
    """All routes of a world, and the nodes that take connections."""

    def __init__(self, loop: VirtualLoop, random: Random, tweaks: Tweaks, story: bool) -> None:
        self.loop = loop
        self.routes: dict[str, SimulatedRoute] = {}
        self.servers: dict[str, Server] = {}
        self.story: list[Sighting] | None = [] if story else None
        self._by_address: dict[str, SimulatedRoute] = {}
        self.roll = random.random
        self.least, most = tweaks.latency
        self.spread = most - self.least
        self.perturber = Perturber(tweaks, str(random.getrandbits(64)))
        #: whether there is more to how long a message takes than latency
        self.odd = self.perturber.rare or self.perturber.priorities is not None

    def calm(self) -> None:
        """From now on only latency decides how long a message takes, also one that was held back
        and is on its way: else it would come when all counts as quiet."""
        self.perturber.calm()
        if self.odd:
            self.odd = False
            self._hasten()

    def _hasten(self) -> None:
        """Have what is on its way arrive within the latency, in the order in which it would."""
        soon, due = self.loop.now + self.least + self.spread, self.loop.due
        late = sorted(each for each in due if each[0] > soon and _arrives(each[2]))
        kept = [each for each in due if each[0] <= soon or not _arrives(each[2])]
        for place, (_, number, action, args) in enumerate(late):
            arrival = soon + place * NEXT
            action.__self__.last = arrival  # type: ignore[union-attr]
            kept.append((arrival, number, action, args))
        heapify(kept)
        due[:] = kept

    def hop(self, source: str, dest: str = "") -> float:
        """s that the next message from one node to another takes."""
        seconds = self.least + self.roll() * self.spread
        if self.perturber.priorities is not None and dest:
            seconds += self.perturber.priorities.delay(source, dest)
        return seconds

    def note(
        self, what: str, source: str, dest: str, content: Any, line: Wire | None = None
    ) -> None:
        """A line of the story."""
        if self.story is not None:
            self.story.append(Sighting(self.loop.now, what, source, dest, content, line))

    def add(self, route: LinkRoute) -> None:
        """Carry this route too."""
        made = SimulatedRoute(self, route)
        self.routes[route.name] = self._by_address[route.listen] = made

    def dial(self, address: str, dialler: End) -> Wire:
        """Begin a connection. Sooner or later `dialler` is greeted, or has lost it, or
        nothing comes."""
        route = self._by_address[address]
        line = Wire(self, route, dialler)
        if isinstance(route.fault, RefusedLink):
            line.alive = False
            reason = f"{address}: Connection refused"
            self.loop.after(2 * self.hop(""), dialler.process.hold, dialler.lost, line, reason)
            route.counts.bitten += 1
            return line
        route.counts.connections += 1
        route.lines[line] = None
        self.loop.after(2 * self.hop(""), self._connect, line)
        return line

    def _connect(self, line: Wire) -> None:
        if not line.alive:
            return
        server = self.servers.get(line.route.dest)
        if server is None:
            line.drop("closed by the other side")
            return
        line.opened = True
        server.hold(server.accept, line)
