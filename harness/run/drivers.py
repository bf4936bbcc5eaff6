"""Load drivers: processes of their own that carry out what clients are asked to do.

The schedule stays where it is, and so does the history: an operation is recorded, handed to
the driver that has its thread, and recorded again when it comes back. What costs the most
meanwhile, encoding, sockets and decoding, is spread over the drivers.

Drivers are forked, before anything else begins, so that what they log is carried to the
harness's own log (harness.results.logs); they are never killed or paused. They end with the other
end of their socket, that is, with the harness at the latest.
"""

from __future__ import annotations

import asyncio
import logging
import multiprocessing
import os
import socket
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Protocol

import msgspec
import uvloop
from dynamesis.checkers.history.op import Op
from dynamesis.harness.processes.lifeline import end_with
from dynamesis.harness.processes.loop_guard import blocking_interrupted
from dynamesis.harness.processes.signals import ignore

log = logging.getLogger(__name__)

#: bytes of the longest line: what one get shows
_LONGEST = 1 << 28
#: s that a driver may take to end
_PATIENCE = 15.0


class Performer(Protocol):
    """Performs the operations of one thread, wherever that is."""

    async def open(self, addresses: Mapping[str, str]) -> None:
        """These are the nodes now: id -> host:port."""

    async def invoke(self, op: Op) -> Op:
        """The completion of `op`."""

    def recorded(self, index: int) -> None:
        """The last completion now has this index."""

    async def close(self) -> None:
        """No operation follows."""


#: Called in a driver: what makes the performer of each of its threads.
Begin = Callable[[], Callable[[int], Performer]]


class _Order(msgspec.Struct, omit_defaults=True):
    """What a driver is to do for one of its threads; `give_up`: there is no more waiting for the
    operation that it performs."""

    thread: int
    addresses: dict[str, str] | None = None
    recorded: int | None = None
    op: Op | None = None
    give_up: bool = False


class _Done(msgspec.Struct, omit_defaults=True):
    """What became of the operation invoked at `index`; `failure`: it broke the performer."""

    index: int
    op: Op | None = None
    failure: str = ""


_order, _done = msgspec.json.Decoder(_Order), msgspec.json.Decoder(_Done)


@contextmanager
def start_drivers(drivers: int, threads: int, begin: Begin) -> Iterator[list[Performer]]:
    """The performers of so many threads, shared out among so many drivers: or, with none, in
    this process. Must be entered before any other process is started."""
    if not drivers:
        make = begin()
        yield [make(thread) for thread in range(threads)]
        return
    hands = [_Driver(number + 1, begin) for number in range(min(drivers, threads))]
    try:
        yield [_Seat(hands[thread % len(hands)], thread) for thread in range(threads)]
    finally:
        for driver in hands:
            driver.end()


class _Driver:
    """The harness's end of one driver."""

    def __init__(self, number: int, begin: Begin) -> None:
        self._name = f"driver-{number}"
        self._socket, theirs = socket.socketpair()
        process = multiprocessing.get_context("fork").Process(
            target=_drive, args=(theirs, self._socket, begin, os.getpid()), name=self._name
        )
        process.start()
        theirs.close()
        self._process = process
        self._writer: asyncio.StreamWriter | None = None
        self._listening: asyncio.Task[None] | None = None
        self._waiting: dict[int, asyncio.Future[Op]] = {}
        self._opening = asyncio.Lock()

    async def open(self) -> None:
        """Listen to it, once there is a loop to do that in."""
        async with self._opening:
            if self._listening is None:
                reader, self._writer = await asyncio.open_unix_connection(
                    sock=self._socket.dup(), limit=_LONGEST
                )
                self._listening = asyncio.create_task(self._listen(reader))

    def send(self, order: _Order) -> None:
        assert self._writer is not None
        self._writer.write(msgspec.json.encode(order) + b"\n")

    async def ask(self, thread: int, op: Op) -> Op:
        """Raises RuntimeError if the driver or its performer broke."""
        if self._listening is None or self._listening.done():
            raise RuntimeError(f"{self._name} is gone")
        future: asyncio.Future[Op] = asyncio.get_running_loop().create_future()
        self._waiting[op.index] = future
        self.send(_Order(thread, op=op))
        try:
            return await future
        except asyncio.CancelledError:
            self._waiting.pop(op.index, None)
            self.send(_Order(thread, give_up=True))
            raise

    def close(self) -> None:
        """Nothing more is asked of it."""
        if self._writer is not None:
            self._writer.close()

    def end(self) -> None:
        """Wait until it has ended, and logged all that it had to log. Needs no loop."""
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        self._process.join(_PATIENCE)
        if self._process.is_alive():
            log.error("%s does not end", self._name)
            self._process.kill()

    async def _listen(self, reader: asyncio.StreamReader) -> None:
        try:
            while line := await reader.readline():
                self._completed(_done.decode(line))
        except OSError as broken:
            log.error("%s: %s", self._name, broken)
        for future in self._waiting.values():
            if not future.done():
                future.set_exception(RuntimeError(f"{self._name} is gone"))

    def _completed(self, done: _Done) -> None:
        future = self._waiting.pop(done.index, None)
        if future is None or future.done():
            return  # given up meanwhile
        if done.op is not None:
            future.set_result(done.op)
        else:
            future.set_exception(RuntimeError(done.failure))


class _Seat:
    """One thread of a driver, as the harness sees it."""

    def __init__(self, driver: _Driver, thread: int) -> None:
        self._driver = driver
        self._thread = thread

    async def open(self, addresses: Mapping[str, str]) -> None:
        await self._driver.open()
        self._driver.send(_Order(self._thread, addresses=dict(addresses)))

    async def invoke(self, op: Op) -> Op:
        return await self._driver.ask(self._thread, op)

    def recorded(self, index: int) -> None:
        self._driver.send(_Order(self._thread, recorded=index))

    async def close(self) -> None:
        self._driver.close()


def _drive(theirs: socket.socket, ours: socket.socket, begin: Begin, parent: int) -> None:
    """A driver's life. Signals are the harness's to understand."""
    ignore()
    end_with(parent)
    ours.close()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as loop:
        loop.run(_guarded(_Program(begin()), theirs))


async def _guarded(program: _Program, theirs: socket.socket) -> None:
    with blocking_interrupted():
        await program.run(theirs)


class _Program:
    """What runs in a driver."""

    def __init__(self, make: Callable[[int], Performer]) -> None:
        self._make = make
        self._performers: dict[int, Performer] = {}
        self._tasks: dict[int, asyncio.Task[None]] = {}
        self._performed = 0

    async def run(self, theirs: socket.socket) -> None:
        reader, writer = await asyncio.open_unix_connection(sock=theirs, limit=_LONGEST)
        while line := await reader.readline():
            order = _order.decode(line)
            performer = self._performers.get(order.thread)
            if performer is None:
                performer = self._performers[order.thread] = self._make(order.thread)
            if order.addresses is not None:
                await performer.open(order.addresses)
            if order.recorded is not None:
                performer.recorded(order.recorded)
            if order.give_up and order.thread in self._tasks:
                self._tasks[order.thread].cancel()
            if order.op is not None:
                performing = self._perform(performer, order.op, writer)
                self._tasks[order.thread] = asyncio.create_task(performing)
        for performer in self._performers.values():
            await performer.close()
        threads = ", ".join(map(str, self._performers))
        log.info("performed %d operations of threads %s", self._performed, threads)

    async def _perform(self, performer: Performer, op: Op, writer: asyncio.StreamWriter) -> None:
        try:
            done = _Done(op.index, await performer.invoke(op))
        except Exception as failure:
            log.exception("the client of process %s broke", op.process)
            done = _Done(op.index, failure=f"{type(failure).__name__}: {failure}")
        self._performed += 1
        writer.write(msgspec.json.encode(done) + b"\n")
