"""What embedded links do to the bytes of one direction of one connection.

A shape reads what comes from one side and hands it on to the other, the way a fault
wants it. When it returns, the other side gets the end too, and only that direction
closes: half-close is exact. `Broken` resets both sides at the same time.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import suppress
from dataclasses import dataclass, field
from random import Random
from typing import Any

from dynamesis.harness.links.faults import (
    Bandwidth,
    BlackHole,
    Frames,
    Latency,
    LimitData,
    LinkFault,
    Reset,
    Slicer,
    Stall,
)

_PIECE = 65536
#: What announces a longer frame is not a frame: the bytes continue as they are.
_LONGEST = 64 << 20
#: Bytes that a direction may hold back before it stops reading.
_HELD = 8 << 20
#: s that a frame waits to be overtaken
_OVERTAKEN = 0.1


class Broken(Exception):
    """The connection is to be reset."""


class CutShort(Exception):
    """The connection is to end now, in both directions."""


@dataclass
class Counts:
    """Of one route: connections that it took, bytes and frames that went in and came out.
    `bitten`: how often its faults did what they are for, to a piece of data or a connection."""

    connections: int = 0
    bytes_in: int = 0
    bytes_out: int = 0
    dropped: int = 0
    duplicated: int = 0
    reordered: int = 0
    bitten: int = 0


@dataclass
class Direction:
    """One direction of one connection. `released` is set when a stall is over; `open` is not
    set while one lasts that came after the connection."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    counts: Counts
    random: Random
    released: asyncio.Event = field(default_factory=asyncio.Event)
    open: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self.open.set()

    async def pieces(self) -> AsyncIterator[bytes]:
        """What comes, until the end."""
        while data := await self.reader.read(_PIECE):
            self.counts.bytes_in += len(data)
            yield data

    def write(self, data: bytes) -> None:
        self.writer.write(data)
        self.counts.bytes_out += len(data)

    async def send(self, data: bytes) -> None:
        self.write(data)
        await self.writer.drain()


Shape = Callable[[Direction], Coroutine[Any, Any, None]]


def shape(fault: LinkFault | None) -> Shape:
    """The shape that does in one direction what `fault` wants there."""
    match fault:
        case BlackHole():
            return _swallow
        case Reset():
            return _reset
        case Stall():
            return _hold
        case LimitData(after_bytes=limit):
            return lambda way: _cut_off(way, limit)
        case Frames():
            return lambda way: _frames(way, fault)
        case Bandwidth(rate_kbps=rate):
            return lambda way: _narrow(way, rate * 1000)
        case Slicer():
            return lambda way: _torn(way, fault)
        case Latency():
            return lambda way: _slow(way, fault)
    return _plain


async def _plain(way: Direction) -> None:
    async for data in way.pieces():
        way.counts.bitten += not way.open.is_set()
        await way.open.wait()
        await way.send(data)
    await way.open.wait()


async def _swallow(way: Direction) -> None:
    with suppress(OSError):
        async for _ in way.pieces():
            way.counts.bitten += 1
    await asyncio.Event().wait()


async def _reset(way: Direction) -> None:
    async for _ in way.pieces():
        way.counts.bitten += 1
        raise Broken


async def _hold(way: Direction) -> None:
    held = bytearray()
    ended = False
    released = asyncio.ensure_future(way.released.wait())
    try:
        while not released.done() and not ended and len(held) < _HELD:
            reading = asyncio.ensure_future(way.reader.read(_PIECE))
            await asyncio.wait({reading, released}, return_when=asyncio.FIRST_COMPLETED)
            if not reading.done():
                reading.cancel()
                await asyncio.wait({reading})
                break
            ended = not reading.result()
            way.counts.bytes_in += len(reading.result())
            way.counts.bitten += 1
            held += reading.result()
        await released
    finally:
        released.cancel()
    await way.send(bytes(held))
    await _plain(way)


async def _cut_off(way: Direction, limit: int) -> None:
    async for data in way.pieces():
        await way.send(data[:limit])
        limit -= len(data)
        if limit <= 0:
            way.counts.bitten += 1
            raise CutShort


async def _narrow(way: Direction, rate: int) -> None:
    step = max(1, rate // 20)
    async for data in way.pieces():
        for start in range(0, len(data), step):
            piece = data[start : start + step]
            await asyncio.sleep(len(piece) / rate)
            await way.send(piece)
            way.counts.bitten += 1


async def _torn(way: Direction, fault: Slicer) -> None:
    async for data in way.pieces():
        while data:
            vary = way.random.randint(-fault.vary_bytes, fault.vary_bytes)
            size = fault.piece_bytes + vary
            piece, data = data[:size], data[size:]
            await way.send(piece)
            way.counts.bitten += bool(data)
            await asyncio.sleep(fault.pause_us / 1e6)


async def _slow(way: Direction, fault: Latency) -> None:
    """A second task waits, so that bytes on their way do not keep others from setting out."""
    loop = asyncio.get_running_loop()
    line: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue(1024)

    async def deliver() -> None:
        while True:
            due, data = await line.get()
            await asyncio.sleep(due - loop.time())
            if not data:
                return
            await way.send(data)
            way.counts.bitten += 1

    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(deliver())
        async for data in way.pieces():
            await line.put((loop.time() + _latency(way.random, fault), data))
        await line.put((loop.time() + _latency(way.random, fault), b""))


def _latency(random: Random, fault: Latency) -> float:
    return (fault.latency_ms + random.uniform(-fault.jitter_ms, fault.jitter_ms)) / 1000


async def _frames(way: Direction, fault: Frames) -> None:
    """A frame that is to be overtaken waits for the next one, but not for ever."""
    loop = asyncio.get_running_loop()
    waiting: list[bytes] = []
    first = True
    async for frame in _whole_frames(way):
        chance = 100.0 if first else way.random.uniform(0, 100)
        first = False
        if chance < fault.drop:
            way.counts.dropped += 1
            way.counts.bitten += 1
            continue
        if chance < fault.drop + fault.duplicate:
            way.counts.duplicated += 1
            way.counts.bitten += 1
            frame += frame
        elif chance < fault.drop + fault.duplicate + fault.reorder:
            way.counts.reordered += 1
            way.counts.bitten += 1
            waiting.append(frame)
            loop.call_later(_OVERTAKEN, _let_go, way, waiting)
            continue
        way.write(frame)
        _let_go(way, waiting)
        await way.writer.drain()
    _let_go(way, waiting)


def _let_go(way: Direction, waiting: list[bytes]) -> None:
    while waiting and not way.writer.is_closing():
        way.write(waiting.pop())


async def _whole_frames(way: Direction) -> AsyncIterator[bytes]:
    """The stream cut at its frames; from something that is none on, as it comes."""
    buffer = b""
    async for data in way.pieces():
        buffer += data
        while len(buffer) >= 4:
            size = 4 + int.from_bytes(buffer[:4], "big")
            size = len(buffer) if size > _LONGEST else size
            if len(buffer) < size:
                break
            yield buffer[:size]
            buffer = buffer[size:]
    if buffer:
        yield buffer
