from __future__ import annotations

import os
import subprocess
import sys
import time

from dynamesis.harness.processes.patience import MOST, Patience, stretch


class Machine:
    def __init__(self, busy: float) -> None:
        self.busy = busy
        self.now = 0.0

    def patience(self, seconds: float) -> Patience:
        return Patience(seconds, lambda: self.busy, lambda: self.now)


def test_on_an_idle_machine_it_is_a_deadline() -> None:
    machine = Machine(1.0)
    patience = machine.patience(10)
    machine.now = 9.9
    assert not patience.over
    machine.now = 10.0
    assert patience.over


def test_on_a_busy_one_time_counts_less() -> None:
    machine = Machine(4.0)
    patience = machine.patience(10)
    for second in range(40):
        machine.now = second
        assert not patience.over
    machine.now = 40.0
    assert patience.over


def test_only_while_it_is_busy() -> None:
    machine = Machine(4.0)
    patience = machine.patience(10)
    machine.now = 20.0
    assert not patience.over
    machine.busy = 1.0
    machine.now = 24.9
    assert not patience.over
    machine.now = 25.0
    assert patience.over


def test_it_sees_other_runnable_processes() -> None:
    loops = [
        subprocess.Popen([sys.executable, "-S", "-c", "while 1: pass"])
        for _ in range(4 * (os.cpu_count() or 1) + 4)
    ]
    try:
        deadline, most = time.monotonic() + 60, 1.0
        while most < 2.0 and time.monotonic() < deadline:
            most = max(most, stretch())
            time.sleep(0.01)
        assert 2.0 <= most <= MOST
    finally:
        for loop in loops:
            loop.kill()
            loop.wait()
