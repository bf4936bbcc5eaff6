"""Runs the console script as a user would, and sees to it that nothing of it is left."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.command_line import command_line
from tests.enough import TIMES, TOO_LITTLE

#: the matrix of a campaign of which the one half is invalid and the other valid
PLANTED_AND_CLEAN = """
matrix:
  workload: register
  nemesis: none
  config:
  - {name: planted, links: direct, nodes: 3, bug: merged-clock-siblings}
  - {name: clean, links: direct, nodes: 3}
  seed: [1, 2]
"""
#: Every process that a run starts inherits it.
MARK = "DYNAMESIS_TEST_MARK"


class Command:
    """What a command line leaves behind: its output, and the folder of the test that it ran."""

    folder: Path

    def printed(self) -> str:
        raise NotImplementedError

    def results(self) -> Path:
        """The folder of the test that this run is or was."""
        (line,) = (line for line in self.printed().splitlines() if line.startswith("seed "))
        return self.folder / line.partition("results in ")[2]

    def history(self) -> list[dict[str, Any]]:
        """The whole lines of the history so far, those of drivers after those of the harness;
        none before it was begun."""
        found: list[dict[str, Any]] = []
        for file in sorted(self.results().glob("history*.jsonl"), key=lambda file: len(file.name)):
            with contextlib.suppress(FileNotFoundError):  # merged meanwhile
                *lines, _cut_off = file.read_text("utf-8").split("\n")
                found += map(json.loads, lines)
        return found


class Inside(Command):
    """One `dynamesis ...` in the test's own process, which it has ended when it is made: for what
    does not depend on the process around it, which takes a second to start."""

    def __init__(self, folder: Path, *arguments: str) -> None:
        self.folder = folder
        with contextlib.chdir(folder):
            self.done = command_line(*arguments, together=True)

    def wait(self) -> int:
        """The exit code."""
        return self.done.returncode

    def printed(self) -> str:
        return self.done.stdout


class Run(Command):
    """One `dynamesis ...` in a process and a folder of its own."""

    def __init__(self, folder: Path, *arguments: str, **environment: str) -> None:
        self.folder = folder
        self.mark = uuid.uuid4().hex
        self.output = folder / f"output-{self.mark}.txt"
        script = Path(sys.executable).with_name("dynamesis")
        with self.output.open("wb") as output:
            self.process = subprocess.Popen(
                [str(script), *arguments],
                cwd=folder,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env=os.environ | environment | {MARK: self.mark},
            )

    def wait(self) -> int:
        """The exit code, once it has ended."""
        return self.process.wait(timeout=500)

    def printed(self) -> str:
        return self.output.read_text("utf-8")

    def processes(self) -> list[str]:
        """The command lines of all processes that this run has started and that live."""
        return list(self._processes().values())

    def pid(self, word: str) -> int:
        """The process among them that has this in its command line; the first, if more."""
        return next(pid for pid, command in self._processes().items() if word in command)

    def _processes(self) -> dict[int, str]:
        wanted = f"{MARK}={self.mark}".encode()
        found: dict[int, str] = {}
        for pid in filter(str.isdigit, os.listdir("/proc")):
            try:
                if wanted in _content(f"/proc/{pid}/environ"):
                    command = _content(f"/proc/{pid}/cmdline").replace(b"\0", b" ").decode()
                    found[int(pid)] = command
            except OSError:
                continue
        return found

    def reached(self, phase: str) -> bool:
        """Whether this phase has begun: it is looked for in the bytes, so that it can be asked for
        again and again while the history grows."""
        mark = f'"phase","value":"{phase}"'.encode()
        with contextlib.suppress(OSError, ValueError):
            return any(mark in _content(file) for file in self.results().glob("history*.jsonl"))
        return False

    def until(self, condition: Callable[[], bool], what: str) -> None:
        """Wait for something that must come about."""
        deadline = time.monotonic() + 300
        while not condition():
            assert time.monotonic() < deadline, f"never came: {what}\n{self.printed()}"
            time.sleep(0.05)

    def until_loaded(self) -> None:
        """Wait until clients have got answers, and a fault is active."""

        def loaded() -> bool:
            if "seed " not in self.printed() or not (self.results() / "history.jsonl").exists():
                return False
            kinds = {(op["f"], op["type"]) for op in self.history()}
            return any(t == "ok" for _, t in kinds) and any(f[:5] == "start" for f, _ in kinds)

        self.until(loaded, "operations under a fault")

    def end(self) -> None:
        """The end of a test, however it went: the reaper takes the rest."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGKILL)
        self.process.wait()


def _content(file: str | Path) -> bytes:
    with open(file, "rb", buffering=0) as opened:
        return opened.read()


Start = Callable[..., Run]
Call = Callable[..., Inside]


def long_enough(begin: Start | Call, seconds: int, *arguments: str) -> Run | Inside:
    """A `dynamesis test` that has ended, with a load of so many seconds; a longer one where a
    busy machine left too little of it to judge."""
    for times in TIMES:
        run = begin("test", *arguments, "--time-limit", f"{times * seconds}s")
        if run.wait() != 3 or TOO_LITTLE not in run.printed():
            break
    return run


@pytest.fixture
def call(tmp_path: Path) -> Call:
    """call("check", "folder") runs a command line in this process, in the folder of the test."""
    return lambda *arguments: Inside(tmp_path, *arguments)


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """start("test", "--seed", "7") begins a run; afterwards no process of it may be left."""
    begun: list[Run] = []

    def begin(*arguments: str, **environment: str) -> Run:
        begun.append(Run(tmp_path, *arguments, **environment))
        return begun[-1]

    yield begin
    for run in begun:
        run.end()
        run.until(lambda run=run: not run.processes(), "the end of every process")  # type: ignore[misc]
