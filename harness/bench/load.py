"""The driver of the benchmark, the same for the mesh and the node: a closed loop of K operations.

Connections go to every node, and each of the K slots has one of them and keys of its own. So a
key never has two operations under way, and a put names the context of the one before: it
replaces one version, and the key has one sibling throughout. Nothing is scheduled in
between: an answer sends the slot's next operation in the callback that brought it.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from asyncio import FIRST_COMPLETED
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Literal

from dynamesis.cluster.core.protocol.messages import (
    Get,
    GetReply,
    Hello,
    Key,
    Message,
    Put,
    PutReply,
    Refusal,
)
from dynamesis.cluster.net.stream import DialFailed, Dialled, dial
from dynamesis.cluster.net.wire import CLIENT_LIMIT, NODE_LIMIT

Op = Literal["put", "get"]
#: seconds for a connection, and for the last answers of a stretch
_PATIENCE = 20.0
#: keys that each slot goes through, while their values fit here (bytes)
_KEYS, _BYTES = 16, 16 << 20


class LoadFailed(Exception):
    """What was asked for was refused, or not answered: figures would mean nothing."""


class _Slot:
    """One operation at a time: its keys, and the context by which each is replaced."""

    def __init__(self, number: int, size: int, slots: int) -> None:
        keys = max(2, min(_KEYS, _BYTES // (size * slots)))
        self.keys = [Key(b"key-%d-%d" % (number, i)) for i in range(keys)]
        self.contexts = [b""] * keys
        self.at = 0
        self.began = 0.0


class LoadConnection(Dialled):
    """One connection and the slots that use it."""

    def __init__(self, cluster: str) -> None:
        super().__init__(Hello("", cluster, role="client"), NODE_LIMIT, CLIENT_LIMIT)
        self.slots: list[_Slot] = []
        self.op: Op = "put"
        self.value = b""
        self.until = 0.0
        self.idle: Callable[[], None] = lambda: None
        self.latencies: list[float] = []
        self.refused: dict[str, int] = {}
        self._rid = 0
        # no request id of an earlier case comes again: the node would refuse it with another value
        self._name = secrets.token_hex(8)

    def start(self, slot: int) -> None:
        """Begin the next operation of a slot; its number is the low part of the rid."""
        mine = self.slots[slot]
        self._rid += 1
        rid = self._rid << 16 | slot
        at = mine.at = (mine.at + 1) % len(mine.keys)
        mine.began = time.perf_counter()
        if self.op == "get":
            self.send(Get(rid, mine.keys[at]))
        else:
            name = f"{self._name}-{rid:x}"
            self.send(Put(rid, name, mine.keys[at], self.value, mine.contexts[at]))

    def on_answer(self, message: Message) -> None:
        now = time.perf_counter()
        slot = message.rid & 0xFFFF  # type: ignore[union-attr]
        mine = self.slots[slot]
        if isinstance(message, PutReply | GetReply):
            mine.contexts[mine.at] = message.context
            self.latencies.append(now - mine.began)
        elif isinstance(message, Refusal):
            self.refused[message.code] = self.refused.get(message.code, 0) + 1
        if now < self.until:
            self.start(slot)
        else:
            self.idle()


class Driver:
    """K slots over connections to all `addresses`."""

    def __init__(self, addresses: Sequence[str], cluster: str) -> None:
        self._addresses = addresses
        self._cluster = cluster
        self.connections: list[LoadConnection] = []

    async def connect(self, in_flight: int, size: int) -> None:
        """Open the connections. Raises LoadFailed."""
        count = min(in_flight, len(self._addresses))
        for address in self._addresses[:count]:
            load = LoadConnection(self._cluster)
            try:
                await dial(address, load, _PATIENCE)
            except DialFailed as error:
                raise LoadFailed(str(error)) from error
            load.value = b"v" * size
            self.connections.append(load)
        for i in range(in_flight):
            self.connections[i % count].slots.append(_Slot(i, size, in_flight))

    async def run(self, op: Op, seconds: float) -> list[float]:
        """Drive for so long; the latencies of what was answered, in s. Raises LoadFailed."""
        loop = asyncio.get_running_loop()
        done, busy = loop.create_future(), sum(len(load.slots) for load in self.connections)

        def idle() -> None:
            nonlocal busy
            busy -= 1
            if not busy and not done.done():
                done.set_result(None)

        until = time.perf_counter() + seconds
        for load in self.connections:
            load.op, load.until, load.idle, load.latencies = op, until, idle, []
            load.refused = {}
            for slot in range(len(load.slots)):
                load.start(slot)
        ends = [load.ended for load in self.connections]
        await asyncio.wait((done, *ends), timeout=seconds + _PATIENCE, return_when=FIRST_COMPLETED)
        for end in filter(asyncio.Future.done, ends):
            raise LoadFailed(f"a node hung up: {end.result()}")
        if not done.done():
            raise LoadFailed(f"{busy} answers did not come within {_PATIENCE:g} s")
        refused = sum((Counter(load.refused) for load in self.connections), Counter[str]())
        if refused:
            counts = ", ".join(f"{count} as {code}" for code, count in refused.items())
            raise LoadFailed(f"operations were refused: {counts}")
        return [took for load in self.connections for took in load.latencies]

    async def fill(self) -> None:
        """Put every key of every slot once, over what an earlier case has left there: without its
        context each case would add a sibling."""
        rounds = max(len(slot.keys) for load in self.connections for slot in load.slots)
        ops: tuple[Op, ...] = ("get", "put")
        for op in ops:
            for _ in range(rounds):
                await self.run(op, 0.0)

    def close(self) -> None:
        for load in self.connections:
            load.close("done")
        self.connections = []
