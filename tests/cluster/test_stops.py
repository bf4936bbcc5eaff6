"""A node that stops, with whatever is connected to it, closes all and warns of nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path

import pytest
from dynamesis.cluster.client.client import Client
from dynamesis.cluster.core.protocol.messages import Ask, Get, Key
from dynamesis.harness.processes.ports import reserve
from node_world import ADMIN, CLIENT, NodeAlone, Raw, ended, in_loop, until
from test_plain_loop import complaints

pytestmark = pytest.mark.cluster

MIB = 1 << 20


@pytest.fixture(params=["the loop as usual", "the loop of asyncio"])
def strict(tmp_path: Path, request: pytest.FixtureRequest) -> Mapping[str, str]:
    """The variables with which a node warns of all that it may warn of."""
    variables = {"PYTHONDEVMODE": "1"}
    if request.param == "the loop of asyncio":
        (tmp_path / "without").mkdir()
        (tmp_path / "without" / "uvloop.py").write_text("raise ModuleNotFoundError('not here')\n")
        variables["PYTHONPATH"] = str(tmp_path / "without")
    return variables


async def stopped(node: NodeAlone) -> None:
    process = node.process
    assert process is not None
    process.terminate()
    await until(lambda: process.poll() is not None, "it ends")
    assert (process.returncode, complaints(node)) == (0, [])
    assert not node.events("crash")


@in_loop
async def test_with_connections_of_all_kinds(tmp_path: Path, strict: Mapping[str, str]) -> None:
    with reserve(3) as ports:
        scraped = f"127.0.0.1:{ports.take()}"
        alone = NodeAlone(tmp_path, ports.take(), ports.take(), metrics=scraped)
        with ended(alone):
            alone.start(env=strict)
            await alone.ready()
            async with Client([alone.address], timeout=60.0) as store:
                for _ in range(3):
                    await store.put(b"k", bytes(MIB))
            deaf = await Raw.greeted(alone.address, CLIENT, taken=64 << 10)
            deaf.say(*(Get(rid, Key(b"k")) for rid in range(10)))
            deaf_admin = await Raw.greeted(alone.admin, ADMIN, taken=4096)
            deaf_admin.say(*(Ask(rid, "dump") for rid in range(5)))
            (await Raw.greeted(alone.address, CLIENT)).write(b"\0\0\1\0half a frame")
            for address in (alone.address, alone.admin, scraped):
                (await Raw.dial(address)).write(b"G")
            async with asyncio.timeout(60):
                while not (await alone.ask("status"))["unsent"]:
                    await asyncio.sleep(0.05)
            await stopped(alone)


@in_loop
async def test_with_links_to_peers(tmp_path: Path, strict: Mapping[str, str]) -> None:
    with reserve(4) as ports:
        listen = {name: ports.take() for name in ("n1", "n2")}
        nodes = []
        for me, other in (("n1", "n2"), ("n2", "n1")):
            (tmp_path / me).mkdir()
            peers = {other: f"127.0.0.1:{listen[other]}"}
            config = {"node": me, "members": ["n1", "n2"], "peers": peers}
            nodes.append(NodeAlone(tmp_path / me, listen[me], ports.take(), **config))
        with ended(nodes[0]), ended(nodes[1]):
            for node in nodes:
                node.start(env=strict)
            for node in nodes:
                await until(lambda node=node: node.events("link-up"), "its link is up")
            # another address gets a link of its own, and the one before is closed
            other = nodes[1].address.replace("127.0.0.1", "localhost")
            await nodes[0].ask("introduce", id="n2", address=other)
            await until(lambda: len(nodes[0].events("link-up")) > 1, "it is up again")
            for node in nodes:
                await stopped(node)
