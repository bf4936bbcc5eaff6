"""A test is the same process whether it is a fresh interpreter or a fork of a warm one."""

from __future__ import annotations

import json
import logging
import multiprocessing
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from dynamesis.harness.campaign.test_process import RunningTest, forked, fresh
from dynamesis.harness.campaign.worker_pool import Start
from dynamesis.harness.worlds.run import SPEC


@pytest.fixture(params=[fresh, forked])
def start(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Callable[[], RunningTest]]:
    """Starts the test whose spec is in the folder."""
    make: Start = request.param
    ours, theirs = multiprocessing.Pipe()
    yield lambda: make(tmp_path / SPEC, tmp_path / "output", theirs)
    ours.close()
    theirs.close()


def test_what_it_prints_and_how_it_ends_are_its_own(
    start: Callable[[], RunningTest], tmp_path: Path
) -> None:
    content = {"spec": {"workload": "no-such"}, "store": str(tmp_path), "junit": None}
    (tmp_path / SPEC).write_text(json.dumps(content))
    root = logging.getLogger()
    root.addHandler(handler := logging.FileHandler(tmp_path / "ours.log"))
    try:
        assert start().wait(120) == 2
    finally:
        root.removeHandler(handler)
        handler.close()
    (line,) = (tmp_path / "output").read_text().splitlines()
    assert line.startswith("dynamesis test: ")
    assert "no-such" in line
    assert (tmp_path / "ours.log").read_text() == ""


def test_it_is_interrupted_waited_for_and_killed_by_its_number(
    start: Callable[[], RunningTest], tmp_path: Path
) -> None:
    os.mkfifo(tmp_path / SPEC)  # reading the spec waits for a writer
    test = start()
    with pytest.raises(subprocess.TimeoutExpired):
        test.wait(0.01)
    test.send_signal(signal.SIGKILL)
    assert test.wait(120) == -signal.SIGKILL
    test.send_signal(signal.SIGKILL)  # it is gone


def test_a_fork_has_a_session_of_its_own_and_the_signals_of_a_new_process(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / SPEC)
    ours, theirs = multiprocessing.Pipe()
    before = signal.signal(signal.SIGINT, lambda *_: None)
    try:
        test = forked(tmp_path / SPEC, tmp_path / "output", theirs)
    finally:
        signal.signal(signal.SIGINT, before)
    try:
        while os.getsid(test.pid) != test.pid:
            pass
        test.send_signal(signal.SIGINT)
        assert test.wait(120) == 3
        assert "stopped; nothing was judged" in (tmp_path / "output").read_text()
    finally:
        test.send_signal(signal.SIGKILL)
        ours.close()
        theirs.close()


def test_a_fork_of_a_warm_process_loads_nothing_that_every_test_needs() -> None:
    program = """
import sys
from dynamesis.harness.campaign.test_process import warm_up
from dynamesis.harness.worlds.kinds import PROCESSES, WORLDS

warm_up()
before = set(sys.modules)
WORLDS[PROCESSES].load()
from dynamesis.harness.check.evaluate import judge, save
from dynamesis.harness.links.toxiproxy import ToxiproxyLinks
from dynamesis.harness.report.page import template
from dynamesis.harness.worlds.observer import ConsoleObserver

late = set(sys.modules) - before
assert not late, late
template()
assert template.cache_info() == (1, 1, None, 1), "it was compiled before the fork"
"""
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, check=False)
    assert ended.returncode == 0, ended.stderr.decode()
