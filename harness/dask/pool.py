"""A pool of Dask workers that runs the tests of a campaign, with the interface of WorkerPool.

Each worker has one test at a time, pinned to it: a worker that is lost costs one test at most,
which is then given to another. Dask's own retries are not used: they would run two tests on one
worker, and give up a task whose workers were lost three times.
"""

from __future__ import annotations

import logging
import queue
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from importlib.metadata import version
from typing import Any

from dynamesis.checkers.history.counts import times
from dynamesis.harness.campaign.worker_pool import Ended, Task
from dynamesis.harness.dask.knock import no_scheduler, require_scheduler
from dynamesis.harness.dask.packed import LIMIT, BadPack, unpack
from dynamesis.harness.dask.remote import RemoteResult, RemoteTest, WrongWorker, run_remote
from dynamesis.harness.dask.workers import CheckedWorkers
from dynamesis.harness.results.results import point_latest
from dynamesis.harness.targets.system import EnvironmentFailed

log = logging.getLogger(__name__)

#: seconds: to reach the scheduler, to have its answer, to fetch a result, without any worker
_CONNECT, _ANSWER, _FETCH, _ALONE = 10.0, 30.0, 60.0, 60.0
#: seconds between two questions for the workers
_LOOK = 1.0
#: times that a test is given to another worker before it counts as an error
_MOST_LOST = 5
_EXTRA = "--dask: the package distributed is not installed; pip install 'dynamesis[dask]'"


@dataclass
class _Given:
    """A test that a worker has."""

    task: Task
    future: Any
    worker: str
    lost: int = 0


@dataclass
class DaskPool:
    """Gives tests to workers, and collects how they ended. Make it with `dask_pool`."""

    client: Any
    address: str
    _given: dict[int, _Given] = field(default_factory=dict)
    _done: queue.SimpleQueue[tuple[int, Any]] = field(default_factory=queue.SimpleQueue)
    _again: list[_Given] = field(default_factory=list)
    _workers: frozenset[str] = frozenset()
    _checked: CheckedWorkers = field(init=False)
    _asked: float = float("-inf")
    _alone_since: float | None = None
    _stopped: bool = False

    def __post_init__(self) -> None:
        self._checked = CheckedWorkers(self.client)

    @property
    def running(self) -> list[Task]:
        """The tests that run now, or wait for another worker."""
        return [each.task for each in (*self._given.values(), *self._again)]

    @property
    def size(self) -> int:
        """How many tests run concurrently: one a worker."""
        return max(1, len(self._checked.good))

    @property
    def free(self) -> bool:
        """Whether a worker has nothing to do. Raises EnvironmentFailed when the cluster is gone."""
        self._look()
        return not self._again and bool(self._idle())

    def give(self, task: Task) -> None:
        """Have a free worker run a test."""
        self._submit(task, self._idle()[0], 0)

    def ended(self, timeout: float) -> list[Ended]:
        """The tests that have ended, of which there may be none after `timeout` s."""
        if self._stopped:
            return self._all_cancelled()
        self._look()
        ended, wait = [], timeout
        with suppress(queue.Empty):
            while True:
                number, future = self._done.get(timeout=wait) if wait else self._done.get_nowait()
                wait = 0.0
                if (end := self._collect(number, future)) is not None:
                    ended.append(end)
        return ended

    def stop(self) -> None:
        """Have every test end in order, on its worker; what comes of it is not waited for."""
        self._stopped = True

    def _submit(self, task: Task, worker: str, lost: int) -> None:
        test = _remote(task)
        future = self.client.submit(
            run_remote,
            test,
            key=f"dynamesis-{task.number}-{lost}-{time.time_ns()}",
            pure=False,
            workers=[worker],
            allow_other_workers=False,
        )
        self._given[task.number] = _Given(task, future, worker, lost)
        future.add_done_callback(lambda done: self._done.put((task.number, done)))
        log.info("run %d is given to %s", task.number, worker)

    def _idle(self) -> list[str]:
        busy = {each.worker for each in self._given.values()}
        return sorted(self._checked.good - busy)

    def _look(self) -> None:
        """Updates the list of workers. The tests of a lost worker are given to others."""
        if time.monotonic() - self._asked >= _LOOK:
            self._asked = time.monotonic()
            self._workers = self._present()
            self._checked.update(self._workers)
            for number, each in list(self._given.items()):
                if each.worker not in self._workers and not each.future.done():
                    log.warning("%s is lost, and with it run %d", each.worker, number)
                    self._lose(self._given.pop(number))
            self._require_one()
        while self._again and (idle := self._idle()):
            each = self._again.pop(0)
            self._submit(each.task, idle[0], each.lost)

    def _lose(self, each: _Given) -> None:
        with suppress(Exception):  # nothing of it is wanted; the cluster may be gone
            self.client.cancel([each.future], force=True)
        each.lost += 1
        self._again.append(each)

    def _refuse(self, each: _Given, why: object) -> None:
        """Give a worker nothing any more. Its test goes to another one."""
        self._checked.refuse(each.worker, str(why))
        self._again.append(each)

    def _require_one(self) -> None:
        """Raises EnvironmentFailed when no worker can be given anything."""
        refused = self._checked.refused
        if self._workers and self._workers <= refused.keys():
            worker = min(self._workers)
            raise EnvironmentFailed(
                f"--dask: no worker at {self.address} can run a test: {worker}: "
                f"{refused[worker]}; install dynamesis {version('dynamesis')} there, start "
                "it again, and continue with --resume"
            )

    def _present(self) -> frozenset[str]:
        try:
            found = frozenset(self.client.nthreads(callback_timeout=_ANSWER))
        except Exception as gone:  # Dask has an exception for each way of it
            why = f"no answer within {_ANSWER:g} s" if isinstance(gone, TimeoutError) else gone
            raise EnvironmentFailed(
                f"--dask: the scheduler at {self.address} is gone ({why or type(gone).__name__}); "
                "start it again, and continue with --resume"
            ) from gone
        if found:
            self._alone_since = None
        elif self._alone_since is None:
            self._alone_since = time.monotonic()
        elif time.monotonic() - self._alone_since > _ALONE:
            raise EnvironmentFailed(
                f"--dask: no worker is left at {self.address}; start some (dask worker "
                f"{self.address}), and continue with --resume"
            )
        return found

    def _collect(self, number: int, future: Any) -> Ended | None:
        """What has ended; None for what was given to another worker meanwhile, or will be."""
        each = self._given.get(number)
        if each is None or each.future is not future:
            return None
        del self._given[number]
        try:
            result: RemoteResult = future.result(timeout=_FETCH)
            return self._unpacked(each.task, result)
        except (WrongWorker, ImportError) as wrong:
            self._refuse(each, wrong)
            return None
        except Exception as failure:  # Dask's own, of a worker or a scheduler that is gone
            if future.status == "error" and not _is_loss(failure):
                return self._failed(each.task, failure)
            if isinstance(failure, BadPack | OSError) and not _is_loss(failure):
                return self._failed(each.task, failure)
            log.warning("run %d: %r", number, failure)
        if each.lost >= _MOST_LOST:
            return self._failed(each.task, f"its worker was lost {times(each.lost + 1)}")
        self._lose(each)
        return None

    def _unpacked(self, task: Task, result: RemoteResult) -> Ended:
        task.output.write_bytes(result.output)
        unpack(result.packed, task.store)
        for test in sorted(task.store.glob("*/*/test.json")):
            point_latest(task.store, test.parent)
        log.info(
            "run %d ended with %s after %.1f s on %s, %d bytes",
            task.number,
            result.code,
            result.seconds,
            result.where,
            len(result.packed),
        )
        return Ended(task.number, result.code, result.seconds)

    def _failed(self, task: Task, why: object) -> Ended:
        log.error("run %d: %s", task.number, why)
        task.output.write_text(f"{why}\n", encoding="utf-8")
        return Ended(task.number, None, 0.0)

    def _all_cancelled(self) -> list[Ended]:
        gone = [*self._given.values(), *self._again]
        with suppress(Exception):  # the scheduler may be gone: its workers are then, too
            self.client.cancel([each.future for each in gone], force=True)
        self._given.clear()
        self._again.clear()
        return [Ended(each.task.number, None, 0.0) for each in gone]


@contextmanager
def dask_pool(address: str) -> Iterator[DaskPool]:
    """The workers of the cluster whose scheduler is at `address`. Raises EnvironmentFailed."""
    try:
        from distributed import Client
    except ImportError as missing:
        raise EnvironmentFailed(_EXTRA) from missing
    _quieten()
    require_scheduler(address, _CONNECT)
    made: Callable[..., Any] = Client  # it has no types
    try:
        client = made(address, timeout=_CONNECT, set_as_default=False)
    except (OSError, ValueError, TypeError) as failure:
        raise no_scheduler(address) from failure
    try:
        pool = DaskPool(client, address)
        _wait_for_workers(pool)
        yield pool
        pool._all_cancelled()
    finally:
        with suppress(Exception):
            client.close(timeout=_CONNECT)


def _wait_for_workers(pool: DaskPool) -> None:
    deadline = time.monotonic() + _CONNECT
    while not pool._present():
        if time.monotonic() > deadline:
            raise EnvironmentFailed(
                f"--dask: the scheduler at {pool.address} has no workers; start some: "
                f"dask worker {pool.address} --nthreads 1"
            )
        time.sleep(0.1)


def _remote(task: Task) -> RemoteTest:
    schedule, spec = None, task.spec.to_dict()
    if task.spec.schedule is not None:
        schedule = task.spec.schedule.read_text(encoding="utf-8")
        spec |= {"schedule": None}
    return RemoteTest(spec, schedule, task.patience, LIMIT, version("dynamesis"))


def _is_loss(failure: Exception) -> bool:
    """Whether the worker was lost; its own exceptions come from `run_remote`."""
    from distributed import KilledWorker

    return isinstance(failure, KilledWorker | TimeoutError | ConnectionError)


def _quieten() -> None:
    """What Dask logs goes where the campaign's log goes, not to the terminal."""
    for name in ("distributed", "distributed.client", "tornado", "bokeh"):
        logger = logging.getLogger(name)
        logger.handlers.clear()
        logger.propagate = True
