"""What is Toxiproxy's own: its servers, and what happens when one gets stuck."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from dynamesis.harness.links import api
from dynamesis.harness.links.base import LinkRoute
from dynamesis.harness.links.faults import BlackHole, Latency, RefusedLink
from dynamesis.harness.links.toxiproxy import ToxiproxyLinks
from dynamesis.harness.processes.ports import Ports, reserve
from dynamesis.harness.processes.process_guard import ProcessGuard
from dynamesis.harness.targets.system import EnvironmentFailed

pytestmark = pytest.mark.cluster


class Bed:
    """Links for three routes towards one listening socket."""

    def __init__(self, binary: Path, folder: Path, ports: Ports, reaper: ProcessGuard) -> None:
        self.incidents: list[dict[str, Any]] = []
        self.links = ToxiproxyLinks(binary, folder, ports, reaper, self.incidents.append)
        self.target = socket.create_server(("127.0.0.1", ports.take()), backlog=64)
        host, port = self.target.getsockname()
        self.routes = [
            LinkRoute(source, dest, f"127.0.0.1:{ports.take()}", f"{host}:{port}")
            for source, dest in (("n1", "n2"), ("n1", "n3"), ("client", "n2"))
        ]

    def accepts(self, source: str, dest: str) -> bool:
        host, port = self.links.address(source, dest).split(":")
        try:
            socket.create_connection((host, int(port)), timeout=5).close()
        except ConnectionRefusedError:
            return False
        return True


@asynccontextmanager
async def open_bed(binary: Path, folder: Path) -> AsyncIterator[Bed]:
    with reserve(20) as ports, ProcessGuard.start() as reaper:
        bed = Bed(binary, folder, ports, reaper)
        await bed.links.start(bed.routes)
        try:
            yield bed
        finally:
            await bed.links.stop()
            bed.target.close()


def test_a_stuck_server_is_replaced_with_its_routes_and_faults(
    binary: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(api, "TIMEOUT", 0.3)

    async def scenario() -> None:
        async with open_bed(binary, tmp_path) as bed:
            await bed.links.apply({"n1-n2": RefusedLink()})
            stuck = bed.links.pids["n1"]
            os.kill(stuck, signal.SIGSTOP)
            await bed.links.apply({"n1-n3": Latency(latency_ms=10)})
            (incident,) = bed.incidents
            assert incident["server"] == "n1"
            assert incident["pid"] == bed.links.pids["n1"] != stuck
            assert "timed out" in incident["reason"]
            assert not bed.accepts("n1", "n2"), "the fault from before was forgotten"
            assert bed.accepts("n1", "n3")
            await bed.links.heal()
            assert bed.accepts("n1", "n2")

    asyncio.run(scenario())


def test_a_dead_server_is_replaced_and_the_others_are_left_alone(
    binary: Path, tmp_path: Path
) -> None:
    async def scenario() -> None:
        async with open_bed(binary, tmp_path) as bed:
            before = bed.links.pids
            os.kill(before["n1"], signal.SIGKILL)
            await bed.links.apply({"n1-n2": BlackHole(), "client-n2": RefusedLink()})
            assert [incident["server"] for incident in bed.incidents] == ["n1"]
            assert bed.links.pids["client"] == before["client"]
            assert not bed.accepts("client", "n2")

    asyncio.run(scenario())


def test_a_dead_server_is_found_and_replaced(binary: Path, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with open_bed(binary, tmp_path) as bed:
            await bed.links.apply({"n1-n2": RefusedLink()})
            before = bed.links.pids
            await bed.links.revive()
            assert bed.incidents == []
            os.kill(before["n1"], signal.SIGKILL)
            while not bed.incidents:
                await bed.links.revive()
            (incident,) = bed.incidents
            assert incident["server"] == "n1"
            assert incident["reason"] == "it had ended with exit code -9"
            assert bed.links.pids["client"] == before["client"]
            assert bed.accepts("n1", "n3")
            assert not bed.accepts("n1", "n2"), "the fault from before was forgotten"

    asyncio.run(scenario())


def test_stop_leaves_no_process(binary: Path, tmp_path: Path) -> None:
    async def scenario() -> list[int]:
        async with open_bed(binary, tmp_path) as bed:
            return list(bed.links.pids.values())

    for pid in asyncio.run(scenario()):
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


def test_a_taken_route_port_fails_the_start_and_is_named(binary: Path, tmp_path: Path) -> None:
    async def scenario() -> None:
        with reserve(20) as ports, ProcessGuard.start() as reaper:
            bed = Bed(binary, tmp_path, ports, reaper)
            taken = int(bed.routes[0].listen.split(":")[1])
            with (
                socket.create_server(("127.0.0.1", taken)),
                pytest.raises(EnvironmentFailed, match=str(taken)),
            ):
                await bed.links.start(bed.routes)
            bed.target.close()

    asyncio.run(scenario())


def test_a_foreign_server_on_the_api_port_is_not_taken_for_ours(
    binary: Path, tmp_path: Path
) -> None:
    async def scenario() -> None:
        with reserve(20) as ports, ProcessGuard.start() as reaper:
            bed = Bed(binary, tmp_path, ports, reaper)
            port = ports.numbers[ports._next]
            with (
                socket.create_server(("127.0.0.1", port)),
                pytest.raises(EnvironmentFailed, match=f"port {port}.* is taken"),
            ):
                await bed.links.start(bed.routes)
            bed.target.close()

    asyncio.run(scenario())


def test_a_program_that_is_not_a_toxiproxy_fails_the_start(tmp_path: Path) -> None:
    async def scenario() -> None:
        with reserve(20) as ports, ProcessGuard.start() as reaper:
            bed = Bed(Path("/bin/false"), tmp_path, ports, reaper)
            with pytest.raises(
                EnvironmentFailed, match=r"/bin/false did not come up .*exit code 1.* is empty"
            ):
                await bed.links.start(bed.routes)
            bed.target.close()

    asyncio.run(scenario())


#: Runs Toxiproxy only from a certain start on.
STUMBLING = """#!/bin/sh
echo start >> {starts}
[ $(wc -l < {starts}) -ge {works} ] && exec {binary} "$@"
echo "no luck today"
exit 3
"""


def stumbling(binary: Path, folder: Path, works: int) -> Path:
    script = folder / "stumbling"
    script.write_text(STUMBLING.format(binary=binary, starts=folder / "starts", works=works))
    script.chmod(0o755)
    return script


def test_a_server_that_does_not_come_up_is_started_again(binary: Path, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with open_bed(stumbling(binary, tmp_path, works=3), tmp_path) as bed:
            assert bed.accepts("n1", "n2")

    asyncio.run(scenario())
    assert (tmp_path / "starts").read_text().count("start") == 4, "two of them were in vain"


def test_a_server_that_never_comes_up_is_reported_with_its_last_words(
    binary: Path, tmp_path: Path
) -> None:
    async def scenario() -> None:
        async with open_bed(stumbling(binary, tmp_path, works=100), tmp_path):
            pass

    with pytest.raises(EnvironmentFailed, match=r"exit code 3.* ends with: no luck today"):
        asyncio.run(scenario())


def test_a_proxy_changed_behind_our_back_is_noticed(binary: Path, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with open_bed(binary, tmp_path) as bed:
            server = bed.links._servers["n1"]
            api.bind(server.port)
            api.Consumer.patch("/proxies/n1-n2", json={"enabled": False})
            with pytest.raises(api.ApiError, match="n1-n2 should be"):
                server.verify()

    asyncio.run(scenario())


def test_errors_of_the_server_are_raised_and_not_swallowed(binary: Path, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with open_bed(binary, tmp_path) as bed:
            api.bind(bed.links._servers["n1"].port)
            with pytest.raises(api.NotFound):
                api.Consumer.get("/proxies/missing")
            with pytest.raises(api.ApiError, match="409"):
                api.Toxiproxy().create("127.0.0.1:1", "n1-n2", listen="127.0.0.1:0")

    asyncio.run(scenario())


KILLED = """
import asyncio, sys
from pathlib import Path
from dynamesis.harness.links.base import plan_routes
from dynamesis.harness.links.toxiproxy import ToxiproxyLinks
from dynamesis.harness.processes.ports import reserve
from harness.processes.process_guard import ProcessGuard

async def main():
    ports = reserve(20)
    links = ToxiproxyLinks(Path(sys.argv[1]), Path(sys.argv[2]), ports, ProcessGuard.start(), print)
    upstreams = {"n1": "127.0.0.1:9", "n2": "127.0.0.1:9"}
    await links.start(plan_routes(upstreams, [ports.take() for _ in range(4)]))
    print(*links.pids.values(), flush=True)
    await asyncio.sleep(60)

asyncio.run(main())
"""


def test_servers_do_not_outlive_a_killed_harness(binary: Path, tmp_path: Path) -> None:
    harness = subprocess.Popen(
        [sys.executable, "-c", KILLED, str(binary), str(tmp_path)], stdout=subprocess.PIPE
    )
    assert harness.stdout is not None
    pids = [int(word) for word in harness.stdout.readline().split()]
    assert len(pids) == 3
    harness.kill()
    harness.communicate()
    deadline = time.monotonic() + 100
    while any(is_running(pid) for pid in pids):
        assert time.monotonic() < deadline, "a server outlived the harness"
        time.sleep(0.01)


def is_running(pid: int) -> bool:
    """Whether pid runs: a zombie that init has not yet reaped does not."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False
    return stat.rpartition(")")[2].split()[0] != "Z"
