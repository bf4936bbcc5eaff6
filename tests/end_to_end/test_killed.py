"""SIGKILL of the harness leaves nothing, in whatever phase, with the watchdog or without."""

from __future__ import annotations

import os
import random
import re
import signal
import time
from collections.abc import Callable
from contextlib import suppress

import pytest
from dynamesis.harness.processes.ports import is_free

from tests.end_to_end.conftest import Run, Start

pytestmark = pytest.mark.cluster

PHASES = ("load", "heal", "quiesce", "final", "stop")


def begin(start: Start, links: str, limit: str = "1s") -> Run:
    return start("test", "--workload", "register", "--nemesis", "pause.majority,cut", "--nodes",
                 "3", "--links", links, "--time-limit", limit, "--seed", "5",
                 "--drivers", "1")  # fmt: skip


def closely(condition: Callable[[], bool], run: Run) -> None:
    """Wait without ever looking away for long: phases are short."""
    deadline = time.monotonic() + 300
    while not condition() and run.process.poll() is None:
        assert time.monotonic() < deadline, run.printed()
        time.sleep(0.02)


def kill(run: Run, watchdog_first: bool) -> set[int]:
    """End the harness by SIGKILL; the ports that processes of it were given."""
    ports = {int(port) for each in run.processes() for port in re.findall(r"-port (\d+)", each)}
    if watchdog_first:
        with suppress(StopIteration, ProcessLookupError):
            os.kill(run.pid("watchdog.py"), signal.SIGKILL)
    run.process.send_signal(signal.SIGKILL)
    run.process.wait()
    return ports


def leaves_nothing(run: Run, ports: set[int]) -> None:
    run.until(lambda: not run.processes(), "the end of every process")
    run.until(lambda: all(map(is_free, ports)), "its ports to be free for others")


@pytest.mark.parametrize(
    ("moment", "watchdog_first"), [(0.25, False), (0.45, True), (0.75, False), (1.2, True)]
)
def test_while_it_boots(start: Start, moment: float, watchdog_first: bool) -> None:
    run = begin(start, "toxiproxy")
    time.sleep(moment)
    leaves_nothing(run, kill(run, watchdog_first))


@pytest.mark.parametrize("links", ["toxiproxy", "embedded"])
def test_as_soon_as_a_process_of_it_is_there(start: Start, links: str) -> None:
    run = begin(start, links)
    closely(lambda: len(run.processes()) > 4, run)
    leaves_nothing(run, kill(run, watchdog_first=True))


@pytest.mark.parametrize(
    ("phase", "watchdog_first"),
    [
        pytest.param(phase, first, marks=pytest.mark.nightly if first == number % 2 else ())
        for number, phase in enumerate(PHASES)
        for first in (False, True)
    ],
)
def test_in_every_later_phase(start: Start, phase: str, watchdog_first: bool) -> None:
    run = begin(start, "toxiproxy")
    closely(lambda: run.reached(phase), run)
    leaves_nothing(run, kill(run, watchdog_first))


@pytest.mark.parametrize("links", ["toxiproxy", "embedded"])
def test_while_nodes_are_stopped_and_the_watchdog_is_gone(start: Start, links: str) -> None:
    run = begin(start, links, "60s")
    run.until(lambda: any(state(pid) == "T" for pid in run._processes()), "a stopped node")
    leaves_nothing(run, kill(run, watchdog_first=True))


def test_a_campaign_takes_its_tests_with_it(start: Start, tmp_path) -> None:  # type: ignore[no-untyped-def]
    (tmp_path / "one.yaml").write_text(
        "name: one\ntime_limit: 60s\n"
        "matrix: {workload: [register], nemesis: [pause.majority], seed: [1],"
        " config: [{name: three, nodes: 3}]}\n"
    )
    run = start("campaign", "one.yaml")
    run.until(lambda: any("config.json" in each for each in run.processes()), "nodes")
    for each, command in run._processes().items():
        if "watchdog.py" in command:
            os.kill(each, signal.SIGKILL)
    leaves_nothing(run, kill(run, watchdog_first=False))


@pytest.mark.nightly
@pytest.mark.parametrize("seed", range(60))
def test_at_any_moment(start: Start, seed: int) -> None:
    rng = random.Random(seed)
    run = begin(start, rng.choice(["toxiproxy", "embedded"]))
    time.sleep(rng.uniform(0.0, 6.0))
    leaves_nothing(run, kill(run, rng.random() < 0.5))


def state(pid: int) -> str:
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as stat:
            return stat.read().rpartition(") ")[2][0]
    except OSError:
        return ""
