"""Connections take turns: neither a client that sends as fast as it can nor a reader that does not
read delays the others, and nodes do not wait behind clients."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable
from pathlib import Path

import msgspec
from dynamesis.cluster.client.client import Client
from dynamesis.cluster.core.protocol.messages import (
    Get,
    GetReply,
    Hello,
    Key,
    Message,
    Ping,
    Put,
    QuorumInfo,
    ReplicaGet,
    ReplicaGetReply,
    Version,
)
from dynamesis.cluster.net.inbound import Inbound
from dynamesis.cluster.net.turns import SHARE, TURN
from dynamesis.harness.processes.ports import reserve
from node_world import CLIENT, SECRET, NodeAlone, Raw, ended, in_loop, listening, until

MIB = 1 << 20
NODE = Hello("n2", "dynamesis")
#: questions that one read of a socket brings, and more
FLOOD = 4000
#: connections that flood together, and bytes that one read of a socket brings at most
CROWD = 6
READ = 256 << 10
Deliver = Callable[[Inbound, Iterable[Message]], None]


def flood(raw: Raw, key: bytes) -> None:
    raw.say(*(Get(rid, Key(key)) for rid in range(FLOOD)))


@in_loop
async def test_a_client_that_floods_is_as_far_away_as_one_that_asks_once() -> None:
    asked: list[bytes] = []

    def deliver(inbound: Inbound, messages: Iterable[Message]) -> None:
        asked.extend(message.key for message in messages if isinstance(message, Get))

    async with listening(deliver, secret=SECRET) as (_, address):
        loud = [await Raw.greeted(address, CLIENT) for _ in range(3)]
        quiet = await Raw.greeted(address, CLIENT)
        await asyncio.sleep(0.05)
        for raw in loud:
            flood(raw, b"loud")
        quiet.say(Get(1, Key(b"quiet")))
        await until(lambda: len(asked) == 3 * FLOOD + 1, "all was handed on")
        assert asked.index(b"quiet") <= 3 * SHARE


@in_loop
async def test_a_node_does_not_wait_behind_clients_and_they_wait_for_it() -> None:
    asked: list[tuple[str, float]] = []

    def deliver(inbound: Inbound, messages: Iterable[Message]) -> None:
        for message in messages:
            asked.append((type(message).__name__, port.turns.waited))
            if isinstance(message, Get):
                time.sleep(0.0005)

    async with listening(deliver, secret=SECRET) as (port, address):
        loud = [await Raw.greeted(address, CLIENT) for _ in range(3)]
        node = await Raw.greeted(address, NODE)
        for raw in loud:
            raw.say(*(Get(rid, Key(b"k")) for rid in range(200)))
        node.say(Ping(1))
        await until(lambda: len(asked) == 601, "all was handed on")
        names = [name for name, _ in asked]
        assert names.index("Ping") <= SHARE
        waited = [seconds for name, seconds in asked if name == "Get"]
        assert max(waited) > 0.2, "the last ones waited for some 600 others"
        assert min(waited) < max(waited) / 2
        node.say(Ping(2))
        loud[0].say(Get(1, Key(b"k")))
        await until(lambda: len(asked) == 603, "it is idle again")
        assert asked[-1][1] < max(waited) / 2


@in_loop
async def test_connections_are_not_read_on_while_others_have_their_turns() -> None:
    """Each turn is one question long, and sockets are read between turns."""
    most, uncounted, left = 0, 0, CROWD * 64
    put = Put(0, "", Key(b"k"), bytes(MIB // 16))

    def deliver(inbound: Inbound, messages: Iterable[Message]) -> None:
        nonlocal most, uncounted, left
        for _ in messages:
            left -= 1
            time.sleep(2 * TURN)
        for other in port.channels.values():
            waits = sum(len(asked.value) for asked in other.waiting if isinstance(asked, Put))
            most, uncounted = max(most, waits), max(uncounted, waits - other.waits)

    async with listening(deliver, secret=SECRET) as (port, address):
        crowd = [await Raw.greeted(address, CLIENT) for _ in range(CROWD)]
        for raw in crowd:
            raw.say(*(msgspec.structs.replace(put, rid=rid) for rid in range(64)))
        await until(lambda: not left, "all was handed on")
        assert READ // 2 < most <= 2 * READ, "what two reads of a socket bring, of 4 MiB"
        assert uncounted <= 0


@in_loop
async def test_a_reader_that_does_not_read_is_asked_for_no_more() -> None:
    answered: list[Message] = []
    answer = GetReply(1, (Version(bytes(4 * MIB)),), b"", QuorumInfo(1, 1, 1, 0, "n1"))

    def deliver(inbound: Inbound, messages: Iterable[Message]) -> None:
        for message in messages:
            answered.append(message)
            inbound.reply(answer)

    async with listening(deliver, secret=SECRET) as (port, address):
        for mine in (CLIENT, NODE):
            answered.clear()
            deaf = await Raw.greeted(address, mine)
            question = Get(1, Key(b"k")) if mine is CLIENT else ReplicaGet(1, Key(b"k"))
            deaf.say(*(question for _ in range(100)))
            await until(answered.copy, "it is answered")
            await asyncio.sleep(0.3)
            assert port.unsent < 16 * MIB
            (channel,) = port.channels.values()
            assert channel.owed < 100 - 1
            for _ in range(100):
                assert isinstance(await deaf.read(), GetReply)
            assert (len(answered), channel.owed) == (100, 0)
            deaf.close()
            await until(lambda: not port.channels, "it has gone")


@in_loop
async def test_a_node_that_reads_slowly_keeps_its_link(tmp_path: Path) -> None:
    """What 300 reads of 1 MiB answer is more than any connection may leave unread."""
    with (
        reserve(3) as ports,
        ended(
            NodeAlone(
                tmp_path,
                ports.take(),
                ports.take(),
                members=["n1"],
                peers={"n2": f"127.0.0.1:{ports.take()}"},
            )
        ) as node,
    ):
        node.start()
        await node.ready()
        async with Client([node.address]) as client:
            await client.put(b"k", bytes(MIB))
        peer = await Raw.greeted(node.address, NODE)
        peer.say(*(ReplicaGet(rid, Key(b"k")) for rid in range(300)))
        await asyncio.sleep(0.5)
        assert (await node.ask("status"))["unsent"] < 16 * MIB
        for rid in range(300):
            got = await peer.read()
            assert isinstance(got, ReplicaGetReply)
            assert got.rid == rid
        assert not node.events("slow-reader")
