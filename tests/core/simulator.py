"""A few nodes of the simulated world, driven by hand: no runner, no clients, no checkers.

Network, links, processes, timers and batches are those of `dynamesis.harness.worlds.simulated`;
a test lets virtual time pass, cuts links, ends nodes, and sees what they store and answer. Rows
lie in plain dictionaries, which tests read, damage and replace.
"""

from __future__ import annotations

import heapq
import random
from collections.abc import Callable, Iterable, Iterator, MutableSet, Sequence
from dataclasses import replace
from itertools import count
from types import SimpleNamespace
from typing import Any

from dynamesis.cluster.core.membership.membership import Membership
from dynamesis.cluster.core.node.node import Node
from dynamesis.cluster.core.protocol import events as ev
from dynamesis.cluster.core.protocol.messages import Get, Message, Put, RequestOptions
from dynamesis.cluster.core.protocol.params import Params
from dynamesis.cluster.core.ring.placement import Rules
from dynamesis.cluster.core.runtime.runtime import Runtime
from dynamesis.cluster.storage.base import StorageFailed
from dynamesis.harness.links.base import LinkRoute, route_name
from dynamesis.harness.links.faults import RefusedLink
from dynamesis.harness.worlds.simulated.batches import Batches
from dynamesis.harness.worlds.simulated.log import SimulatedLog
from dynamesis.harness.worlds.simulated.loop import VirtualLoop
from dynamesis.harness.worlds.simulated.network import Network
from dynamesis.harness.worlds.simulated.node import NodeLife
from dynamesis.harness.worlds.simulated.tweaks import Tweaks

#: numbers of connections between nodes begin here; those below are of clients
_BETWEEN_NODES = 10**12
_SIGKILL = -9


class DictStore:
    """A Reader over plain dicts."""

    durable = True

    def __init__(self) -> None:
        self.tables: dict[str, dict[bytes, bytes]] = {"objects": {}, "hints": {}, "meta": {}}

    def get(self, table: str, key: bytes) -> bytes | None:
        return self.tables[table].get(key)

    def scan(
        self, table: str, prefix: bytes = b"", after: bytes | None = None
    ) -> Iterator[tuple[bytes, bytes]]:
        for key in sorted(self.tables[table]):
            if key.startswith(prefix) and (after is None or key > after):
                yield key, self.tables[table][key]

    def commit(self, writes: tuple[ev.Write, ...]) -> None:
        for write in writes:
            if write.value is None:
                self.tables[write.table].pop(write.key, None)
            else:
                self.tables[write.table][write.key] = write.value


class Disk:
    """The writing side of a store of rows, as NodeLife wants it: fails as often as asked for."""

    def __init__(self, sim: Simulator, name: str, intact: bool) -> None:
        self._sim = sim
        self._name = name
        self._intact = intact

    @property
    def durable(self) -> bool:
        return self._sim.stores[self._name].durable

    def begin(self) -> bool:
        return self._intact

    def delays(self) -> tuple[float, float]:
        return 0.0, 0.0

    def commit(self, writes: Sequence[ev.Write]) -> None:
        if self._sim.random.random() < self._sim.disk_errors:
            raise StorageFailed("no space")
        self._sim.stores[self._name].commit(tuple(writes))


class SlowBatches(Batches):
    """Syncs take what the simulator has them take now."""

    def __init__(self, life: Life, alone: bool) -> None:
        super().__init__(life, (0.0, 0.0), alone)
        self._sim = life.sim

    def _sync_time(self) -> float:
        return self._sim.random.uniform(*self._sim.fsync)


class Life(NodeLife):
    """A life that is up as soon as it is made, and whose effects all pass through the simulator.
    An error of the core is one of the test."""

    def __init__(self, sim: Simulator, name: str, params: Params, intact: bool) -> None:
        self.sim = sim
        others = {other: f"{name}>{other}" for other in sim.names if other != name}
        config: Any = SimpleNamespace(
            node=name,
            cluster=params.cluster,
            peers=others,
            storage=SimpleNamespace(faults=True, engine="memory"),
            clock_faults=False,
            core_params=lambda: params,
        )
        disk: Any = Disk(sim, name, intact)
        super().__init__(
            config, sim.make_core, disk, sim.logs[name], sim.network, Tweaks(), sim.random.random, 1
        )
        self._numbers = count(_BETWEEN_NODES)
        self._wall = self.clock.read = lambda: sim.wall(name) * 1_000_000
        self._batches = SlowBatches(self, params.durability == "each")
        self._do[ev.Persist] = self._batches.persist
        self.shell, self._do = self._do, dict.fromkeys(self._do, self._effect)

    def begin(self) -> None:
        """Boot now: the one that the shell has planned for later finds that done."""
        if self.core is None:
            super()._boot()

    _boot = begin

    def _effect(self, effect: ev.Effect) -> None:
        self.sim._carry(self.name, effect)

    def _crash(self, error: Exception) -> None:
        raise error

    def post(self, event: ev.Event) -> None:
        self.sim.feed(self.name, event)

    def handle(self, event: ev.Event) -> None:
        super().post(event)


class Cuts(MutableSet[tuple[str, str]]):
    """The ordered pairs of nodes of which the first can dial the other no more."""

    def __init__(self, network: Network) -> None:
        self._network = network
        self._pairs: set[tuple[str, str]] = set()

    def __contains__(self, pair: object) -> bool:
        return pair in self._pairs

    def __iter__(self) -> Iterator[tuple[str, str]]:
        return iter(sorted(self._pairs))

    def __len__(self) -> int:
        return len(self._pairs)

    def add(self, pair: tuple[str, str]) -> None:
        if pair not in self._pairs:
            self._pairs.add(pair)
            self.apply(pair)

    def discard(self, pair: tuple[str, str]) -> None:
        if pair in self._pairs:
            self._pairs.remove(pair)
            self.apply(pair)

    def apply(self, pair: tuple[str, str]) -> None:
        """Have the route of a pair, if there is one, be as it should."""
        route = self._network.routes.get(route_name(*pair))
        if route is not None:
            route.set(RefusedLink() if pair in self._pairs else None)


class Simulator:
    """`members` nodes; `run(seconds)` lets virtual time pass."""

    def __init__(
        self, members: int = 5, seed: int = 0, node_class: type[Node] = Node, **params: Any
    ) -> None:
        self.random = random.Random(seed)
        self.loop = VirtualLoop()
        self.loop.now = 0.0
        self.network = Network(self.loop, random.Random(f"{seed} network"), Tweaks(), story=False)
        self.names = tuple(f"n{i + 1}" for i in range(members))
        self.params = Params(node="", members=self.names, **params)
        self.stores = {name: DictStore() for name in self.names}
        self.nodes: dict[str, Node] = {}
        self.lives: dict[str, Life] = {}
        self.logs = {name: SimulatedLog(name, self.loop) for name in self.names}
        self.disk_errors = 0.0
        self.skew: dict[str, int] = {}
        self.node_class = node_class
        self.fsync = (0.0001, 0.001)
        self.log: list[tuple[float, str, ev.Emit]] = []
        self.replies: dict[int, Message] = {}
        self._cuts = Cuts(self.network)
        self._sequence = 0
        for name in self.names:
            self._add_routes(name)
        for name in self.names:
            self.boot(name)
        self.run(0.05)

    def add(self, name: str) -> None:
        """Boot a node that is a member of nothing yet."""
        self.names += (name,)
        self.stores[name] = DictStore()
        self.logs[name] = SimulatedLog(name, self.loop)
        self._add_routes(name)
        for life in self.lives.values():
            life._known.add(name)
            life.peers.add(name, f"{life.name}>{name}")
        self.boot(name)

    def _add_routes(self, name: str) -> None:
        for other in self.names:
            for pair in ((name, other), (other, name)):
                if name != other and route_name(*pair) not in self.network.routes:
                    address = ">".join(pair)
                    self.network.add(LinkRoute(*pair, address, address))
                    self._cuts.apply(pair)

    # ---- the world

    @property
    def now(self) -> float:
        return self.loop.now

    @property
    def latency(self) -> tuple[float, float]:
        """s that a message takes, at least and at most."""
        return self.network.least, self.network.least + self.network.spread

    @latency.setter
    def latency(self, bounds: tuple[float, float]) -> None:
        self.network.least, self.network.spread = bounds[0], bounds[1] - bounds[0]

    @property
    def cut(self) -> Cuts:
        return self._cuts

    @cut.setter
    def cut(self, pairs: Iterable[tuple[str, str]]) -> None:
        wanted = set(pairs)
        for pair in set(self._cuts) ^ wanted:
            (self._cuts.add if pair in wanted else self._cuts.discard)(pair)

    # ---- processes and network

    def make_core(self, params: Params, disk: Any, entropy: int) -> Node:
        name = params.node
        self.nodes[name] = node = self.node_class(params, self.stores[name], entropy)
        return node

    def boot(self, name: str, intact: bool = True) -> None:
        founder = name in self.params.members
        params = replace(
            self.params,
            node=name,
            members=self.params.members if founder else (),
            seeds=() if founder else self.params.members[:2],
        )
        self.lives[name] = life = Life(self, name, params, intact)
        life.begin()
        for other in self.nodes:
            self._link(other, name)

    def crash(self, name: str) -> None:
        """As SIGKILL: what was not committed is gone, and so are its connections."""
        self.lives.pop(name).die(_SIGKILL)
        del self.nodes[name]

    def stop(self, name: str) -> None:
        """As SIGTERM: what is under way becomes durable, then the node ends."""
        self.isolate(name)
        self.until(lambda: self.nodes[name].objects.settled)
        self.feed(name, ev.Stopping())
        self.run(0.01)
        self.crash(name)
        self.heal()

    def wipe(self, name: str) -> None:
        self.stores[name] = DictStore()

    def copy(self, name: str) -> DictStore:
        """What is durable on a node's disk at this instant."""
        copied = DictStore()
        copied.tables = {table: dict(rows) for table, rows in self.stores[name].tables.items()}
        return copied

    def isolate(self, *side: str) -> None:
        """Cut all links between `side` and the rest; both ends have noticed when it returns."""
        others = [name for name in self.names if name not in side]
        self.cut |= {pair for a in side for b in others for pair in ((a, b), (b, a))}
        self.run(2 * self.latency[1])

    def heal(self) -> None:
        healed, self.cut = list(self.cut), ()
        for source, dest in healed:
            self._link(source, dest)

    def _link(self, source: str, dest: str) -> None:
        """Have a link that is down be dialled now, without the back-off."""
        life = self.lives.get(source)
        link = None if life is None else life.peers.links.get(dest)
        if link is not None and link._line is None and (source, dest) not in self.cut:
            link.dial()

    # ---- the shell

    def at(self, delay: float, action: Callable[[], None]) -> None:
        self.loop.after(delay, action)

    def later(self, delay: float, name: str, event: ev.Event) -> None:
        """Feed `event` to this life of a node, `delay` seconds from now."""
        self.lives[name].later(delay, self.lives[name].post, event)

    def wall(self, name: str) -> int:
        """The reading of a node's wall clock, in ms: `skew` may set it wrong."""
        return int(self.now * 1000) + 1_000_000 + self.skew.get(name, 0)

    def feed(self, name: str, event: ev.Event) -> None:
        if name in self.lives:
            self.lives[name].handle(event)

    def _carry(self, name: str, effect: ev.Effect) -> None:
        match effect:
            case ev.Send(peer, message):
                self._send(name, peer, message)
            case ev.Reply(channel, message):
                self._reply(name, channel, message)
            case ev.Persist(token, writes):
                self._persist(name, token, writes)
            case ev.Emit():
                self.log.append((self.now, name, effect))
            case ev.Answer():
                self.replies[effect.token] = effect  # type: ignore[assignment]
            case _:
                self.lives[name].shell[type(effect)](effect)

    def _send(self, source: str, dest: str, message: Any) -> None:
        self.lives[source].shell[ev.Send](ev.Send(dest, message))

    def _reply(self, name: str, channel: int, message: Any) -> None:
        if channel < _BETWEEN_NODES:
            self.replies[channel] = message
        elif name in self.lives:
            self.lives[name].shell[ev.Reply](ev.Reply(channel, message))

    def _persist(self, name: str, token: int, writes: tuple[ev.Write, ...]) -> None:
        self.lives[name].shell[ev.Persist](ev.Persist(token, writes))

    def run(self, seconds: float) -> None:
        due, end = self.loop.due, self.now + seconds
        while due and due[0][0] <= end:
            when, _, action, arguments = heapq.heappop(due)
            assert action is not None, "no task runs here, so none waits"
            self.loop.now = max(when, self.now)
            action(*arguments)
        self.loop.now = end

    def wait(self, condition: Callable[[], bool], within: float) -> bool:
        """Run until `condition` holds; False when it does not in `within` s."""
        end = self.now + within
        while not condition() and self.now < end:
            self.run(0.01)
        return condition()

    def until(self, condition: Callable[[], bool], within: float = 30.0) -> None:
        assert self.wait(condition, within), "the condition did not come true in time"

    # ---- a client

    def ask(self, name: str, message: Any) -> int:
        self._sequence += 1
        channel = self._sequence
        self.feed(name, ev.Received(channel, None, message))
        return channel

    def call(self, name: str, message: Any) -> Any:
        channel = self.ask(name, message)
        self.until(lambda: channel in self.replies)
        return self.replies[channel]

    def get(self, name: str, key: bytes, **options: Any) -> Any:
        return self.call(name, Get(1, key, RequestOptions(**options)))

    def put(self, name: str, key: bytes, value: bytes, context: bytes = b"", **options: Any) -> Any:
        self._sequence += 1
        put = Put(1, f"r{self._sequence}", key, value, context, False, RequestOptions(**options))
        return self.call(name, put)

    def admin(self, name: str, command: str, **args: Any) -> Any:
        self._sequence += 1
        token = self._sequence
        self.feed(name, ev.AdminRequest(token, command, args))
        answer: Any = self.replies[token]
        assert answer.error is None, answer.error
        return answer.result

    def linked(self) -> bool:
        """Whether every node has a link to every other that lives and is not cut off from it."""
        return all(
            link.up
            for life in self.lives.values()
            for peer, link in life.peers.links.items()
            if peer in self.lives and (life.name, peer) not in self.cut
        )

    def quiet(self) -> bool:
        """No hints left, and two clean exchanges on end between every pair."""
        return all(
            not node.hints.count()
            and not node.transfers.status()
            and all(s.clean >= 2 for s in node.anti_entropy.standing.values())
            for node in self.nodes.values()
            if node.placement is not None
        )

    def holders(self, key: bytes) -> dict[str, set[bytes]]:
        """node -> values of `key` in its own record."""
        found = {}
        for name, node in self.nodes.items():
            record = node.replica.own(key)
            if record is not None:
                pairs = (pair for entry in record.state.values() for pair in entry.values)
                found[name] = {version.value for _, version in pairs}
        return found


def idle_runtime() -> Runtime:
    """A runtime without a node around it."""
    return Runtime(on_answer=lambda peer: None, on_failure=lambda peer, why: None)


def alone(node: str) -> Membership:
    """The membership as a node knows it that has met no peer, and gossips with none."""
    return Membership(
        node,
        Rules(3),
        7,
        on_change=lambda: None,
        on_passed_over=lambda change, reason: None,
    )
