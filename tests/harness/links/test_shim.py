"""The preloaded connect(): what it catches, and what is known of a program beforehand."""

from __future__ import annotations

import asyncio
import os
import shutil
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from dialling_cluster import NODES, dialling, need, until
from dynamesis.harness.links.dialling import choose
from dynamesis.harness.links.dialling.programs import not_preloadable
from dynamesis.harness.links.dialling.shim import shim
from dynamesis.harness.links.faults import RefusedLink
from dynamesis.harness.targets.system import EnvironmentFailed

PYTHON = """
import asyncio, os, socket, subprocess, sys, threading
port = int(sys.argv[1])
def dial(family, address):
    with socket.socket(family) as plug:
        plug.settimeout(20)
        plug.connect((address, port))
        assert plug.recv(9) == b"the other"
dial(socket.AF_INET, "127.0.0.1")
dial(socket.AF_INET6, "::1")
dial(socket.AF_INET6, "::ffff:127.0.0.1")
threads = [threading.Thread(target=dial, args=(socket.AF_INET, "127.0.0.1")) for _ in range(8)]
[thread.start() for thread in threads]
[thread.join() for thread in threads]
if os.fork() == 0:
    dial(socket.AF_INET, "127.0.0.1")
    os._exit(0)
assert os.wait()[1] == 0
with socket.socket() as plug:  # fast open
    plug.sendto(b"x", socket.MSG_FASTOPEN, ("127.0.0.1", port))
    assert plug.recv(9) == b"the other"
async def main():
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    assert await reader.read(9) == b"the other"
    writer.close()
asyncio.run(main())
# an address in no line is dialled as it is
own = socket.create_server(("127.0.0.1", 0))
socket.create_connection(own.getsockname()).close()
"""

JAVA = """
import java.net.*; import java.nio.*; import java.nio.channels.*;
public class Dial {
    public static void main(String[] words) throws Exception {
        int port = Integer.parseInt(words[0]);
        SocketChannel channel = SocketChannel.open();
        channel.configureBlocking(false);
        channel.connect(new InetSocketAddress("127.0.0.1", port));
        while (!channel.finishConnect()) Thread.sleep(5);
        channel.configureBlocking(true);
        if (channel.read(ByteBuffer.allocate(9)) <= 0) System.exit(1);
        if (new Socket("localhost", port).getInputStream().read() != 't') System.exit(1);
    }
}
"""

NODE = """
require('net').connect(+process.argv[2], 'localhost').once('data', data => {
    process.exit(String(data).startsWith('the other') ? 0 : 1)
}).on('error', () => process.exit(1))
"""

PROGRAMS = {
    "python": ("dial.py", PYTHON, sys.executable, 14),
    "java": ("Dial.java", JAVA, "java", 2),
    "node": ("dial.js", NODE, "node", 1),
}


@pytest.fixture
def other() -> Iterator[int]:
    """The port of a server to which connections are led."""
    with socket.create_server(("127.0.0.1", 0), backlog=64) as server:

        def serve() -> None:
            while True:
                try:
                    connection, _ = server.accept()
                except OSError:
                    return
                connection.sendall(b"the other")
                connection.close()

        threading.Thread(target=serve, daemon=True).start()
        yield server.getsockname()[1]
        server.shutdown(socket.SHUT_RDWR)


@pytest.mark.parametrize("name", PROGRAMS)
def test_what_a_program_dials_is_led_elsewhere(name: str, other: int, tmp_path: Path) -> None:
    need("shim")
    file, text, program, dials = PROGRAMS[name]
    if shutil.which(program) is None:
        pytest.skip(f"no {program} on this machine")
    (tmp_path / file).write_text(text)
    (tmp_path / "table").write_text(f"127.0.0.1 9 127.0.0.1 {other}\n")  # nothing listens on 9
    settings = {"LD_PRELOAD": str(shim()), "DYNAMESIS_DIALS": str(tmp_path / "table")}
    command = [program, str(tmp_path / file), "9"]
    done = subprocess.run(
        command, env=os.environ | settings, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    seen = (tmp_path / "table.seen").read_text().splitlines()
    assert seen == [f"dial {other}"] * dials


@pytest.mark.cluster
@pytest.mark.parametrize("proxies", ["embedded", "toxiproxy"])
def test_one_replica_of_redis_is_cut_alone(proxies: str, tmp_path: Path) -> None:
    need("shim")
    if shutil.which("redis-server") is None:
        pytest.skip("no redis-server on this machine (Debian: apt install redis-server)")

    async def main() -> None:
        async with dialling("shim", proxies, tmp_path) as way:
            numbers = {node: way.reach(node, "peer").split(":")[1] for node in NODES}
            processes = []
            for node in NODES:
                words = ["--port", numbers[node], "--dir", str(tmp_path), "--save", ""]
                words += ["--dbfilename", f"{node}.rdb", "--repl-timeout", "5"]
                if node != "n1":
                    words += ["--replicaof", "127.0.0.1", numbers["n1"]]
                launch = way.launch(node)
                command = [*launch.argv, "redis-server", *words, "--loglevel", "warning"]
                process = subprocess.Popen(command, env=os.environ | launch.environment)
                way.launched(node, process.pid)
                processes.append(process)

            async def up() -> list[str]:
                return [node for node in ("n2", "n3") if await linked(numbers[node])]

            async def is_up(nodes: list[str]) -> bool:
                return await up() == nodes

            try:
                await until(lambda: is_up(["n2", "n3"]))
                await way.links.apply({"n2-n1": RefusedLink()})
                await until(lambda: is_up(["n3"]))
                await way.links.heal()
                await until(lambda: is_up(["n2", "n3"]))
                report = await way.report()
                assert set(report.through) == {"n2-n1", "n3-n1"}
                assert report.pairs
            finally:
                for process in processes:
                    process.kill()
                    process.wait()

    asyncio.run(main())


async def linked(port: str) -> bool:
    """Whether a replica of Redis is connected to its primary."""
    try:
        async with asyncio.timeout(5):
            reader, writer = await asyncio.open_connection("127.0.0.1", int(port))
            writer.write(b"INFO replication\r\n")
            answer = await reader.readuntil(b"master_link_status:")
            answer += await reader.readline()
            writer.close()
    except (OSError, TimeoutError, asyncio.IncompleteReadError):
        return False
    return answer.strip().endswith(b":up")


def test_without_a_compiler_the_shim_is_left_out_with_the_way_out(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CC", raising=False)
    way_out = r"no C compiler for the shim: install one \(Debian: gcc and libc6-dev\)"
    with pytest.raises(EnvironmentFailed, match=way_out):
        choose("nodes", asked="shim")
    chosen = choose("nodes")
    assert chosen is not None
    assert chosen.name == "destinations"
    assert not chosen.pairs
    assert set(chosen.left_out) == {"addresses", "shim", "namespaces"}
    assert choose(None) is None


def test_a_shim_that_does_not_compile_is_left_out(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    compiler = tmp_path / "broken"
    compiler.write_text("#!/bin/sh\necho 'no stdio.h' >&2\nexit 1\n")
    compiler.chmod(0o755)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("CC", str(compiler))
    with pytest.raises(EnvironmentFailed, match=r"cannot be compiled: .*no stdio\.h"):
        choose("nodes", asked="shim")
    assert list((tmp_path / "cache/dynamesis").iterdir()) == []


def test_the_shim_is_compiled_once(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    need("shim")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    first = shim()
    made = first.stat().st_mtime_ns
    assert (shim(), first.stat().st_mtime_ns) == (first, made)


def test_per_pair_addresses_need_nothing_else() -> None:
    chosen = choose("pairs")
    assert chosen is not None
    assert (chosen.name, chosen.pairs, chosen.left_out) == ("addresses", True, {})


def test_a_script_is_judged_by_its_interpreter(tmp_path: Path) -> None:
    script = tmp_path / "store"
    script.write_text(f"#!{sys.executable}\n")
    script.chmod(0o755)
    assert not_preloadable(str(script)) is None
    assert not_preloadable("no-such-program-anywhere") is None
