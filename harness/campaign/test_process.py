"""The process of one test of a campaign: a fresh interpreter, or a fork of one that is warm.

A fork saves reading the harness and its checkers again, a second of CPU for each test. It is taken
where the process that forks is our own from its first line on: it has no threads but the one that
forks and those of its log. Within a program of others, such as a run of pytest, what was loaded
and started there is not ours to carry on, and each test is a fresh interpreter.

Either way a test has a session of its own, ends with the worker that started it, and prints into
a file.
"""

from __future__ import annotations

import importlib
import logging
import multiprocessing
import os
import signal
import subprocess
import sys
from multiprocessing.connection import Connection
from pathlib import Path
from typing import NoReturn, Protocol

from dynamesis.harness.processes.lifeline import PARENT
from dynamesis.harness.worlds.run import command_line, run

#: what every test on processes loads; with what judges it, most of the time to load goes there
_WARM = (
    "dynamesis.harness.worlds.run_test",
    "dynamesis.harness.worlds.observer",
    "dynamesis.harness.links.toxiproxy",
)
#: what a worker has handlers for, and a test has others for
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class RunningTest(Protocol):
    """A test that was started."""

    @property
    def pid(self) -> int: ...

    def send_signal(self, number: int) -> None:
        """Does nothing once it has ended."""

    def wait(self, timeout: float | None = None) -> int:
        """Its exit code, minus the number of the signal that ended it. Raises
        subprocess.TimeoutExpired."""


def fresh(file: Path, output: Path, pipe: Connection) -> RunningTest:
    """The test of `file` (worlds.run) in an interpreter of its own."""
    with output.open("wb") as printed:
        return subprocess.Popen(
            command_line(file),
            stdin=subprocess.DEVNULL,
            stdout=printed,
            stderr=printed,
            env=os.environ | {PARENT: str(os.getpid())},
            start_new_session=True,
        )


def warm_up() -> None:
    """Load what tests load, for those that are forked from now on."""
    for module in _WARM:
        importlib.import_module(module)
    importlib.import_module("dynamesis.harness.worlds.processes").load_judging()


def forked(file: Path, output: Path, pipe: Connection) -> RunningTest:
    """The test of `file` in a fork of this process, which is warm. `pipe`: of this process, and
    not for the test to hold."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
    try:
        return _Forked(file, output, pipe)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


class _Forked:
    def __init__(self, file: Path, output: Path, pipe: Connection) -> None:
        self._process = multiprocessing.get_context("fork").Process(
            target=_live, args=(file, output, pipe, os.getpid()), name="MainProcess"
        )
        self._process.start()

    @property
    def pid(self) -> int:
        assert self._process.pid is not None
        return self._process.pid

    def send_signal(self, number: int) -> None:
        if self._process.is_alive():
            os.kill(self.pid, number)

    def wait(self, timeout: float | None = None) -> int:
        self._process.join(timeout)
        if self._process.exitcode is None:
            raise subprocess.TimeoutExpired(str(self.pid), timeout or 0.0)
        return self._process.exitcode


def _live(file: Path, output: Path, pipe: Connection, parent: int) -> NoReturn:
    """The test's life, as if it had begun with this line."""
    from dynamesis.harness.usage.outcome import outcome
    from dynamesis.harness.usage.process import process

    os.setsid()
    pipe.close()
    _own_streams(output)
    logging.getLogger().handlers = []
    for number in _SIGNALS:
        default = signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL
        signal.signal(number, default)
    os.environ[PARENT] = str(parent)
    process(lambda: outcome("dynamesis test", lambda: _unblocked(file)))
    raise AssertionError("a process ends by SystemExit")


def _unblocked(file: Path) -> int:
    """Run the test; a signal that came meanwhile comes here, where it ends a command in order."""
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)
    return run(file)


def _own_streams(output: Path) -> None:
    nothing = os.open(os.devnull, os.O_RDONLY)
    printed = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o666)
    for opened, number in ((nothing, 0), (printed, 1), (printed, 2)):
        os.dup2(opened, number)
    os.close(nothing)
    os.close(printed)
    sys.stdin = open(0, encoding="utf-8", closefd=False)  # noqa: SIM115
    sys.stdout = open(1, "w", encoding="utf-8", closefd=False)  # noqa: SIM115
    sys.stderr = open(  # noqa: SIM115
        2, "w", encoding="utf-8", errors="backslashreplace", buffering=1, closefd=False
    )
