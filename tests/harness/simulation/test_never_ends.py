"""Commands on a node that loops for ever: one ctrl-C ends each, and without it a deadline does."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from dynamesis.checkers.verdict import Verdict
from dynamesis.harness.cli.app import run
from dynamesis.harness.hunt.simulated import simulated_world
from dynamesis.harness.hunt.trials import UNKNOWN as HUNTED_UNKNOWN
from dynamesis.harness.hunt.trials import Trial
from dynamesis.harness.processes import standstill
from dynamesis.harness.simulation.play import play
from dynamesis.harness.simulation.schedules.draw import SwarmScope, draw
from dynamesis.harness.usage.exits import UNKNOWN
from dynamesis.harness.worlds.test_spec import TestSpec

#: a bug that leaves a file once it has begun to loop; in its node, or in a task of its own
BUG = """
import asyncio
from pathlib import Path
from dynamesis.cluster.core.node.node import Node

async def for_ever():
    Path({file!r}).touch()
    while True:
        await asyncio.sleep(0)

class Spin(Node):
    def handle(self, *given):
        Path({file!r}).touch()
        while True:
            pass

class Zero(Node):
    task = None
    def handle(self, *given):
        if Zero.task is None:
            Zero.task = asyncio.get_running_loop().create_task(for_ever())
        return super().handle(*given)
"""
#: s in which a process must have begun to loop, and must then have ended: a deadline, not a figure
PATIENCE = 120.0
NAMES = ("Spin", "Zero")


@pytest.fixture
def bug(tmp_path: Path) -> str:
    file = tmp_path / "hang.py"
    file.write_text(BUG.format(file=str(tmp_path / "loops")), encoding="utf-8")
    return str(file)


@contextmanager
def looping(
    tmp_path: Path, *arguments: str, module: str = "dynamesis.harness"
) -> Iterator[subprocess.Popen[str]]:
    """A command, once its node loops."""
    store = "--dynamesis-store" if module == "pytest" else "--store"
    command = [sys.executable, "-um", module, *arguments, store, str(tmp_path)]
    running = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, encoding="utf-8", cwd=tmp_path
    )
    try:
        until = time.monotonic() + PATIENCE
        while not (tmp_path / "loops").exists():
            assert running.poll() is None, running.communicate()[0]
            assert time.monotonic() < until
            time.sleep(0.05)
        yield running
    finally:
        running.kill()
        running.wait()


def ended_by_one_press(running: subprocess.Popen[str]) -> str:
    """What it printed, all of it, with the exit code of an unknown verdict."""
    running.send_signal(signal.SIGINT)
    printed, _ = running.communicate(timeout=PATIENCE)
    assert running.returncode == UNKNOWN, printed
    assert "Traceback" not in printed
    assert "Task was destroyed" not in printed
    assert "never awaited" not in printed
    return printed


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("jobs", ["1", "2"])
def test_an_interrupt_ends_a_swarm_and_names_what_hangs(
    tmp_path: Path, bug: str, name: str, jobs: str
) -> None:
    asked = ("--seed", "1", "--jobs", jobs, "--plain", "--bug", f"{bug}:{name}")
    with looping(tmp_path, "simulate", *asked) as running:
        printed = ended_by_one_press(running)
    assert "unfinished: seed 1 (sim-" in printed
    assert "unknown: it was stopped before all had been played" in printed
    if (name, jobs) == ("Spin", "1"):  # a task that yields may be met between two of its turns
        assert "hang.py, line" in printed


@pytest.mark.parametrize(
    "command",
    [
        ("zoo", "--simulate", "--jobs", "1", "--plain", "--only"),
        ("simulate", "--replay", "word-p0k1m1g1", "--plain", "--bug"),
        ("test", "--world", "simulated", "--workload", "register", "--plain", "--bug"),
    ],
    ids=["zoo", "replay", "test"],
)
def test_an_interrupt_ends_other_commands(
    tmp_path: Path, bug: str, command: tuple[str, ...]
) -> None:
    with looping(tmp_path, *command, f"{bug}:Spin") as running:
        ended_by_one_press(running)


@pytest.mark.parametrize("coroutine", [False, True])
def test_an_interrupt_ends_pytest(tmp_path: Path, bug: str, coroutine: bool) -> None:
    """As it does where nothing hangs: the next test does not begin."""
    call = f'dynamesis("register", world="simulated", seed=1, bug=["{bug}:Spin"])'
    work = f"async def work():\n        {call}\n    asyncio.run(work())" if coroutine else call
    file = tmp_path / "test_loops.py"
    tests = (f"def test_{each}(dynamesis):\n    {work}\n" for each in ("one", "two"))
    file.write_text("import asyncio\n" + "\n".join(tests), encoding="utf-8")
    quiet = ("-q", "-p", "no:cacheprovider", "-c", os.devnull)
    with looping(tmp_path, *quiet, str(file), module="pytest") as running:
        running.send_signal(signal.SIGINT)
        printed, _ = running.communicate(timeout=PATIENCE)
    assert running.returncode == pytest.ExitCode.INTERRUPTED, printed
    assert "failed" not in printed.splitlines()[-1]


@pytest.mark.parametrize("name", NAMES)
def test_a_schedule_that_never_ends_is_unknown(
    bug: str, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(standstill, "LIMIT", 0.5)
    played = play(draw(1, SwarmScope(bug=(f"{bug}:{name}",))))
    assert played.verdict is Verdict.UNKNOWN
    [reason] = played.reasons
    assert reason.startswith("the simulation does not end: at ")
    if name == "Spin":
        assert "(hang.py, line " in reason


def test_a_test_that_never_ends_is_judged_by_what_it_has(
    tmp_path: Path, bug: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(standstill, "LIMIT", 0.5)
    asked = ["test", "--world", "simulated", "--workload", "register", "--bug", f"{bug}:Spin"]
    assert run([*asked, "--store", str(tmp_path), "--plain"]) == UNKNOWN
    [line] = capsys.readouterr().err.splitlines()
    assert line.startswith("dynamesis test: the simulation does not end: at ")


def test_a_hunt_that_is_stopped_waits_for_no_trial_that_never_ends(
    tmp_path: Path, bug: str
) -> None:
    spec = TestSpec(workload="register", world="simulated", bug=(f"{bug}:Spin",), seed=1)
    with simulated_world(1) as world:
        world.begin(1, Trial(spec))
        until = time.monotonic() + PATIENCE
        while not (tmp_path / "loops").exists():
            assert time.monotonic() < until
            time.sleep(0.05)
        world.stop()
        [outcome] = world.ended(PATIENCE)
    assert outcome.verdict == HUNTED_UNKNOWN
    assert "does not end" in outcome.output[0]


def test_a_signal_of_a_loop_guard_is_none_of_an_idle_worker() -> None:
    """What ends a standstill does nothing where none is."""
    with simulated_world(1) as world:
        world.stop()
        spec = TestSpec(workload="register", world="simulated", seed=1, time_limit=1.0)
        world.begin(1, Trial(spec))
        [outcome] = world.ended(PATIENCE)
    assert outcome.verdict != "error", outcome.output
