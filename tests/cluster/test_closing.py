"""Connections that are about to close, and keep what their readers have not read yet: they count as
all others, and make room as those that are idle."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

import pytest
from dynamesis.cluster.core.protocol.messages import (
    Get,
    GetReply,
    Hello,
    Key,
    Message,
    QuorumInfo,
    ReplicaGet,
    Version,
)
from dynamesis.cluster.net import listener as module
from dynamesis.cluster.net.inbound import Inbound
from dynamesis.cluster.net.wire import encode
from node_world import CLIENT, SECRET, Raw, in_loop, listening, until

MIB = 1 << 20
#: more than the kernel takes of an answer that is not read
ANSWER = GetReply(1, (Version(bytes(16 * MIB)),), b"", QuorumInfo(1, 1, 1, 0, "n1"))
NO_FRAME = b"\xff" * 8


def answer(inbound: Inbound, messages: Iterable[Message]) -> None:
    for _ in messages:
        inbound.reply(ANSWER)


async def closing(address: str) -> Raw:
    """A connection that has broken the protocol, and reads neither the answer before that nor the
    reason."""
    raw = await Raw.dial(address, taken=64 << 10)
    raw.write(encode(CLIENT) + encode(Get(1, Key(b"k"))) + NO_FRAME)
    return raw


@in_loop
async def test_of_those_that_keep_answers_those_that_are_closing_are_cut_off_too(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "READERS_BOUND", 40 * MIB)
    cut: list[object] = []

    def emit(event: str, **fields: object) -> None:
        if event == "slow-reader":
            cut.append(fields["channel"])

    async with listening(answer, emit) as (port, address):
        for number in range(1, 3):
            await closing(address)
            await until(
                lambda n=number: [i.closing for i in port.channels.values()] == [True] * n,
                "it is about to close",
            )
        reads = await Raw.greeted(address, CLIENT)
        for rid in range(5):
            reads.say(Get(rid, Key(b"k")))
            assert await reads.read() == ANSWER, "one that reads does not pay for them"
        assert cut
        await until(lambda: len(port.channels) == 2, "one of them is gone")


@in_loop
async def test_those_that_are_closing_make_room(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_CONNECTIONS", 3)
    monkeypatch.setattr(module, "IDLE", 0.2)
    async with listening(answer) as (port, address):
        for _ in range(3):
            await closing(address)
        await until(
            lambda: [i.closing for i in port.channels.values()] == [True] * 3,
            "all are about to close",
        )
        await asyncio.sleep(0.3)
        late = await Raw.greeted(address, CLIENT)
        late.say(Get(1, Key(b"k")))
        assert await late.read() == ANSWER


@in_loop
async def test_a_node_that_is_hung_up_on_has_a_time_in_which_to_read_some(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """One that is stopped need not read as long as its link is good."""
    monkeypatch.setattr(module, "READER_TIMEOUT", 0.5)
    monkeypatch.setattr(module, "LOOK", 0.05)
    async with listening(answer, secret=SECRET) as (port, address):
        raw = await Raw.greeted(address, Hello("n2", "dynamesis"), taken=64 << 10)
        raw.say(ReplicaGet(1, Key(b"k")))
        await until(lambda: port.unsent, "it leaves some")
        await asyncio.sleep(1.0)
        assert len(port.channels) == 1
        (inbound,) = port.channels.values()
        inbound.fault("it is to be hung up on, and does not see that")
        await until(lambda: not port.channels, "it is given up")
