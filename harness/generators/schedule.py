"""The pure half of running a generator, shared by the simulator and the real runner.

A Schedule is a generator beside the threads that carry out its operations. Drive it so:

    schedule = start(source, concurrency)
    loop:
        step = schedule.ask(now)                     # now: ns since the test began
        None                -> exhausted: complete what is in flight, then done
        (Pending, after)    -> schedule = after; wait for a completion, or for
                               Pending.until where that is not None; ask again
        (op, after)         -> event = op with its index and the time, as recorded;
                               schedule = after.invoked(event);
                               if op.type == "invoke": let op.process carry it out,
                               otherwise (a remark, as of `log`) that was all
        on a completion     -> event = the completion with its index and time, as recorded;
                               schedule = schedule.completed(event)

`ask` may be repeated at will: it changes nothing. An operation it returns is due now.
A client process whose operation ended in info is retired: its thread continues under the
old number + concurrency, as in Jepsen, so that a process has one operation at a time.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
from dynamesis.checkers.history.op import Op
from dynamesis.harness.generators.base import Cast, Context, Generator, Pending, Thread
from dynamesis.harness.generators.sources import Source
from dynamesis.harness.generators.validate import diagnosed

NEMESIS = "nemesis"


class Workers(msgspec.Struct, frozen=True):
    """Which threads are free (longest free first), and the process that each plays."""

    concurrency: int
    free: tuple[Thread, ...]
    processes: Mapping[Thread, int | str]

    def __post_init__(self) -> None:
        if not isinstance(self.processes, Cast):
            msgspec.structs.force_setattr(self, "processes", Cast(self.processes))

    def context(self, time: int) -> Context:
        """What a generator may know at `time` ns."""
        return Context(time, self.free, self.processes)  # type: ignore[arg-type]  # a Cast

    def invoked(self, op: Op) -> Workers:
        """The thread of op.process is busy. Raises ValueError when it was so already."""
        thread, free = self.thread(op), self.free
        if thread not in free:
            raise ValueError(f"process {op.process!r} is busy: {op}")
        if free[0] == thread:  # as nearly always: the one that was free longest
            return Workers(self.concurrency, free[1:], self.processes)
        at = free.index(thread)
        free = (*free[:at], *free[at + 1 :])
        return Workers(self.concurrency, free, self.processes)

    def completed(self, op: Op) -> Workers:
        """The thread of op.process is free again. Raises ValueError when it was not busy."""
        thread = self.thread(op)
        if thread in self.free:
            raise ValueError(f"process {op.process!r} has nothing to complete: {op}")
        return Workers(self.concurrency, (*self.free, thread), self.processes)

    def retired(self, op: Op) -> Workers:
        """After the completion `op`: on info a client process gets its successor."""
        if op.type != "info" or not isinstance(op.process, int):
            return self
        successor = op.process + self.concurrency
        processes = {**self.processes, self.thread(op): successor}
        return Workers(self.concurrency, self.free, processes)

    @property
    def _cast(self) -> Cast:
        assert isinstance(self.processes, Cast)
        return self.processes

    def thread(self, op: Op) -> Thread:
        """The thread that plays op.process. Raises ValueError when none does."""
        thread = self._cast.thread(op.process)
        if thread is None:
            raise ValueError(f"no thread plays process {op.process!r}: {op}")
        return thread


def workers(concurrency: int, nemesis: bool = True) -> Workers:
    """Client threads 0 to concurrency - 1, and the nemesis; all free."""
    threads: tuple[Thread, ...] = (*range(concurrency), *([NEMESIS] if nemesis else []))
    return Workers(concurrency, threads, {thread: thread for thread in threads})


class Schedule(msgspec.Struct, frozen=True):
    """A generator (None: exhausted) and its workers. See the module for how to drive it."""

    generator: Generator | None
    workers: Workers

    @property
    def in_flight(self) -> int:
        """How many operations have begun and not completed."""
        return len(self.workers.processes) - len(self.workers.free)

    def ask(self, now: int) -> tuple[Op | Pending, Schedule] | None:
        """What to do at `now` ns. Raises GeneratorError where the generator is at fault."""
        step = None if self.generator is None else self.generator.op(self.workers.context(now))
        if step is None:
            return None
        op, after = step
        if isinstance(op, Op) and op.time > now:
            return Pending(op.time), self
        return op, Schedule(after, self.workers)

    def invoked(self, event: Op) -> Schedule:
        """After the operation that `ask` returned was recorded as `event`."""
        own = self.workers.invoked(event) if event.type == "invoke" else self.workers
        return Schedule(self._updated(own, event), own)

    def completed(self, event: Op) -> Schedule:
        """After a completion was recorded as `event`. The generator is updated while the
        process still belongs to its thread; a process is retired after that."""
        own = self.workers.completed(event)
        return Schedule(self._updated(own, event), own.retired(event))

    def _updated(self, own: Workers, event: Op) -> Generator | None:
        if self.generator is None:
            return None
        return self.generator.update(own.context(event.time), event)


def start(source: Source, concurrency: int, nemesis: bool = True) -> Schedule:
    """A schedule at its beginning, every step of its generator validated."""
    return Schedule(diagnosed(source), workers(concurrency, nemesis))
