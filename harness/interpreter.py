"""Runs a generator against workers: asks it for operations, has them performed, tells it
what became of them.

The generator is pure and knows no time but what it is told; the workers are impure and
know nothing of each other. Between them stands this loop, after Jepsen's interpreter.clj:
one worker a thread, at most one operation each; an operation whose outcome nobody knows
retires the process that did it, and the thread goes on as a new one.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from typing import Protocol

import msgspec

from checkers.op import Op, OpError
from harness.generators.base import Context, Generator, Pending, Thread
from harness.recorder import Recorder

log = logging.getLogger(__name__)

#: How long to wait before a generator that said PENDING is asked again, s.
POLL = 0.005
#: How long operations in progress may take once the generator is done, s. Clients have
#: time-outs of their own: this is reached only when a client is broken.
DRAIN = 15.0
NEMESIS = "nemesis"


class Worker(Protocol):
    """Performs the operations of one thread, one at a time."""

    async def invoke(self, op: Op) -> Op:
        """The completion of `op`; its index and time are filled in when it is recorded."""

    def recorded(self, completion: Op) -> None:
        """The completion now has its index: from here on a basis can name it."""


class Interpreter:
    """One run of one generator. `stop` ends it early: what is in progress is awaited."""

    def __init__(
        self,
        recorder: Recorder,
        workers: Mapping[Thread, Worker],
        processes: dict[Thread, int | str],
        stop: asyncio.Event,
    ) -> None:
        """`processes` says which process each thread plays; it is kept up to date, so that
        a later run goes on with the processes that this one left."""
        self._recorder = recorder
        self._workers = workers
        self._processes = processes
        self._stop = stop
        self._running: dict[Thread, asyncio.Task[Op]] = {}
        self._invoked: dict[Thread, Op] = {}
        self._concurrency = sum(1 for thread in workers if isinstance(thread, int))

    async def run(self, generator: Generator) -> None:
        """Until the generator is exhausted or stopped, and everything invoked has ended."""
        current: Generator | None = generator
        self._stopped = asyncio.create_task(self._stop.wait())
        try:
            while current is not None and not self._stop.is_set():
                current = await self._step(current)
            await self._drain()
        finally:
            self._stopped.cancel()
            await self._abandon()

    async def _step(self, generator: Generator) -> Generator | None:
        """Ask once; then begin what was asked for, or wait for what may change the answer."""
        context = self._context()
        asked = generator.op(context)
        if asked is None:
            return None
        wanted, successor = asked
        if isinstance(wanted, Pending):
            return await self._wait(generator, POLL)
        if wanted.time > context.time:
            return await self._wait(generator, (wanted.time - context.time) / 1e9)
        event = self._begin(wanted, context)
        return None if successor is None else successor.update(self._context(), event)

    def _context(self) -> Context:
        free = tuple(thread for thread in self._workers if thread not in self._running)
        return Context(self._recorder.now(), free, dict(self._processes))

    def _begin(self, op: Op, context: Context) -> Op:
        if op.process == -1:
            op = msgspec.structs.replace(op, process=context.workers[context.free[0]])
        thread = next(t for t in context.free if self._processes[t] == op.process)
        event = self._invoked[thread] = self._recorder.record(op)
        self._running[thread] = asyncio.create_task(self._workers[thread].invoke(event))
        return event

    async def _wait(self, generator: Generator, seconds: float) -> Generator | None:
        """Let time pass until an operation completes or the test is stopped, at most so long."""
        done, _ = await asyncio.wait(
            {self._stopped, *self._running.values()},
            timeout=seconds,
            return_when=asyncio.FIRST_COMPLETED,
        )
        current: Generator | None = generator
        for thread in [t for t, task in self._running.items() if task in done]:
            event = self._complete(thread)
            current = current.update(self._context(), event) if current else None
        return current

    def _complete(self, thread: Thread) -> Op:
        task, invoked = self._running.pop(thread), self._invoked.pop(thread)
        event = self._recorder.record(_outcome(task, invoked))
        self._workers[thread].recorded(event)
        if event.type == "info" and isinstance(thread, int):
            self._processes[thread] = int(self._processes[thread]) + self._concurrency
        return event

    async def _drain(self) -> None:
        deadline = asyncio.get_running_loop().time() + DRAIN
        while self._running and (left := deadline - asyncio.get_running_loop().time()) > 0:
            await asyncio.wait(
                self._running.values(), timeout=left, return_when=asyncio.FIRST_COMPLETED
            )
            for thread in [t for t, task in self._running.items() if task.done()]:
                self._complete(thread)

    async def _abandon(self) -> None:
        """What has not ended by now is recorded as unknown."""
        for task in self._running.values():
            task.cancel()
        if self._running:
            await asyncio.wait(self._running.values())
        for thread in list(self._running):
            self._complete(thread)


def _outcome(task: asyncio.Task[Op], invoked: Op) -> Op:
    """What a worker's task came to. A worker that breaks leaves an operation of which
    nobody knows what became."""
    if task.cancelled():
        return _unknown(invoked, "timeout", "given up by the harness")
    if (failure := task.exception()) is not None:
        log.error("worker of process %s broke", invoked.process, exc_info=failure)
        return _unknown(invoked, "client-broke", f"{type(failure).__name__}: {failure}")
    return task.result()


def _unknown(invoked: Op, code: str, message: str) -> Op:
    return Op(
        type="info",
        process=invoked.process,
        f=invoked.f,
        key=invoked.key,
        id=invoked.id,
        error=OpError(code=code, definite=False, message=message),
    )
