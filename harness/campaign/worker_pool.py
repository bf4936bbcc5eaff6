"""The workers of a campaign: forked processes, each of which runs one test after another.

A test is a process of its own (test_process.py), in a session of its own: what becomes of it
harms neither the worker nor the other tests, and a ctrl-C in the terminal reaches it only through
the campaign. Workers are never killed, so their logs can be joined (harness/results/logs.py);
should the campaign itself be killed, the watchdog ends workers and tests, and each test's own
watchdog its nodes.
"""

from __future__ import annotations

import logging
import multiprocessing
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Protocol

from dynamesis.harness.campaign.test_process import RunningTest, forked, fresh, warm_up
from dynamesis.harness.processes.lifeline import end_with
from dynamesis.harness.processes.process_guard import ProcessGuard
from dynamesis.harness.targets.system import EnvironmentFailed
from dynamesis.harness.worlds.run import save
from dynamesis.harness.worlds.test_spec import TestSpec

log = logging.getLogger(__name__)

#: starts the test of a file of worlds.run, which prints into another; the worker's pipe
Start = Callable[[Path, Path, Connection], RunningTest]

OUTPUT = "output.txt"
#: seconds for a test that was interrupted, before it is killed
_GRACE = 60.0


@dataclass(frozen=True)
class Task:
    """A test to run. `store` is an existing folder for its results and output; `patience`:
    s after which it counts as stuck."""

    number: int
    spec: TestSpec
    store: Path
    patience: float
    #: a second place for the JUnit XML
    junit: Path | None = None

    @property
    def output(self) -> Path:
        """The file with everything that the test prints."""
        return self.store / OUTPUT


@dataclass(frozen=True)
class Ended:
    """How a test ended: its exit code (minus a signal's number), None if it had to be killed
    or could not be run; and its length in s."""

    number: int
    code: int | None
    seconds: float


class Pool(Protocol):
    """Runs tests, some concurrently: WorkerPool on this machine, DaskPool on others."""

    @property
    def running(self) -> list[Task]: ...

    @property
    def size(self) -> int: ...

    @property
    def free(self) -> bool: ...

    def give(self, task: Task) -> None: ...

    def ended(self, timeout: float) -> list[Ended]: ...

    def stop(self) -> None: ...


@dataclass
class _Worker:
    process: BaseProcess
    pipe: Connection
    task: Task | None = None
    child: int | None = None


class WorkerPool:
    """Gives tests to workers, and collects how they ended. Make it with `worker_pool`."""

    def __init__(self, workers: list[_Worker], guard: ProcessGuard) -> None:
        self._workers = workers
        self._guard = guard

    @property
    def running(self) -> list[Task]:
        """The tests that run now."""
        return [worker.task for worker in self._workers if worker.task is not None]

    @property
    def size(self) -> int:
        """How many tests run concurrently."""
        return len(self._workers)

    @property
    def free(self) -> bool:
        """Whether a worker has nothing to do. Raises EnvironmentFailed if none is left."""
        if not self._workers:
            raise EnvironmentFailed("no worker is left; see campaign.log")
        return any(worker.task is None for worker in self._workers)

    def give(self, task: Task) -> None:
        """Have a free worker run a test."""
        worker = next(worker for worker in self._workers if worker.task is None)
        worker.task = task
        worker.pipe.send(task)

    def ended(self, timeout: float) -> list[Ended]:
        """The tests that have ended, of which there may be none after `timeout` s."""
        by_pipe = {worker.pipe: worker for worker in self._workers}
        readable = (by_pipe[pipe] for pipe in wait(list(by_pipe), timeout) if pipe in by_pipe)
        return [end for worker in readable if (end := self._receive(worker)) is not None]

    def stop(self) -> None:
        """Have every test end in order; a second time, immediately."""
        for worker in self._workers:
            if worker.task is not None and worker.process.pid is not None:
                os.kill(worker.process.pid, signal.SIGTERM)

    def _receive(self, worker: _Worker) -> Ended | None:
        try:
            message = worker.pipe.recv()
        except (EOFError, OSError):
            self._workers.remove(worker)
            log.error("%s is gone", worker.process.name)
            return Ended(worker.task.number, None, 0.0) if worker.task else None
        if isinstance(message, int):
            worker.child = message
            self._guard.add(message)
            return None
        if worker.child is not None:
            self._guard.drop(worker.child)
        worker.task = worker.child = None
        return message if isinstance(message, Ended) else None


@contextmanager
def worker_pool(jobs: int, warm: bool = True) -> Iterator[WorkerPool]:
    """A pool of `jobs` workers. They are forked before anything else begins, most of all before
    the watchdog, whose pipe they must not hold. `warm`: tests are forked from them, and not
    started as fresh interpreters; for a process that is all our own."""
    context = multiprocessing.get_context("fork")
    workers = []
    if warm:
        warm_up()
    start = forked if warm else fresh
    for number in range(jobs):
        ours, theirs = context.Pipe()
        process = context.Process(
            target=_work, args=(theirs, os.getpid(), start), name=f"job-{number + 1}"
        )
        process.start()
        theirs.close()
        workers.append(_Worker(process, ours))
    with ProcessGuard.start() as guard:
        for worker in workers:
            if worker.process.pid is not None:
                guard.add(worker.process.pid)
        pool = WorkerPool(list(workers), guard)
        try:
            yield pool
        finally:
            pool.stop()
            for worker in workers:
                with suppress(OSError):
                    worker.pipe.send(None)
                worker.process.join()
                if worker.process.pid is not None:
                    guard.drop(worker.process.pid)


class _Running:
    """The one test that a worker runs at a time."""

    def __init__(self, start: Start) -> None:
        self._start = start
        self._process: RunningTest | None = None
        self._interrupted = False

    def interrupt(self) -> None:
        self._interrupted = True
        if self._process is not None:
            self._process.send_signal(signal.SIGINT)

    def run(self, task: Task, pipe: Connection) -> Ended:
        file = save(task.spec, task.store, task.junit)
        began = time.monotonic()
        self._process = self._start(file, task.output, pipe)
        pipe.send(self._process.pid)
        if self._interrupted:  # while it was being started
            self.interrupt()
        log.info(
            "run %d, pid %d: %s", task.number, self._process.pid, " ".join(task.spec.arguments())
        )
        code = self._end(task.patience)
        seconds = time.monotonic() - began
        log.info("run %d ended with %s after %.1f s", task.number, code, seconds)
        return Ended(task.number, code, round(seconds, 1))

    def _end(self, patience: float) -> int | None:
        assert self._process is not None
        for deadline, then in ((patience, signal.SIGINT), (_GRACE, signal.SIGKILL)):
            try:
                code = self._process.wait(deadline)
                return code if then == signal.SIGINT else None
            except subprocess.TimeoutExpired:
                log.warning("pid %d does not end: %s", self._process.pid, then.name)
                self._process.send_signal(then)
        self._process.wait()
        return None


def _work(pipe: Connection, parent: int, start: Start) -> None:
    """A worker's life. SIGINT is handled by the campaign, which sends SIGTERM to have
    the test end."""
    test = _Running(start)
    end_with(parent)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    signal.signal(signal.SIGINT, lambda *_: None)
    signal.signal(signal.SIGTERM, lambda *_: test.interrupt())
    while (task := pipe.recv()) is not None:
        try:
            ended = test.run(task, pipe)
        except OSError:
            log.exception("run %d", task.number)
            ended = Ended(task.number, None, 0.0)
        pipe.send(ended)
