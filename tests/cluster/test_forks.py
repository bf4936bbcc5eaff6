"""Nodes that are forked from a process which has their code loaded: processes as if exec'd."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from dynamesis.cluster.process.forks import ForkServer, fork_server
from dynamesis.cluster.process.process import OURS, NodeProcess
from dynamesis.cluster.process.runtime import NodeRuntime
from node_world import alive, gone, in_loop, until, wait_until
from test_supervisor import NODES, world

pytestmark = [
    pytest.mark.cluster,
    pytest.mark.skipif(not sys.platform.startswith("linux"), reason="forks need Linux"),
]


def of(pid: int, file: str) -> bytes:
    return Path(f"/proc/{pid}/{file}").read_bytes()


def parent(pid: int) -> int:
    return int(of(pid, "stat").rpartition(b")")[2].split()[1])


def is_forked(pid: int) -> bool:
    """A command line that was written later is one text: arguments have zeros between them."""
    return b"\0" not in of(pid, "cmdline").rstrip(b"\0")


def children(pid: int) -> list[int]:
    return [int(child) for child in of(pid, f"task/{pid}/children").split()]


def takes_orphans() -> bool:
    flag = ctypes.c_int(-1)
    ctypes.CDLL(None).prctl(37, ctypes.byref(flag), 0, 0, 0)
    return bool(flag.value)


@in_loop
async def test_a_forked_node_is_a_process_of_its_own(tmp_path: Path) -> None:
    async with world(tmp_path, engine="memory") as w:
        await w.cluster.start_all()
        assert len(set(w.spawned)) == 3
        server = w.cluster._forks
        assert server is not None
        for node, pid in zip(NODES, w.spawned, strict=True):
            command = of(pid, "cmdline").rstrip(b"\0").decode()
            assert is_forked(pid)
            assert command.endswith(f"-m dynamesis.cluster --config {tmp_path}/{node}/config.json")
            assert parent(pid) == os.getpid()
            assert os.getsid(pid) == os.getpgid(pid) == pid
            assert os.readlink(f"/proc/{pid}/fd/1") == str(tmp_path / node / "stderr.log")
            streams = {os.readlink(f"/proc/{pid}/fd/{fd}") for fd in os.listdir(f"/proc/{pid}/fd")}
            assert os.readlink(f"/proc/{server.pid}/fd/0") not in streams, "none holds its orders"
        assert children(server.pid) == [], "not even one that has ended"
        assert not takes_orphans()
        assert "fork_server -" not in of(server.pid, "cmdline").decode()
        status = await w.cluster.status("n2")
        assert status is not None
        assert status["pid"] == w.spawned[1]
        await w.cluster.kill("n2")
        assert w.cluster.exit_code("n2") == -signal.SIGKILL
        await w.cluster.start("n2")
        assert is_forked(w.spawned[3])
        os.kill(w.spawned[3], signal.SIGTERM)
        await until(lambda: w.cluster.state("n2") == "down", "it has ended in order")
        assert w.cluster.exit_code("n2") == 0
        assert await w.cluster.pause("n1")
    gone(server.pid)


@in_loop
async def test_nodes_live_without_what_they_were_forked_from(tmp_path: Path) -> None:
    async with world(tmp_path, engine="memory") as w:
        await w.cluster.start_all()
        server = w.cluster._forks
        assert server is not None
        os.kill(server.pid, signal.SIGKILL)
        wait_until(lambda: not alive(server.pid), "it has ended")
        assert [w.cluster.state(node) for node in NODES] == ["running"] * 3
        await w.cluster.kill("n3")
        await w.cluster.start("n3")
        assert not is_forked(w.spawned[3]), "there is nothing to fork it from"
        assert not takes_orphans()
        status = await w.cluster.status("n1")
        assert status is not None
        assert status["uptime"] > 0


@in_loop
async def test_what_a_fork_cannot_give_a_node_is_execd(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with world(tmp_path, engine="memory") as w:
        await w.cluster.start_all()
        forked = [is_forked(pid) for pid in w.spawned]
        await w.cluster.kill("n1")
        w.cluster.use("n1", NodeRuntime("another", path=OURS.path, other=True))
        await w.cluster.start("n1")
        await w.cluster.kill("n2")
        monkeypatch.setenv("PYTHONASYNCIODEBUG", "1")
        await w.cluster.start("n2")
        forked += [is_forked(pid) for pid in w.spawned[3:]]
        assert forked == [True] * 3 + [False] * 2
        assert b"PYTHONASYNCIODEBUG=1" in of(w.spawned[4], "environ")


def test_another_version_and_a_preloaded_library_have_no_fork_server(tmp_path: Path) -> None:
    assert fork_server(NodeRuntime("another", other=True), os.environ, tmp_path / "log") is None
    gone_python = NodeRuntime("ours", python=str(tmp_path / "python"))
    assert fork_server(gone_python, os.environ, tmp_path / "log") is None


@in_loop
async def test_a_node_that_is_given_up_before_it_began_ends(tmp_path: Path) -> None:
    """As when the other end is killed after the fork, or has waited for too long."""
    server = ForkServer(OURS, OURS.environment(os.environ), tmp_path / "log")
    try:
        await server.until_ready()
        for close_first in (False, True):
            stdin, ours = os.pipe()
            with (tmp_path / "output").open("wb") as output:
                if close_first:
                    os.close(ours)
                pid = server._forked([stdin, output.fileno()], b'["x", "--config", "/nowhere"]')
            os.close(stdin)
            assert pid is not None
            assert parent(pid) == os.getpid()
            if not close_first:
                os.close(ours)
            assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 1
        assert (tmp_path / "output").read_bytes() == b"", "it never read a configuration"
    finally:
        server.close()


@in_loop
async def test_a_wrong_configuration_ends_as_in_a_process_of_its_own(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    ends: list[int] = []
    server = ForkServer(OURS, OURS.environment(os.environ), tmp_path / "log")
    try:
        await server.until_ready()
        for forks in (server, None):
            file = tmp_path / f"stderr-{forks is None}"
            process = NodeProcess(tmp_path / "config.json", file, ends.append, {}, OURS, forks)
            assert await process.ended(100)
            assert process.exit_code == 2
        forked, execd = ((tmp_path / f"stderr-{fresh}").read_text() for fresh in (False, True))
        assert forked == execd != ""
    finally:
        server.close()
    assert len(set(ends)) == 2


BOOTS = """
import asyncio, os, sys
sys.path[:0] = sys.argv[1:3]
from pathlib import Path
from test_supervisor import world

async def main():
    async with world(Path(sys.argv[3]), engine="memory") as w:
        w.cluster.prepare()
        print(w.cluster._forks.pid, flush=True)
        await w.cluster.start_all()
        print(*w.spawned, flush=True)
        await asyncio.sleep(60)

asyncio.run(main())
"""


def marked(mark: str) -> list[int]:
    """What lives and has inherited this variable."""
    found = []
    for pid in map(int, filter(str.isdecimal, os.listdir("/proc"))):
        try:
            if mark.encode() in of(pid, "environ").split(b"\0") and alive(pid):
                found.append(pid)
        except OSError:
            continue
    return found


@pytest.mark.parametrize("moment", ["prepared", 0.0, 0.01, 0.03, "up", "paused"])
def test_a_killed_supervisor_leaves_neither_nodes_nor_their_fork_server(
    tmp_path: Path, moment: str | float
) -> None:
    here = Path(__file__).parent
    mark = f"DYNAMESIS_TEST_MARK={tmp_path}"
    name, _, value = mark.partition("=")
    supervisor = subprocess.Popen(
        [sys.executable, "-c", BOOTS, str(here), str(here.parent.parent), str(tmp_path)],
        stdout=subprocess.PIPE,
        env=os.environ | {name: value},
    )
    assert supervisor.stdout is not None
    server = int(supervisor.stdout.readline())
    if isinstance(moment, float):  # s after the first fork
        wait_until(lambda: len(marked(mark)) > 2, "a node is being forked")
        time.sleep(moment)
    elif moment != "prepared":
        nodes = [int(pid) for pid in supervisor.stdout.readline().split()]
        assert len(nodes) == 3
        if moment == "paused":
            for pid in (nodes[1], server):
                os.kill(pid, signal.SIGSTOP)
    found = {server, *marked(mark)} - {supervisor.pid}
    supervisor.kill()
    supervisor.wait()
    supervisor.stdout.close()
    gone(*found)
    wait_until(lambda: not marked(mark), "nothing is left")
