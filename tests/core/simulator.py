"""A deterministic cluster in one process: real nodes, virtual time, a seeded network.

Nothing is mocked: the nodes are the ones that run in production; only the shell is
another. Stored rows live in a dict that survives a crash; a batch that was not yet
acknowledged does not.
"""

from __future__ import annotations

import heapq
import random
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

from dynamesis.cluster.core.membership.membership import Membership
from dynamesis.cluster.core.node.node import Node
from dynamesis.cluster.core.protocol import events as ev
from dynamesis.cluster.core.protocol.messages import Get, Message, Put, RequestOptions
from dynamesis.cluster.core.protocol.params import Params
from dynamesis.cluster.core.ring.placement import Rules
from dynamesis.cluster.core.runtime.runtime import Runtime


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


class Simulator:
    """`members` nodes; `run(seconds)` lets virtual time pass."""

    def __init__(
        self, members: int = 5, seed: int = 0, node_class: type[Node] = Node, **params: Any
    ) -> None:
        self.random = random.Random(seed)
        self.now = 0.0
        self.names = tuple(f"n{i + 1}" for i in range(members))
        self.params = Params(node="", members=self.names, **params)
        self.stores = {name: DictStore() for name in self.names}
        self.nodes: dict[str, Node] = {}
        self.cut: set[tuple[str, str]] = set()
        self.disk_errors = 0.0
        self.skew: dict[str, int] = {}
        self.node_class = node_class
        self.latency = (0.0002, 0.002)
        self.fsync = (0.0001, 0.001)
        self.log: list[tuple[float, str, ev.Emit]] = []
        self.replies: dict[int, Message] = {}
        self._queue: list[tuple[float, int, Callable[[], None]]] = []
        self._sequence = 0
        self._lives: dict[str, int] = dict.fromkeys(self.names, 0)
        self._arrival: dict[tuple[str, str], float] = {}
        self._channels: dict[int, tuple[str, str, int, int]] = {}
        self._timers: dict[tuple[str, str], int] = {}
        for name in self.names:
            self.boot(name)
        self.run(0.05)

    def add(self, name: str) -> None:
        """Boot a node that is a member of nothing yet."""
        self.names += (name,)
        self.stores[name] = DictStore()
        self._lives[name] = 0
        self.boot(name)

    # ---- processes and network

    def boot(self, name: str, intact: bool = True) -> None:
        self._lives[name] += 1
        founder = name in self.params.members
        params = replace(
            self.params,
            node=name,
            members=self.params.members if founder else (),
            seeds=() if founder else self.params.members[:2],
        )
        node = self.node_class(params, self.stores[name], self.random.getrandbits(64))
        self.nodes[name] = node
        self.feed(name, ev.Started(intact))
        for other in self.nodes:
            if other != name:
                self._link(name, other)
                self._link(other, name)

    def crash(self, name: str) -> None:
        """As SIGKILL: what was not committed is gone, and so are its connections."""
        self._lives[name] += 1
        del self.nodes[name]
        for other in self.nodes:
            self.later(0.001, other, ev.LinkDown(name, "connection lost"))

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
        """Cut all links between `side` and the rest; both ends notice immediately."""
        others = [name for name in self.names if name not in side]
        for a in side:
            for b in others:
                for source, dest in ((a, b), (b, a)):
                    self.cut.add((source, dest))
                    if source in self.nodes:
                        self.feed(source, ev.LinkDown(dest, "cut"))

    def heal(self) -> None:
        healed, self.cut = sorted(self.cut), set()
        for source, dest in healed:
            self._link(source, dest)

    def _link(self, source: str, dest: str) -> None:
        if source in self.nodes and dest in self.nodes and (source, dest) not in self.cut:
            self.later(0.001, source, ev.LinkUp(dest))

    # ---- the shell

    def at(self, delay: float, action: Callable[[], None]) -> None:
        self._sequence += 1
        heapq.heappush(self._queue, (self.now + delay, self._sequence, action))

    def later(self, delay: float, name: str, event: ev.Event) -> None:
        """Feed `event` to this life of a node, `delay` seconds from now."""
        life = self._lives[name]

        def deliver() -> None:
            if self._lives[name] == life and name in self.nodes:
                self.feed(name, event)

        self.at(delay, deliver)

    def wall(self, name: str) -> int:
        """The reading of a node's wall clock, in ms: `skew` may set it wrong."""
        return int(self.now * 1000) + 1_000_000 + self.skew.get(name, 0)

    def feed(self, name: str, event: ev.Event) -> None:
        for effect in self.nodes[name].handle(self.now, event, self.wall(name)):
            self._carry(name, effect)

    def _carry(self, name: str, effect: ev.Effect) -> None:
        match effect:
            case ev.Send(peer, message):
                self._send(name, peer, message)
            case ev.Reply(channel, message):
                self._reply(name, channel, message)
            case ev.SetTimer(id, after):
                self._set_timer(name, id, after)
            case ev.Persist(token, writes):
                self._persist(name, token, writes)
            case ev.Emit():
                self.log.append((self.now, name, effect))
            case ev.Answer():
                self.replies[effect.token] = effect  # type: ignore[assignment]

    def _delay(self, source: str, dest: str) -> float:
        """A drawn latency that keeps the order of one connection."""
        arrival = self.now + self.random.uniform(*self.latency)
        arrival = max(arrival, self._arrival.get((source, dest), 0.0) + 1e-6)
        self._arrival[source, dest] = arrival
        return arrival - self.now

    def _send(self, source: str, dest: str, message: Any) -> None:
        if (source, dest) in self.cut or dest not in self.nodes:
            self.later(0.0001, source, ev.SendFailed(dest, message.rid))
            return
        self._sequence += 1
        channel = self._sequence
        self._channels[channel] = (source, dest, self._lives[source], self._lives[dest])
        self.later(self._delay(source, dest), dest, ev.Received(channel, source, message))

    def _reply(self, name: str, channel: int, message: Any) -> None:
        if channel not in self._channels:
            self.replies[channel] = message
            return
        source, dest, source_life, dest_life = self._channels.pop(channel)
        same = self._lives[source] == source_life and self._lives[dest] == dest_life
        if same and source in self.nodes and (source, dest) not in self.cut:
            self.later(self._delay(dest, source), source, ev.Received(None, dest, message))

    def _set_timer(self, name: str, id: str, after: float) -> None:
        self._sequence += 1
        mine = self._timers[name, id] = self._sequence
        life = self._lives[name]

        def fire() -> None:
            if self._timers.get((name, id)) == mine and self._lives[name] == life:
                self.feed(name, ev.TimerFired(id))

        self.at(after, fire)

    def _persist(self, name: str, token: int, writes: tuple[ev.Write, ...]) -> None:
        life = self._lives[name]

        def commit() -> None:
            if self._lives[name] == life and self.random.random() < self.disk_errors:
                self.feed(name, ev.PersistFailed(token, "no space"))
            elif self._lives[name] == life:
                self.stores[name].commit(writes)
                self.feed(name, ev.Persisted(token))

        arrival = self.now + self.random.uniform(*self.fsync)
        arrival = max(arrival, self._arrival.get((name, "disk"), 0.0) + 1e-6)
        self._arrival[name, "disk"] = arrival
        self.at(arrival - self.now, commit)

    def run(self, seconds: float) -> None:
        end = self.now + seconds
        while self._queue and self._queue[0][0] <= end:
            when, _, action = heapq.heappop(self._queue)
            self.now = when
            action()
        self.now = end

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
    return Runtime(on_outcome=lambda peer, failure: None)


def alone(node: str) -> Membership:
    """The membership as a node knows it that has met no peer, and gossips with none."""
    return Membership(
        node,
        Rules(3),
        7,
        on_change=lambda: None,
        on_passed_over=lambda change, reason: None,
    )
