"""Plays the schedules of a range of seeds, in several processes.

Outcomes come in the order of the seeds, whatever the number of processes: what is found does
not depend on it.
"""

from __future__ import annotations

import gc
import multiprocessing
import os
import signal
import time
import traceback
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any, Generic, TypeVar

from dynamesis.checkers.history.gc_pause import gc_frozen
from dynamesis.harness.processes.lifeline import end_with
from dynamesis.harness.simulation.play import Played, play
from dynamesis.harness.simulation.schedules.draw import SwarmScope, draw
from dynamesis.harness.simulation.schedules.strategies import SWARM, Strategy
from dynamesis.harness.targets.system import EnvironmentFailed, blamed
from dynamesis.harness.usage.exits import UsageError

A = TypeVar("A")
B = TypeVar("B")

#: Tasks that a process is given ahead, so that it never waits for the next.
_AHEAD = 2
#: When the garbage collector looks: a schedule leaves 100,000 to 200,000 objects that it must find.
_COLLECT = (400_000, 5, 10)


@dataclass(frozen=True)
class SeedOutcome:
    """What became of the schedule of a seed, and how long that took, s of the process."""

    seed: int
    played: Played
    seconds: float


def play_seed(seed: int, wanted: SwarmScope, strategy: Strategy = SWARM) -> SeedOutcome:
    """Draws, runs and judges. Raises UsageError where what is wanted cannot be."""
    began = time.process_time()
    played = play(draw(seed, wanted, strategy))
    return SeedOutcome(seed, played, time.process_time() - began)


@contextmanager
def seldom_collected() -> Iterator[None]:
    """Have the garbage collector look once in a few schedules, and only at what they made: most
    of what a schedule leaves is freed without it, and looking costs what there is to look at."""
    before = gc.get_threshold()
    with gc_frozen(stays=False):
        gc.set_threshold(*_COLLECT)
        try:
            yield
        finally:
            gc.set_threshold(*before)


class Unfinished(KeyboardInterrupt):
    """A user ended what is spread. `tasks`: those that were under way, each with how many s it had
    taken; the text has where one was, as far as that is known."""

    def __init__(self, tasks: Sequence[tuple[Any, float]], where: str = "") -> None:
        super().__init__(where)
        self.tasks = tuple(tasks)


@dataclass
class _Worker(Generic[A]):
    """`tasks`: what it was given and has not ended, the first of which is under way `since`."""

    process: BaseProcess
    pipe: Connection
    tasks: deque[A] = field(default_factory=deque)
    since: float = 0.0

    def give(self, number: int, task: A) -> None:
        self.pipe.send((number, task))
        self.since = self.since if self.tasks else time.monotonic()
        self.tasks.append(task)

    def end(self) -> tuple[int, Any]:
        """The number and the result of the task that has ended. Raises what it raised."""
        number, result = _received(self.pipe)
        self.tasks.popleft()
        self.since = time.monotonic()
        return number, result


def spread(
    work: Callable[[A], B],
    tasks: Iterator[A],
    jobs: int,
    go_on: Callable[[], bool],
    gaps: bool = False,
) -> Iterator[B]:
    """The result of each task, in the order of the tasks. No further task begins once `go_on` is
    false. Raises what `work` raises, EnvironmentFailed for a process that is gone, and Unfinished
    where a user ended it; `gaps`: once it has given what other processes have made of later tasks
    meanwhile, which may be many where one takes long."""
    if jobs > 1:
        yield from _spread(work, tasks, jobs, go_on, gaps)
        return
    with seldom_collected():
        for task in tasks:
            if not go_on():
                return
            began = time.monotonic()
            try:
                result = work(task)
            except KeyboardInterrupt as stopped:
                raise Unfinished([(task, time.monotonic() - began)], str(stopped)) from None
            except BaseException as failure:
                if (own := _by_user(failure)) is None:
                    raise
                raise own from failure
            yield result


def _spread(
    work: Callable[[A], B], tasks: Iterator[A], jobs: int, go_on: Callable[[], bool], gaps: bool
) -> Iterator[B]:
    workers = [_start(work) for _ in range(jobs)]
    by_pipe = {worker.pipe: worker for worker in workers}
    given = shown = 0
    ready: dict[int, B] = {}
    more = True
    try:
        while True:
            for worker in workers:
                while more and len(worker.tasks) < _AHEAD:
                    more = go_on()
                    if more and (task := next(tasks, None)) is not None:
                        worker.give(given, task)
                        given += 1
                    else:
                        more = False
            if shown == given:
                return
            for pipe in wait(list(by_pipe), 1.0):
                assert isinstance(pipe, Connection)
                number, result = by_pipe[pipe].end()
                ready[number] = result
            while shown in ready:
                yield ready.pop(shown)
                shown += 1
    except (KeyboardInterrupt, EnvironmentFailed) as ended:
        now = time.monotonic()
        left = [(each.tasks[0], now - each.since) for each in workers if each.tasks]
        if gaps:
            yield from [ready[number] for number in sorted(ready)]
        raise (Unfinished(left) if isinstance(ended, KeyboardInterrupt) else ended) from None
    finally:
        for worker in workers:
            with suppress(OSError):
                worker.pipe.close()
            worker.process.terminate()
        for worker in workers:
            worker.process.join()


def _received(pipe: Connection) -> tuple[int, Any]:
    try:
        number, result, failure = pipe.recv()
    except (EOFError, OSError):
        raise EnvironmentFailed("a process that plays schedules is gone; see the log") from None
    if failure is not None:
        raise failure
    return number, result


def _start(work: Callable[[A], B]) -> _Worker[A]:
    context = multiprocessing.get_context("fork")
    ours, theirs = context.Pipe()
    process = context.Process(target=_serve, args=(work, theirs, os.getpid()))
    process.start()
    theirs.close()
    return _Worker(process, ours)


def _serve(work: Callable[[A], B], pipe: Connection, parent: int) -> None:
    """A worker's life. A ctrl-C in the terminal is for the parent."""
    end_with(parent)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    with seldom_collected(), suppress(EOFError, OSError):
        while True:
            number, task = pipe.recv()
            try:
                pipe.send((number, work(task), None))
            except BaseException as failure:
                pipe.send((number, None, _by_user(failure) or _portable(failure)))


def _by_user(failure: BaseException) -> UsageError | None:
    """What code of a user's own raised: here, where its place is known."""
    if isinstance(failure, UsageError | EnvironmentFailed):
        return None
    return None if (own := blamed(failure)) is None else UsageError(own)


def _portable(failure: BaseException) -> BaseException:
    """As another process can have it: with its place in words, and as another kind where it cannot
    be made anew there."""
    if isinstance(failure, UsageError | EnvironmentFailed):
        return failure
    text = "".join(traceback.format_exception(failure))
    return RuntimeError(f"{failure!r} in a process that plays schedules:\n{text}")
