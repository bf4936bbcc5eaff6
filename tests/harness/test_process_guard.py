from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from dynamesis.harness.processes import watchdog
from dynamesis.harness.processes.process_guard import ProcessGuard

#: A harness with one running child, one stopped, one dropped and one never registered.
HARNESS = """
import os, signal, subprocess, sys
from harness.processes.process_guard import ProcessGuard
reaper = ProcessGuard.start()
sleep = [sys.executable, "-S", "-c", "import time; time.sleep(60)"]
quiet = {"stdout": subprocess.DEVNULL, "start_new_session": True}
children = [subprocess.Popen(sleep, **quiet) for _ in range(4)]
for child in children[:3]:
    reaper.add(child.pid)
os.kill(children[1].pid, signal.SIGSTOP)
reaper.drop(children[2].pid)
print(reaper.pid, *(child.pid for child in children), flush=True)
sys.stdin.read()
"""


def is_alive(pid: int) -> bool:
    """Whether pid runs: a zombie that init has not yet reaped does not."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != "Z"


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 100
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.01)


def test_what_a_killed_harness_leaves_behind_is_killed_and_nothing_else() -> None:
    harness = subprocess.Popen(
        [sys.executable, "-c", HARNESS], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert harness.stdout is not None
    dog, running, stopped, dropped, stranger = map(int, harness.stdout.readline().split())
    try:
        assert all(map(is_alive, (dog, running, stopped, dropped, stranger)))
        harness.kill()
        harness.communicate()
        wait_until(lambda: not is_alive(running) and not is_alive(stopped))
        wait_until(lambda: not is_alive(dog))
        assert is_alive(dropped)
        assert is_alive(stranger)
    finally:
        os.kill(dropped, signal.SIGKILL)
        os.kill(stranger, signal.SIGKILL)


def test_a_pid_that_names_another_process_by_now_is_spared() -> None:
    child = subprocess.Popen([sys.executable, "-S", "-c", "import time; time.sleep(60)"])
    try:
        reaper = ProcessGuard.start()
        reaper._send(f"add {child.pid} 1")
        reaper.close()
        assert child.poll() is None
    finally:
        child.kill()
        child.wait()


def test_close_kills_what_is_left_and_leaves_no_watchdog() -> None:
    child = subprocess.Popen([sys.executable, "-S", "-c", "import time; time.sleep(60)"])
    with ProcessGuard.start() as reaper:
        reaper.add(child.pid)
    assert child.wait(timeout=100) == -signal.SIGKILL
    assert not is_alive(reaper.pid)


def test_a_folder_of_which_nothing_lives_any_more_is_deleted_without_the_watchdog(
    tmp_path: Path,
) -> None:
    """The harness waits for the watchdog, which would first read the code for it."""
    scratch = tmp_path / "work"
    (scratch / "n1").mkdir(parents=True)
    child = subprocess.Popen([sys.executable, "-S", "-c", "import time; time.sleep(60)"])
    guard = ProcessGuard.start(scratch)
    guard.add(child.pid)
    child.kill()
    child.wait()
    guard.drop(child.pid)
    os.kill(guard.pid, signal.SIGKILL)
    wait_until(lambda: not is_alive(guard.pid))
    guard.close()
    assert not scratch.exists()


def test_a_folder_is_deleted_after_the_processes_that_write_into_it(tmp_path: Path) -> None:
    scratch = tmp_path / "work"
    scratch.mkdir()
    write = "import pathlib, sys\nwhile True: pathlib.Path(sys.argv[1], 'f').write_text('x')"
    child = subprocess.Popen([sys.executable, "-S", "-c", write, str(scratch)])
    wait_until((scratch / "f").exists)
    with ProcessGuard.start(scratch) as guard:
        guard.add(child.pid)
    assert child.wait(timeout=100) == -signal.SIGKILL
    assert not scratch.exists()


def test_adding_a_process_that_is_gone_is_harmless() -> None:
    child = subprocess.Popen([sys.executable, "-S", "-c", ""])
    child.wait()
    with ProcessGuard.start() as reaper:
        reaper.add(child.pid)


def test_the_watchdog_survives_ctrl_c_and_sigterm() -> None:
    child = subprocess.Popen([sys.executable, "-S", "-c", "import time; time.sleep(60)"])
    reaper = ProcessGuard.start()
    reaper.add(child.pid)
    wait_until(lambda: ignores(reaper.pid, signal.SIGTERM))
    os.kill(reaper.pid, signal.SIGINT)
    os.kill(reaper.pid, signal.SIGTERM)
    reaper.close()
    assert child.wait(timeout=100) == -signal.SIGKILL


def ignores(pid: int, number: int) -> bool:
    status = Path(f"/proc/{pid}/status").read_text()
    mask = int(status.split("SigIgn:")[1].split()[0], 16)
    return bool(mask >> (number - 1) & 1)


def test_start_time_distinguishes_processes() -> None:
    assert watchdog.start_time(os.getpid()) == watchdog.start_time(os.getpid())
    assert watchdog.start_time(os.getpid()) != watchdog.start_time(1)
    assert watchdog.start_time(2**22 + 1) is None
