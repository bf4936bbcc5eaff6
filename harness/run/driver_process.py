"""A load driver from within: it performs operations that it is handed, one by one, or a load that
it schedules and records itself."""

from __future__ import annotations

import asyncio
import gc
import logging
import socket
from collections.abc import Callable, Mapping
from typing import Protocol

import uvloop
from dynamesis.checkers.history.op import Op
from dynamesis.harness.generators.base import Thread
from dynamesis.harness.processes.lifeline import end_with
from dynamesis.harness.processes.loop_guard import blocking_interrupted
from dynamesis.harness.processes.signals import ignore
from dynamesis.harness.run.driver_messages import (
    LONGEST,
    Done,
    DriverOrder,
    Loaded,
    Report,
    decode_order,
    line,
)
from dynamesis.harness.run.interpreter import Worker
from dynamesis.harness.run.load_share import LoadPlan, LoadShare
from dynamesis.harness.targets.system import EnvironmentFailed

log = logging.getLogger(__name__)

#: when the garbage collector looks: schedules are values, and leave no cycles behind, so seldom
_COLLECT = (20_000, 20, 20)


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


def drive(
    theirs: socket.socket,
    ours: socket.socket,
    begin: Begin,
    parent: int,
    place: tuple[int, int],
    shares: LoadPlan | None,
) -> None:
    """A driver's life. Signals are the harness's to understand. `place`: its number, from 0, of
    so many drivers."""
    ignore()
    end_with(parent)
    ours.close()
    gc.freeze()  # what the harness had loaded stays: no collection need look at it
    gc.set_threshold(*_COLLECT)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as loop:
        loop.run(_guarded(_Program(begin(), place, shares), theirs))


async def _guarded(program: _Program, theirs: socket.socket) -> None:
    with blocking_interrupted():
        await program.run(theirs)


class _Nodes:
    """The addresses of the nodes, and how often they have changed."""

    def __init__(self) -> None:
        self.addresses: dict[str, str] = {}
        self.changes = 0

    def are(self, addresses: dict[str, str]) -> None:
        self.addresses = addresses
        self.changes += 1


class _ShareWorker:
    """A worker of the interpreter: the performer of a thread, opened anew when the nodes of the
    cluster have changed."""

    def __init__(self, performer: Performer, nodes: _Nodes) -> None:
        self._performer = performer
        self._nodes = nodes
        self._known = -1

    async def invoke(self, op: Op) -> Op:
        if self._known != self._nodes.changes:
            self._known = self._nodes.changes
            await self._performer.open(self._nodes.addresses)
        return await self._performer.invoke(op)

    def recorded(self, completion: Op) -> None:
        self._performer.recorded(completion.index)

    async def close(self) -> None:
        """The performer performs the final reads, too."""


class _Program:
    """What runs in a driver."""

    def __init__(
        self, make: Callable[[int], Performer], place: tuple[int, int], shares: LoadPlan | None
    ) -> None:
        self._make = make
        self._place = place
        self._shares = shares
        self._performers: dict[int, Performer] = {}
        self._tasks: dict[int, asyncio.Task[None]] = {}
        self._nodes = _Nodes()
        self._stop = asyncio.Event()
        self._loading: asyncio.Task[None] | None = None
        self._performed = 0

    async def run(self, theirs: socket.socket) -> None:
        reader, self._writer = await asyncio.open_unix_connection(sock=theirs, limit=LONGEST)
        while received := await reader.readline():
            await self._follow(decode_order(received))
        for performer in self._performers.values():
            await performer.close()
        threads = ", ".join(map(str, self._performers))
        log.info("performed %d operations of threads %s", self._performed, threads)

    async def _follow(self, order: DriverOrder) -> None:
        if order.thread is not None:
            await self._follow_in(order.thread, order)
        elif order.addresses is not None:
            self._nodes.are(order.addresses)
        if order.began is not None:
            self._loading = asyncio.create_task(self._load(order.began))
        if order.stop:
            self._stop.set()

    async def _follow_in(self, thread: int, order: DriverOrder) -> None:
        """An order for one thread."""
        performer = self._performer(thread)
        if order.addresses is not None:
            await performer.open(order.addresses)
        if order.recorded is not None:
            performer.recorded(order.recorded)
        if order.give_up and thread in self._tasks:
            self._tasks[thread].cancel()
        if order.op is not None:
            self._tasks[thread] = asyncio.create_task(self._perform(performer, order.op))

    def _performer(self, thread: int) -> Performer:
        found = self._performers.get(thread)
        if found is None:
            found = self._performers[thread] = self._make(thread)
        return found

    async def _perform(self, performer: Performer, op: Op) -> None:
        try:
            done = Done(op.index, await performer.invoke(op))
        except Exception as failure:
            log.exception("the client of process %s broke", op.process)
            done = Done(op.index, failure=f"{type(failure).__name__}: {failure}")
        self._performed += 1
        self._report(done)

    async def _load(self, began: int) -> None:
        """Its share of the load, to the end; what keeps it from that is reported."""
        assert self._shares is not None
        share = LoadShare(self._shares, *self._place, self._report)
        threads = self._shares.of(*self._place)
        workers: dict[Thread, Worker] = {
            thread: _ShareWorker(self._performer(thread), self._nodes) for thread in threads
        }
        try:
            loaded = await share.run(began, workers, self._stop)
        except (EnvironmentFailed, OSError) as failure:
            log.error("%s", failure)
            loaded = Loaded(failure=str(failure), environment=True)
        except Exception as failure:
            log.exception("the load broke")
            loaded = Loaded(failure=f"{type(failure).__name__}: {failure}")
        self._performed += share.completed
        self._report(loaded)

    def _report(self, report: Report) -> None:
        self._writer.write(line(report))
