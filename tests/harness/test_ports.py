from __future__ import annotations

import os
import resource
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from dynamesis.harness.processes import ports
from dynamesis.harness.processes.ports import reserve
from dynamesis.harness.targets.system import EnvironmentFailed


def holder(count: int, **environment: str) -> subprocess.Popen[str]:
    """Another process that reserves ports and prints them, and holds them until killed."""
    program = (
        "from dynamesis.harness.processes.ports import reserve; import sys\n"
        f"held = reserve({count}); print(*held.numbers, flush=True); sys.stdin.read()"
    )
    return subprocess.Popen(
        [sys.executable, "-c", program],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | environment,
    )


def numbers_of(process: subprocess.Popen[str]) -> set[int]:
    assert process.stdout is not None
    return {int(word) for word in process.stdout.readline().split()}


def test_ports_are_distinct_free_and_below_the_ephemeral_range() -> None:
    with reserve(150) as held:
        assert len(set(held.numbers)) == 150
        assert all(ports.FIRST <= port <= ports.LAST for port in held.numbers)
        assert all(ports.is_free(port) for port in held.numbers)


def test_two_processes_never_share_a_port() -> None:
    with reserve(40) as mine:
        other = holder(40)
        try:
            assert not set(mine.numbers) & numbers_of(other)
        finally:
            other.kill()
            other.communicate()


def test_a_reservation_ends_with_its_holder_however_it_dies() -> None:
    other = holder(10)
    theirs = numbers_of(other)
    with pytest.raises(EnvironmentFailed, match="reserved by another test"):
        reserve(1, base=min(theirs))
    other.kill()
    other.communicate()
    reserve(1, base=min(theirs)).close()


def test_a_taken_port_is_passed_over() -> None:
    with reserve(1) as held:
        (port,) = held.numbers
    with socket.create_server(("127.0.0.1", port)), reserve(5) as others:
        assert port not in others.numbers


def test_a_taken_port_that_was_asked_for_is_named() -> None:
    with reserve(3) as held:
        base = held.numbers[0]
    with (
        socket.create_server(("127.0.0.1", base + 1)),
        pytest.raises(EnvironmentFailed, match=f"port {base + 1} is taken"),
    ):
        reserve(3, base=base)
    reserve(3, base=base).close()


@pytest.mark.parametrize("base", [80, 32700])
def test_a_base_outside_the_range_is_refused(base: int) -> None:
    with pytest.raises(EnvironmentFailed, match="outside"):
        reserve(100, base=base)


def test_more_than_there_are_is_refused() -> None:
    with pytest.raises(EnvironmentFailed, match="of 30000 ports"):
        reserve(30_000)


def test_take_gives_each_port_once() -> None:
    with reserve(2) as held:
        assert held.take() != held.take()
        with pytest.raises(EnvironmentFailed, match="all 2"):
            held.take()


def test_ports_are_the_machines_and_no_folders(tmp_path: Path) -> None:
    """Another TMPDIR, and another user, see the same reservations."""
    with reserve(40) as mine:
        other = holder(40, TMPDIR=str(tmp_path))
        try:
            assert not set(mine.numbers) & numbers_of(other)
        finally:
            other.kill()
            other.communicate()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be another user")
def test_another_user_does_not_take_them() -> None:
    with reserve(40) as mine:
        reading, writing = os.pipe()
        child = os.fork()
        if not child:
            os.setuid(54321)
            with reserve(40) as theirs:
                os.write(writing, " ".join(map(str, theirs.numbers)).encode())
            os._exit(0)
        os.close(writing)
        with os.fdopen(reading) as answer:
            theirs = {int(word) for word in answer.read().split()}
        os.waitpid(child, 0)
        assert len(theirs) == 40
        assert not theirs & set(mine.numbers)


def test_too_few_files_are_named() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (len(os.listdir("/proc/self/fd")), hard))
        with pytest.raises(EnvironmentFailed, match="ulimit -n"):
            reserve(1_000)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
