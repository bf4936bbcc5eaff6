"""Frames that are begun and not finished: their connections are closed, all others are served."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, ValuesView
from contextlib import asynccontextmanager

import pytest
from dynamesis.cluster.core.protocol.messages import (
    Get,
    Hello,
    Key,
    Locate,
    Message,
    Ping,
    Put,
    Refusal,
    Welcome,
)
from dynamesis.cluster.net import inbound
from dynamesis.cluster.net import listener as module
from dynamesis.cluster.net.listener import Listener
from dynamesis.cluster.net.wire import encode
from node_world import CLIENT, SECRET, Raw, in_loop, listening, until, with_proof

#: a frame of 1 MiB, all but its end
WHOLE = encode(Put(1, "r", Key(b"k"), bytes(1 << 20)))
HALF, HALF_END = WHOLE[:-100], WHOLE[-100:]


@asynccontextmanager
async def asking() -> AsyncIterator[tuple[Listener, str, list[Message]]]:
    """A data port that keeps what it is asked."""
    asked: list[Message] = []
    async with listening(lambda inbound, messages: asked.extend(messages)) as (port, address):
        yield port, address, asked


def held(port: Listener) -> int:
    return sum(inbound.held for inbound in port.channels.values())


@in_loop
async def test_hoarders_pay_and_not_later_connections(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "HALF_BOUND", 4 * len(HALF))
    async with asking() as (port, address, asked):
        hoarders = []
        for number in range(1, 5):
            hoarders.append(await Raw.greeted(address, CLIENT))
            hoarders[-1].write(HALF)
            await until(lambda n=number: held(port) >= n * len(HALF), "it is held")  # type: ignore[misc]
        later = await Raw.greeted(address, CLIENT)
        later.write(HALF)
        refusal = await hoarders[0].read()
        assert isinstance(refusal, Refusal)
        assert "bytes of unfinished frames" in refusal.message
        later.write(HALF_END)
        for _ in range(5):
            later.write(WHOLE)
        await until(lambda: len(asked) == 6, "later connections are served")
        assert held(port) <= 4 * len(HALF)
        for raw in (*hoarders, later):
            raw.close()


@in_loop
async def test_a_frame_has_a_deadline_and_a_busy_connection_none(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(inbound, "FRAME_TIMEOUT", 0.3)
    async with asking() as (port, address, asked):
        silent = await Raw.greeted(address, CLIENT)
        silent.write(HALF)
        busy = await Raw.greeted(address, CLIENT)
        whole = encode(Get(1, Key(b"k"))) * 2
        began = asyncio.get_running_loop().time()
        rest = b""
        while asyncio.get_running_loop().time() < began + 1.0:
            # always a piece of the next frame with the end of the last: never nothing pending
            busy.write(rest + whole[: len(whole) // 2 + 5])
            rest = whole[len(whole) // 2 + 5 :]
            await asyncio.sleep(0.02)
        refusal = await silent.read()
        assert isinstance(refusal, Refusal)
        assert refusal.message == "a frame was not complete within 0.3 s"
        assert await silent.read() is None
        before = len(asked)
        assert before > 10
        busy.write(rest)
        busy.say(Locate(7))
        await until(lambda: Locate(7) in asked, "the busy one is served on")
        assert held(port) == 0
        busy.close()


@in_loop
async def test_a_node_whose_hello_came_in_pieces_keeps_its_link(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(inbound, "FRAME_TIMEOUT", 1.0)
    asked: list[Message] = []
    async with listening(lambda inbound, messages: asked.extend(messages), secret=SECRET) as (
        port,
        address,
    ):
        raw = await Raw.dial(address)
        theirs = await raw.read()
        assert isinstance(theirs, Hello)
        hello = encode(with_proof(Hello("n2", "dynamesis"), theirs))
        raw.write(hello[:20])
        await until(lambda: held(port) == 20, "a piece has come")
        raw.write(hello[20:])
        assert isinstance(await raw.read(), Welcome)
        assert held(port) == 0
        watch = next(iter(port.channels.values()))
        await until(lambda: watch._watch is None, "its time is over")
        raw.say(Ping(1))
        await until(lambda: asked == [Ping(1)], "it is served on")


class Searched(dict[int, inbound.Inbound]):
    """The connections of a port, and how often all of them were looked at."""

    times = 0

    def values(self) -> ValuesView[inbound.Inbound]:
        self.times += 1
        return super().values()


@in_loop
async def test_floods_of_unfinished_frames_do_not_cost_a_search_each(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    half = HALF[: 64 << 10]
    monkeypatch.setattr(module, "HALF_BOUND", 20 * len(half))
    events: list[str] = []
    async with listening(
        lambda inbound, messages: None, lambda event, **fields: events.append(event)
    ) as (port, address):
        port.channels = searched = Searched()
        for _ in range(100):
            (await Raw.greeted(address, CLIENT)).write(half)
        await until(lambda: events.count("bad-frame") == 80, "all but 20 are cut off")
        assert searched.times < 10
