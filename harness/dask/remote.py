"""What a Dask worker does: one test, as a process of its own, whose folder it sends back.

The process is a child of the worker's thread and ends with it (harness/processes/lifeline.py), and
so do its nodes and proxies, whose ports are reserved on that machine. When the task is cancelled,
or the campaign is gone and its scheduler releases it, the test ends in order, as by ctrl-C.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path

from dynamesis.harness.campaign.worker_pool import OUTPUT
from dynamesis.harness.dask.packed import pack
from dynamesis.harness.processes.lifeline import PARENT
from dynamesis.harness.results.documents import JsonObject
from dynamesis.harness.results.results import SCHEDULE
from dynamesis.harness.worlds.run import command_line, save
from dynamesis.harness.worlds.test_spec import TestSpec

#: seconds for a test that was interrupted, before it is killed
_GRACE = 60.0
#: seconds between two looks at the test and the task
_LOOK = 0.2
#: bytes that are kept of what a test printed
_PRINTED = 64 << 10


class WrongWorker(RuntimeError):
    """A worker whose verdicts would not be those of the campaign's version."""


@dataclass(frozen=True)
class RemoteTest:
    """A test to run elsewhere: all that is sent. `schedule`: the faults, as YAML, where the spec
    has a file of its own."""

    spec: JsonObject
    schedule: str | None
    patience: float
    limit: int
    version: str


@dataclass(frozen=True)
class RemoteResult:
    """What comes back. `code`: as in Ended; `packed`: the folder (packed.py)."""

    code: int | None
    seconds: float
    output: bytes
    packed: bytes
    where: str


def run_remote(test: RemoteTest) -> RemoteResult:
    """Runs a test on this worker, from boot to verdict. Raises WrongWorker where another version
    of dynamesis is installed, of which a campaign could not know what a verdict means."""
    if (here := version("dynamesis")) != test.version:
        raise WrongWorker(f"it has dynamesis {here}, the campaign {test.version}")
    scratch = Path(tempfile.mkdtemp(prefix="dynamesis-", dir=_local_directory()))
    try:
        store = scratch / "store"
        store.mkdir()
        spec = TestSpec.of(test.spec)
        if test.schedule is not None:
            file = scratch / SCHEDULE
            file.write_text(test.schedule, encoding="utf-8")
            spec = replace(spec, nemesis=None, schedule=file)
        began = time.monotonic()
        with (scratch / OUTPUT).open("wb") as output:
            code = _run(command_line(save(spec, store)), output.fileno(), test.patience)
        seconds = round(time.monotonic() - began, 1)
        printed = (scratch / OUTPUT).read_bytes()[-_PRINTED:]
        (store / "spec.json").unlink(missing_ok=True)
        where = f"{os.uname().nodename}, pid {os.getpid()}"
        return RemoteResult(code, seconds, printed, pack(store, test.limit), where)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _run(command: list[str], output: int, patience: float) -> int | None:
    """The exit code; None if it had to be killed."""
    process = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=output,
        env=os.environ | {PARENT: str(os.getpid())},
        start_new_session=True,
    )
    try:
        cancelled = _cancelled()
        deadline = time.monotonic() + patience
        while process.poll() is None and time.monotonic() < deadline and not cancelled():
            time.sleep(_LOOK)
        if process.poll() is not None:
            return process.returncode
        process.send_signal(signal.SIGINT)
        try:
            process.wait(_GRACE)
        except subprocess.TimeoutExpired:
            return None
        return process.returncode if cancelled() else None
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()


def _local_directory() -> str | None:
    """The worker's own folder, which Dask deletes after it, however it ended."""
    from distributed import get_worker

    try:
        directory = get_worker().local_directory
    except ValueError:  # not on a worker
        return None
    return directory if os.path.isdir(directory) else None


def _cancelled() -> Callable[[], bool]:
    """Whether the campaign still wants the result of the task that runs in this thread."""
    from distributed import get_worker

    try:
        worker = get_worker()
    except ValueError:
        return lambda: False
    key = worker.get_current_task()

    def cancelled() -> bool:
        task = worker.state.tasks.get(key)
        return task is None or task.state in ("cancelled", "released", "forgotten")

    return cancelled
