"""A bare mesh: the least that a replicated store of these frames can be, to measure the node by.

`python -m dynamesis.harness.bench.mesh CONFIG` is one node of it. The same frames travel the
same ways as between nodes: a put is forwarded to a primary, which stores it, then has the N-1
others store it, and answers after W; a get asks the N primaries and answers after R. The
storage engine and its group commit are the node's own, so that a write is as durable before
it is acknowledged.

All else is left out on purpose: clocks and siblings, contexts that are checked, hints, fallbacks,
time-outs, membership, hash trees, quorum options, the event log. A benchmark, and no store.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Sequence
from itertools import count
from pathlib import Path
from typing import Any

import msgspec
from dynamesis.cluster.config.config import split_address
from dynamesis.cluster.core.protocol.events import Persist, Persisted, PersistFailed, Write
from dynamesis.cluster.core.protocol.messages import (
    Answer,
    Entry,
    ForwardPut,
    Get,
    GetReply,
    Hello,
    Key,
    Message,
    Put,
    PutReply,
    QuorumInfo,
    ReplicaGet,
    ReplicaGetReply,
    ReplicaPut,
    ReplicaPutReply,
    State,
    Version,
)
from dynamesis.cluster.core.ring.ring import partition_of
from dynamesis.cluster.net.stream import Dialled, Stream, dial
from dynamesis.cluster.net.wire import NODE_LIMIT
from dynamesis.cluster.process.interpreter import SWITCH_INTERVAL, loop_factory
from dynamesis.cluster.process.parent import follow, follow_stdin
from dynamesis.cluster.storage import ENGINES
from dynamesis.cluster.storage.committer import Committer

#: what every answer waits for: R and W of N
QUORUM, N = 2, 3
PARTITIONS = 64
#: seconds between two attempts to dial
_AGAIN = 0.05

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(State).decode


class MeshConfig(msgspec.Struct, frozen=True):
    """One node: its name, all names, its address, those of the others as it dials them, its
    storage engine and where that keeps its data."""

    node: str
    nodes: tuple[str, ...]
    listen: str
    peers: dict[str, str]
    engine: str
    data: str


class _Link(Dialled):
    """The link to one peer; answers find their questions by rid."""

    def __init__(self, mine: Hello) -> None:
        super().__init__(mine, NODE_LIMIT, NODE_LIMIT)
        self.waiting: dict[int, Callable[[Any], None]] = {}

    def on_answer(self, message: Message) -> None:
        self.waiting.pop(message.rid)(message)  # type: ignore[union-attr]


class _Inbound(Stream):
    """A connection that a client or another node dialled."""

    def __init__(self, mesh: Mesh) -> None:
        super().__init__(limit=NODE_LIMIT)
        self._mesh = mesh

    def on_open(self) -> None:
        self.send(Hello(self._mesh.config.node, "mesh"))

    def on_message(self, message: Message) -> None:
        kind = type(message)
        if kind is ReplicaPut:
            self._mesh.replica_put(message, self.send)  # type: ignore[arg-type]
        elif kind is ReplicaGet:
            self.send(ReplicaGetReply(message.rid, self._mesh.held(message.key)))  # type: ignore
        elif kind is Put:
            self._mesh.put(message, self.send)  # type: ignore[arg-type]
        elif kind is Get:
            self._mesh.get(message, self.send)  # type: ignore[arg-type]
        elif kind is ForwardPut:
            put, rid = message.put, message.rid  # type: ignore[union-attr]
            self._mesh.coordinate(put, rid, self.send)
        elif kind is not Hello:
            self.fault(f"{kind.__name__} is not for a bare mesh")


class Mesh:
    """One node of the mesh, made on the loop that runs it."""

    def __init__(self, config: MeshConfig) -> None:
        self.config = config
        loop = asyncio.get_running_loop()
        self._engine = ENGINES[config.engine](Path(config.data), 1 << 30)
        self._committer = Committer(self._engine, loop, self._committed)
        self._durable = self._engine.durable
        self._done: dict[int, Callable[[], None]] = {}
        self._links: dict[str, _Link] = {}
        self._numbers = count(1)
        self._walk = [
            tuple(config.nodes[(p + i) % len(config.nodes)] for i in range(N))
            for p in range(PARTITIONS)
        ]

    async def run(self) -> None:
        """Serve until the parent ends."""
        loop = asyncio.get_running_loop()
        host, port = split_address(self.config.listen)
        await loop.create_server(lambda: _Inbound(self), host, port, backlog=256)
        await asyncio.gather(*(self._dial(peer) for peer in self.config.peers))
        await loop.create_future()

    async def _dial(self, peer: str) -> None:
        while True:
            link = _Link(Hello(self.config.node, "mesh", role="node"))
            try:
                await dial(self.config.peers[peer], link, 5.0)
            except Exception:  # it has not started yet
                await asyncio.sleep(_AGAIN)
                continue
            self._links[peer] = link
            return

    # ---- storage

    def held(self, key: Key) -> State | None:
        """What is stored of `key`."""
        row = self._engine.get("objects", key)
        return None if row is None else _decode(row)

    def store(self, key: Key, state: State, done: Callable[[], None]) -> None:
        """Store, then done() once that is as durable as the engine makes it."""
        token = next(self._numbers)
        self._done[token] = done
        self._committer.persist(Persist(token, (Write("objects", key, _encode(state)),)))

    def _committed(self, outcomes: Sequence[Persisted | PersistFailed]) -> None:
        for outcome in outcomes:
            self._done.pop(outcome.token)()

    # ---- requests

    def primaries(self, key: Key) -> tuple[str, ...]:
        return self._walk[partition_of(key, PARTITIONS)]

    def _ask(self, peer: str, question: Callable[[int], Any], done: Callable[[Any], None]) -> None:
        link = self._links[peer]
        rid = next(self._numbers)
        link.waiting[rid] = done
        link.send(question(rid))

    def put(self, put: Put, reply: Callable[[Message], None]) -> None:
        primaries = self.primaries(put.key)
        if self.config.node in primaries:
            self.coordinate(put, put.rid, reply)
            return

        def answered(answer: Answer) -> None:
            reply(PutReply(put.rid, answer.context, answer.worth))  # type: ignore[union-attr]

        self._ask(primaries[0], lambda rid: ForwardPut(rid, 1, put), answered)

    def coordinate(self, put: Put, rid: int, reply: Callable[[Message], None]) -> None:
        """Store here, then at the other primaries; answer after W."""
        me, event = self.config.node, next(self._numbers)
        state: State = {me: Entry(event, ((event, Version(put.value, put.deleted)),))}
        answers = 0

        def answered(answer: object = None) -> None:
            nonlocal answers
            answers += 1
            if answers == QUORUM:
                durable = answers if self._durable else 0
                worth = QuorumInfo(answers, answers, durable, 0, me)
                reply(PutReply(rid, _encode({me: Entry(event)}), worth))

        def stored() -> None:
            answered()
            for peer in self.primaries(put.key):
                if peer != me:
                    self._ask(
                        peer,
                        lambda rid: ReplicaPut(rid, put.key, state, None, "put", True, put.request),
                        answered,
                    )

        self.store(put.key, state, stored)

    def replica_put(self, put: ReplicaPut, reply: Callable[[Message], None]) -> None:
        rid = put.rid
        self.store(put.key, put.state, lambda: reply(ReplicaPutReply(rid, self._durable)))

    def get(self, get: Get, reply: Callable[[Message], None]) -> None:
        """Ask all primaries; answer after R."""
        me, states = self.config.node, list[State]()

        def answered(state: State | None) -> None:
            states.append(state or {})
            if len(states) == QUORUM:
                newest = max(states, key=_newest)
                shown = tuple(v for entry in newest.values() for _, v in entry.values)
                seen = {actor: Entry(entry.n) for actor, entry in newest.items()}
                worth = QuorumInfo(QUORUM, QUORUM, QUORUM if self._durable else 0, 0, me)
                reply(GetReply(get.rid, shown, _encode(seen), worth))

        for peer in self.primaries(get.key):
            if peer == me:
                answered(self.held(get.key))
            else:
                question = _replica_get(get.key)
                self._ask(peer, question, lambda answer: answered(answer.state))


def _replica_get(key: Key) -> Callable[[int], ReplicaGet]:
    return lambda rid: ReplicaGet(rid, key)


def _newest(state: State) -> int:
    return max((entry.n for entry in state.values()), default=0)


def main(path: Path) -> None:
    """Run the node that the file describes, until the parent ends."""
    config = msgspec.json.decode(path.read_bytes(), type=MeshConfig)
    follow_stdin()
    sys.setswitchinterval(SWITCH_INTERVAL)
    with asyncio.Runner(loop_factory=loop_factory()) as runner:
        runner.run(_live(config))


async def _live(config: MeshConfig) -> None:
    await Mesh(config).run()


if __name__ == "__main__":
    follow()
    main(Path(sys.argv[1]))
