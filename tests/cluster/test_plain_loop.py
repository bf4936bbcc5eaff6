"""A node on asyncio's own event loop, in its debug mode, where a warning is an error: what goes
wrong on its sockets ends no node, and leaves nothing unclosed or unseen behind."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from dynamesis.cluster.client.client import Client
from dynamesis.harness.processes.ports import Ports, reserve
from node_world import NodeAlone, ended, in_loop, until
from test_auth import certificate

pytestmark = pytest.mark.cluster


@pytest.fixture
def ports() -> Iterator[Ports]:
    with reserve(8) as ports:
        yield ports


@pytest.fixture
def plain(tmp_path: Path) -> Mapping[str, str]:
    """The variables with which a node has no other loop, and warns of all that it may warn of."""
    (tmp_path / "without").mkdir()
    (tmp_path / "without" / "uvloop.py").write_text("raise ModuleNotFoundError('not here')\n")
    return {
        "PYTHONPATH": str(tmp_path / "without"),
        "PYTHONASYNCIODEBUG": "1",
        "PYTHONWARNINGS": "error::ResourceWarning",
    }


def complaints(node: NodeAlone) -> list[str]:
    """What a node printed, but for the loop's remarks on what took long."""
    lines = node.errors.read_text().splitlines()
    return [line for line in lines if line and not line.startswith("Executing <")]


async def misbehave(address: str) -> None:
    """Connections of all kinds that come to no good end."""
    host, port = address.split(":")
    for data in (b"", b"\0\0\0\1", b"\xff" * 100, b"\0\0\0\2\x91\xa1"):
        for close in (True, False):
            _, writer = await asyncio.open_connection(host, int(port))
            writer.write(data)
            if close:
                writer.close()
            else:
                writer.transport.abort()
        # with a reset, as from a client that was killed
        raw = socket.create_connection((host, int(port)))
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        raw.close()


@in_loop
async def test_what_goes_wrong_on_its_sockets_ends_no_node(
    tmp_path: Path, ports: Ports, plain: Mapping[str, str]
) -> None:
    listen = {name: f"127.0.0.1:{ports.take()}" for name in ("n1", "n2")}
    nowhere = {"n3": f"127.0.0.1:{ports.take()}"}
    nodes = []
    for me, other in (("n1", "n2"), ("n2", "n1")):
        (tmp_path / me).mkdir()
        config = {"node": me, "members": ["n1", "n2"], "hello_timeout": 0.2}
        peers = {other: listen[other], **nowhere}
        port = int(listen[me].split(":")[1])
        nodes.append(NodeAlone(tmp_path / me, port, ports.take(), peers=peers, **config))
    with ended(nodes[0]), ended(nodes[1]):
        for node in nodes:
            node.start(env=plain)
        for node in nodes:
            await node.ready()
            await misbehave(node.address)
            await misbehave(node.admin)
        nodes[1].end()
        nodes[1].start(env=plain)
        await nodes[1].ready()
        async with Client([nodes[0].address]) as store:
            await store.put(b"k", b"v")
            assert (await store.get(b"k")).values == (b"v",)
        for node in nodes:
            process = node.process
            assert process is not None
            process.terminate()
            await until(lambda process=process: process.poll() is not None, "it ends")
            assert process.returncode == 0
            assert complaints(node) == []
            assert not node.events("crash")


@in_loop
async def test_a_handshake_that_fails_is_logged_and_no_crash(
    tmp_path: Path, ports: Ports, plain: Mapping[str, str]
) -> None:
    found = certificate("openssl", tmp_path / "certificates")
    files = {"cert": str(found.cert), "key": str(found.key), "ca": str(found.ca)}
    with ended(NodeAlone(tmp_path, ports.take(), ports.take(), tls=files)) as node:
        node.start(env=plain)
        await until(lambda: node.events("ready"), "it is ready")
        await misbehave(node.address)
        process = node.process
        assert process is not None
        await until(lambda: node.events("handshake-failed"), "a handshake that failed is logged")
        assert process.poll() is None
        process.terminate()
        await until(lambda: process.poll() is not None, "it ends")
        assert process.returncode == 0
        assert complaints(node) == []


@pytest.mark.parametrize("taken", ["listen", "admin", "data"])
def test_a_start_that_fails_closes_what_it_opened(
    tmp_path: Path, ports: Ports, plain: Mapping[str, str], taken: str
) -> None:
    with ended(NodeAlone(tmp_path, ports.take(), ports.take(), storage={"engine": "lmdb"})) as node:
        address = node.address if taken == "listen" else node.admin
        if taken == "data":
            (tmp_path / "data").write_text("no folder")
            assert node.start(env=plain).wait(60) == 4
        else:
            host, port = address.split(":")
            with socket.create_server((host, int(port))):
                assert node.start(env=plain).wait(60) == 4
        (line,) = complaints(node)
        assert line.startswith("node n1: ")
