"""Load drivers: processes of their own that carry out the load.

Where a load can be shared out, each driver schedules, performs and records its own share of it
(`harness.run.load_share`), and the harness has the faults alone: no operation passes through it.
The parts of the history are merged by time (`harness.results.parts`). Where clients must know of
each other, and in the final reads, schedule and history stay in the harness: an operation is
recorded, handed to the driver that has its thread, and recorded again when it comes back.

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
from dataclasses import dataclass

from dynamesis.checkers.history.op import Op
from dynamesis.harness.run.driver_messages import (
    LONGEST,
    Done,
    DriverOrder,
    Loaded,
    Progress,
    decode_report,
    line,
)
from dynamesis.harness.run.driver_process import Begin, Performer, drive
from dynamesis.harness.run.load_share import LoadPlan
from dynamesis.harness.targets.system import EnvironmentFailed

log = logging.getLogger(__name__)

#: s that a driver may take to end
_PATIENCE = 15.0


@dataclass(frozen=True)
class Drivers:
    """Load drivers, if there are any. `performers`: of the client threads, in their order;
    `sharing`: those that schedule shares of the load themselves."""

    performers: list[Performer]
    sharing: list[LoadDriver]


@contextmanager
def start_drivers(
    drivers: int, threads: int, begin: Begin, shares: LoadPlan | None = None
) -> Iterator[Drivers]:
    """The performers of so many threads, shared out among so many drivers: or, with none, in
    this process. With `shares`, drivers can carry out the load by themselves. Must be entered
    before any other process is started."""
    if not drivers:
        make = begin()
        yield Drivers([make(thread) for thread in range(threads)], [])
        return
    count = min(drivers, threads)
    hands = [LoadDriver(number, count, begin, shares) for number in range(count)]
    try:
        seats: list[Performer] = [_Seat(hands[thread % count], thread) for thread in range(threads)]
        yield Drivers(seats, [] if shares is None else hands)
    finally:
        for driver in hands:
            driver.end()


class LoadDriver:
    """The harness's end of one driver. `number` counts from 0."""

    def __init__(self, number: int, count: int, begin: Begin, shares: LoadPlan | None) -> None:
        self.name = f"driver-{number + 1}"
        self._socket, theirs = socket.socketpair()
        process = multiprocessing.get_context("fork").Process(
            target=drive,
            args=(theirs, self._socket, begin, os.getpid(), (number, count), shares),
            name=self.name,
        )
        process.start()
        theirs.close()
        self._process = process
        self._writer: asyncio.StreamWriter | None = None
        self._listening: asyncio.Task[None] | None = None
        self._waiting: dict[int, asyncio.Future[Op]] = {}
        self._loaded: asyncio.Future[Loaded] | None = None
        self._progress: Callable[[Progress], None] = lambda progress: None
        self._opening = asyncio.Lock()

    async def open(self) -> None:
        """Listen to it, once there is a loop to do that in."""
        async with self._opening:
            if self._listening is None:
                reader, self._writer = await asyncio.open_unix_connection(
                    sock=self._socket.dup(), limit=LONGEST
                )
                self._listening = asyncio.create_task(self._listen(reader))

    def send(self, order: DriverOrder) -> None:
        """Give an order."""
        assert self._writer is not None
        self._writer.write(line(order))

    async def load(self, began: int, progress: Callable[[Progress], None]) -> Loaded:
        """Have it carry out its share of the load of the test that began then. Raises
        EnvironmentFailed if the machine keeps it from that, or it ends; RuntimeError if the load
        breaks."""
        self._progress = progress
        self._loaded = asyncio.get_running_loop().create_future()
        self._must_live()
        self.send(DriverOrder(began=began))
        loaded = await self._loaded
        if loaded.failure:
            kind = EnvironmentFailed if loaded.environment else RuntimeError
            raise kind(f"{self.name}: {loaded.failure}")
        return loaded

    async def ask(self, thread: int, op: Op) -> Op:
        """Raises RuntimeError if the driver or its performer broke."""
        if self._gone:
            raise RuntimeError(f"{self.name} is gone")
        future: asyncio.Future[Op] = asyncio.get_running_loop().create_future()
        self._waiting[op.index] = future
        self.send(DriverOrder(thread, op=op))
        try:
            return await future
        except asyncio.CancelledError:
            self._waiting.pop(op.index, None)
            self.send(DriverOrder(thread, give_up=True))
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
            log.error("%s does not end", self.name)
            self._process.kill()
            self._process.join()

    @property
    def _gone(self) -> bool:
        return self._listening is None or self._listening.done()

    def _must_live(self) -> None:
        if self._gone:
            raise self._ended()

    def _ended(self) -> EnvironmentFailed:
        """Why there is no more load from it, as well as that is known."""
        self._process.join(1.0)  # its socket is closed already
        code = self._process.exitcode
        how = f"by signal {-code}" if code is not None and code < 0 else f"with exit code {code}"
        return EnvironmentFailed(
            f"{self.name}, a process that carries out the load, ended {how} before the load did; "
            "what it recorded is kept; run the test again, with fewer clients or fewer drivers if "
            "memory is short"
        )

    async def _listen(self, reader: asyncio.StreamReader) -> None:
        try:
            while received := await reader.readline():
                self._take(decode_report(received))
        except OSError as broken:
            log.error("%s: %s", self.name, broken)
        for future in self._waiting.values():
            if not future.done():
                future.set_exception(RuntimeError(f"{self.name} is gone"))
        if self._loaded is not None and not self._loaded.done():
            self._loaded.set_exception(self._ended())

    def _take(self, report: Done | Progress | Loaded) -> None:
        if isinstance(report, Done):
            self._completed(report)
        elif isinstance(report, Progress):
            self._progress(report)
        elif self._loaded is not None and not self._loaded.done():
            self._loaded.set_result(report)

    def _completed(self, done: Done) -> None:
        future = self._waiting.pop(done.index, None)
        if future is None or future.done():
            return  # given up meanwhile
        if done.op is not None:
            future.set_result(done.op)
        else:
            future.set_exception(RuntimeError(done.failure))


class _Seat:
    """One thread of a driver, as the harness sees it."""

    def __init__(self, driver: LoadDriver, thread: int) -> None:
        self._driver = driver
        self._thread = thread

    async def open(self, addresses: Mapping[str, str]) -> None:
        await self._driver.open()
        self._driver.send(DriverOrder(self._thread, addresses=dict(addresses)))

    async def invoke(self, op: Op) -> Op:
        return await self._driver.ask(self._thread, op)

    def recorded(self, index: int) -> None:
        self._driver.send(DriverOrder(self._thread, recorded=index))

    async def close(self) -> None:
        self._driver.close()
