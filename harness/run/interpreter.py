"""Carries out what a schedule asks for: the impure half of running a generator.

The schedule (harness.generators.schedule) is pure and knows no time but what it is given;
the workers act on the world and know nothing of each other. Between them is this loop,
after Jepsen's interpreter.clj: at most one operation a thread, each event recorded before
anything acts on it.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from operator import itemgetter
from typing import Protocol

import msgspec
from dynamesis.checkers.history.op import Op, OpError
from dynamesis.harness.generators.base import Pending, Thread
from dynamesis.harness.generators.schedule import NEMESIS, Schedule
from dynamesis.harness.processes.patience import Patience
from dynamesis.harness.run.recorder import Recorder

log = logging.getLogger(__name__)

#: How long operations in progress may take once the generator is done, s of a machine that is
#: not busy. Clients have time-outs of their own: this is reached only when a worker is broken.
DRAIN = 15.0
#: s between two looks whether they have
_LOOK = 0.5


class Worker(Protocol):
    """Performs the operations of one thread, one at a time."""

    async def invoke(self, op: Op) -> Op:
        """The completion of `op`; its index and time are filled in when it is recorded. A client
        that knows when the answer arrived gives that as its time, ns of the test's clock."""

    def recorded(self, completion: Op) -> None:
        """The completion now has its index: from here on a basis can name it."""

    async def close(self) -> None:
        """No operation follows."""


class Interpreter:
    """One run of one schedule. `stop` ends it early: what is in progress is awaited."""

    def __init__(
        self, recorder: Recorder, workers: Mapping[Thread, Worker], stop: asyncio.Event
    ) -> None:
        self._recorder = recorder
        self._workers = workers
        self._stop = stop
        self._running: dict[asyncio.Task[Op], tuple[Thread, Op]] = {}
        #: the operations that have ended and are not recorded yet
        self._ended: set[asyncio.Task[Op]] = set()
        self._waker: asyncio.Future[None] | None = None

    async def run(self, schedule: Schedule) -> Schedule:
        """Until the schedule is exhausted or stopped and everything invoked has ended. What
        it returns knows which process each thread plays now."""
        stopped = asyncio.create_task(self._stop.wait())
        stopped.add_done_callback(self._wake)
        try:
            while not self._stop.is_set():
                step = schedule.ask(self._recorder.now())
                if step is None:
                    break
                wanted, schedule = step
                if isinstance(wanted, Pending):
                    done = await self._wait(wanted.until)
                    schedule = self._complete(schedule, done)
                else:
                    schedule = self._begin(schedule, wanted)
            return await self._drain(schedule)
        finally:
            stopped.cancel()
            for task in self._running:
                task.cancel()

    def _begin(self, schedule: Schedule, op: Op) -> Schedule:
        event = self._recorder.record(op)
        if event.type == "invoke":
            thread = schedule.workers.thread(event)
            asked = event if event.due is None else msgspec.structs.replace(event, due=None)
            task = asyncio.create_task(self._workers[thread].invoke(asked))
            task.add_done_callback(self._has_ended)
            self._running[task] = (thread, event)
        return schedule.invoked(event)

    async def _wait(self, until: int | None) -> set[asyncio.Task[Op]]:
        """The operations that ended first, if any did before `until` (ns) or the stop."""
        if until is None and not self._running:
            raise RuntimeError("the generator waits for an event, and nothing is in progress")
        if not self._ended:
            loop = asyncio.get_running_loop()
            self._waker, timer = loop.create_future(), None
            if until is not None:
                seconds = max(0, until - self._recorder.now()) / 1e9
                timer = loop.call_later(seconds, self._wake)
            try:
                await self._waker
            finally:
                self._waker = None
                if timer is not None:
                    timer.cancel()
        ended, self._ended = self._ended, set()
        return ended

    def _has_ended(self, task: asyncio.Task[Op]) -> None:
        self._ended.add(task)
        self._wake()

    def _wake(self, stopped: object = None) -> None:
        if self._waker is not None and not self._waker.done():
            self._waker.set_result(None)

    def _complete(self, schedule: Schedule, done: set[asyncio.Task[Op]]) -> Schedule:
        if not done:
            return schedule
        now = self._recorder.now()
        ended: list[tuple[int, Thread, Op, int | None]] = []
        for task in [task for task in self._running if task in done]:
            thread, invoked = self._running.pop(task)
            outcome = _outcome(task, invoked)
            at = self._arrived(invoked, outcome)
            ended.append((now if at is None else at, thread, outcome, at))
        for _, thread, outcome, at in sorted(ended, key=itemgetter(0)):
            event = self._recorder.record(outcome, at)
            self._workers[thread].recorded(event)
            schedule = schedule.completed(event)
        return schedule

    def _arrived(self, invoked: Op, outcome: Op) -> int | None:
        """When the answer to a client arrived, ns since the test began; None where the client does
        not know it, and left in the completion the time that it had found there."""
        known = isinstance(invoked.process, int) and outcome.time != invoked.time
        at = outcome.time - self._recorder.began
        return at if known and at >= invoked.time else None

    async def _drain(self, schedule: Schedule) -> Schedule:
        patience, given_up = Patience(DRAIN), False
        while self._running:
            slice_ns = round(min(_LOOK, DRAIN) * 1e9)
            done = await self._wait(None if given_up else self._recorder.now() + slice_ns)
            if not done and patience.over:
                for task in self._running:
                    task.cancel()
                given_up = True
            schedule = self._complete(schedule, done)
        return schedule


def _outcome(task: asyncio.Task[Op], invoked: Op) -> Op:
    """What a worker's task came to. A worker that breaks leaves an operation of which
    the outcome is unknown."""
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
        value=invoked.value if invoked.process == NEMESIS else None,
        error=OpError(code=code, definite=False, message=message),
    )
