"""The workers of a campaign: forked processes, each of which runs one test after another.

A test is a process of its own, in a session of its own: what becomes of it harms neither
the worker nor the other tests, and a ctrl-C in the terminal reaches it only through the
campaign. Workers are never killed, so their logs can be joined (harness/results/logs.py); should
the campaign itself be killed, the watchdog ends workers and tests, and each test's own
watchdog its nodes.
"""

from __future__ import annotations

import logging
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path

from dynamesis.harness.processes.lifeline import PARENT, end_with
from dynamesis.harness.processes.process_guard import ProcessGuard
from dynamesis.harness.targets.system import EnvironmentFailed

log = logging.getLogger(__name__)

_ROOT = Path(__file__).resolve().parents[2]
#: seconds for a test that was told to stop, before it is killed
_GRACE = 60.0


@dataclass(frozen=True)
class Task:
    """A test to run. `patience`: s after which it counts as stuck."""

    number: int
    arguments: tuple[str, ...]
    output: Path
    patience: float


@dataclass(frozen=True)
class Ended:
    """How a test ended: its exit code (minus a signal's number), None if it had to be killed
    or could not be run; and its length in s."""

    number: int
    code: int | None
    seconds: float


@dataclass
class _Worker:
    process: BaseProcess
    pipe: Connection
    task: Task | None = None
    child: int | None = None


class WorkerPool:
    """Hands tests to workers, and hears of their end. Make it with `hired`."""

    def __init__(self, workers: list[_Worker], reaper: ProcessGuard) -> None:
        self._workers = workers
        self._reaper = reaper

    @property
    def running(self) -> list[Task]:
        """The tests that run now."""
        return [worker.task for worker in self._workers if worker.task is not None]

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
        heard = (by_pipe[pipe] for pipe in wait(list(by_pipe), timeout) if pipe in by_pipe)
        return [end for worker in heard if (end := self._hear(worker)) is not None]

    def stop(self) -> None:
        """Tell every test to end in order; told again, at once."""
        for worker in self._workers:
            if worker.task is not None and worker.process.pid is not None:
                os.kill(worker.process.pid, signal.SIGTERM)

    def _hear(self, worker: _Worker) -> Ended | None:
        try:
            said = worker.pipe.recv()
        except (EOFError, OSError):
            self._workers.remove(worker)
            log.error("%s is gone", worker.process.name)
            return Ended(worker.task.number, None, 0.0) if worker.task else None
        if isinstance(said, int):
            worker.child = said
            self._reaper.add(said)
            return None
        if worker.child is not None:
            self._reaper.drop(worker.child)
        worker.task = worker.child = None
        return said if isinstance(said, Ended) else None


@contextmanager
def worker_pool(jobs: int) -> Iterator[WorkerPool]:
    """A crew of so many workers. They are forked before anything else begins, most of all
    before the watchdog, whose pipe they must not hold."""
    context = multiprocessing.get_context("fork")
    workers = []
    for number in range(jobs):
        ours, theirs = context.Pipe()
        process = context.Process(
            target=_work, args=(theirs, os.getpid()), name=f"job-{number + 1}"
        )
        process.start()
        theirs.close()
        workers.append(_Worker(process, ours))
    with ProcessGuard.start() as reaper:
        for worker in workers:
            if worker.process.pid is not None:
                reaper.add(worker.process.pid)
        crew = WorkerPool(list(workers), reaper)
        try:
            yield crew
        finally:
            crew.stop()
            for worker in workers:
                with suppress(OSError):
                    worker.pipe.send(None)
                worker.process.join()
                if worker.process.pid is not None:
                    reaper.drop(worker.process.pid)


class _TestProcess:
    """The one test that a worker runs at a time."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._told = False

    def interrupt(self) -> None:
        self._told = True
        if self._process is not None and self._process.returncode is None:
            self._process.send_signal(signal.SIGINT)

    def run(self, task: Task, pipe: Connection) -> Ended:
        path = os.pathsep.join(filter(None, [str(_ROOT), os.environ.get("PYTHONPATH")]))
        began = time.monotonic()
        with task.output.open("wb") as output:
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-m", "dynamesis.harness", *task.arguments],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env=os.environ | {"PYTHONPATH": path, PARENT: str(os.getpid())},
                start_new_session=True,
            )
        pipe.send(self._process.pid)
        if self._told:  # while it was being started
            self.interrupt()
        log.info("run %d, pid %d: %s", task.number, self._process.pid, " ".join(task.arguments))
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


def _work(pipe: Connection, parent: int) -> None:
    """A worker's life. SIGINT is the campaign's to understand; its SIGTERM means: tell the
    test to end."""
    test = _TestProcess()
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
