"""A cluster of three real processes, and everything that is done to them."""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from dynamesis.cluster.client.client import Client, DynamoError, NoQuorum, RequestOptions
from dynamesis.cluster.process.cluster_spec import ClusterSpec
from dynamesis.cluster.process.supervisor import Cluster
from dynamesis.harness.processes.ports import reserve
from node_world import PATIENCE, alive, gone, in_loop, until

pytestmark = pytest.mark.cluster

NODES = ("n1", "n2", "n3")


class World:
    def __init__(self, spec: ClusterSpec) -> None:
        self.spec = spec
        self.spawned: list[int] = []
        self.exited: list[int] = []
        self.cluster = Cluster(spec, self.spawned.append, self.exited.append, lambda: 1.0)

    def store(self, *nodes: str) -> Client:
        return Client([self.spec.listen[node] for node in nodes or NODES])


@asynccontextmanager
async def world(folder: Path, **changes: Any) -> AsyncIterator[World]:
    with reserve(6) as ports:
        listen = {node: f"127.0.0.1:{ports.take()}" for node in NODES}
        admin = {node: f"127.0.0.1:{ports.take()}" for node in NODES}
        peers = {a: {b: listen[b] for b in NODES if b != a} for a in NODES}
        w = World(replace(ClusterSpec(NODES, folder, listen, admin, peers), **changes))
        try:
            yield w
        finally:
            await w.cluster.stop_all()
            assert sorted(w.exited) == sorted(w.spawned), "every process was reaped, and reported"
            assert not any(map(alive, w.spawned))


async def on_all(write: Callable[..., Awaitable[object]]) -> None:
    """A write that all nodes have, sent again where one was kept waiting by a busy machine."""
    request, again = uuid4().hex, False
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            await write(options=RequestOptions(w=3), request=request, again=again)
            return
        except NoQuorum:
            again = True
            assert time.monotonic() < deadline
            await asyncio.sleep(0.1)


@in_loop
async def test_a_cluster_lives_dies_and_comes_back(tmp_path: Path) -> None:
    async with world(tmp_path / "nodes") as w:
        cluster = w.cluster
        await cluster.start_all()
        assert [cluster.state(node) for node in NODES] == ["running"] * 3
        ring = await cluster.ring()
        assert (ring["n"], ring["partitions"], set(ring["owners"])) == (3, 64, set(NODES))
        async with w.store() as store:
            for n in range(100):
                await on_all(partial(store.put, b"key-%d" % n, b"v"))
            await on_all(partial(store.delete, "k\u00e9y \U0001f511".encode()))
        rows = await cluster.dump("n3")
        assert len(rows) == 101
        by_key = {row["key"]: row for row in rows}
        assert by_key["key-7"]["siblings"] == [{"value": b"v", "deleted": False}]
        assert by_key["k\u00e9y \U0001f511"]["siblings"] == [{"value": b"", "deleted": True}]
        assert by_key["key-7"]["hint_for"] is None

        status = await cluster.status("n1")
        assert status is not None
        assert (status["node"], status["objects"], status["hints"]) == ("n1", 101, 0)
        assert {peer: link["up"] for peer, link in status["links"].items()} == {
            "n2": True,
            "n3": True,
        }

        pid = await cluster.kill("n3")
        assert not alive(pid)
        assert cluster.state("n3") == "down"
        assert await cluster.status("n3") is None
        with pytest.raises(RuntimeError, match="n3 does not answer 'dump'"):
            await cluster.dump("n3")
        await cluster.start("n3")
        assert len(await cluster.dump("n3")) == 101, "SIGKILL lost nothing"

        await cluster.stop("n3")
        await cluster.wipe("n3")
        await cluster.start("n3")
        with pytest.raises(RuntimeError, match="n3 is running; it must be down for that"):
            await cluster.wipe("n3")

        await cluster.stop_all()
        cluster.collect(tmp_path / "logs")
        for node in NODES:
            log = (tmp_path / "logs" / node / "node.log").read_text()
            assert log.count('"event":"start"') == (3 if node == "n3" else 1)
            assert (tmp_path / "logs" / node / "config.json").exists()


@in_loop
async def test_a_paused_node_is_silent_and_comes_back(tmp_path: Path) -> None:
    async with world(tmp_path, engine="memory") as w:
        await w.cluster.start_all()
        await w.cluster.resume("n2")
        assert await w.cluster.pause("n2")
        assert w.cluster.state("n2") == "paused"
        assert await w.cluster.status("n2") is None
        async with w.store("n1") as store:
            with pytest.raises(DynamoError) as caught:
                await store.put(b"k", b"v", options=RequestOptions(w=3, timeout=0.5))
            assert not caught.value.definite
            await store.put(b"k", b"v")
            await w.cluster.resume("n2")
            assert w.cluster.state("n2") == "running"
            await until(lambda: w.cluster.state("n2") == "running", "it runs")
            await _until_up(w, "n1", "n2")
            await store.put(b"k", b"v", options=RequestOptions(w=3))
        assert await w.cluster.pause("n2")
        assert w.cluster.state("n2") == "paused"
        await w.cluster.stop_all()
        ends = {n: (tmp_path / n / "node.log").read_text().count('"event":"stop"') for n in NODES}
        assert ends == {"n1": 1, "n2": 0, "n3": 1}, "a paused node was not waited for"


async def _until_up(w: World, node: str, peer: str) -> None:
    while True:
        status = await w.cluster.status(node)
        if status and status["peers"][peer]["up"] and not status["peers"][peer]["suspected"]:
            return
        await asyncio.sleep(0.02)


@in_loop
async def test_a_dead_peer_is_noticed_and_found_again(tmp_path: Path) -> None:
    async with world(tmp_path, engine="memory") as w:
        await w.cluster.start_all()
        await w.cluster.kill("n2")
        async with w.store("n1") as store:
            for n in range(20):
                await store.put(b"%d" % n, b"v")
        status = await w.cluster.status("n1")
        assert status is not None
        assert not status["links"]["n2"]["up"]
        await w.cluster.start("n2")
        await _until_up(w, "n1", "n2")
        async with w.store("n2") as store:
            assert (await store.get(b"7")).values == (b"v",)


@in_loop
async def test_a_node_that_will_not_start_shows_its_last_lines(tmp_path: Path) -> None:
    async with world(tmp_path, engine="memory") as w:
        host, port = w.spec.listen["n2"].split(":")
        with socket.create_server((host, int(port))), pytest.raises(RuntimeError) as caught:
            await w.cluster.start_all()
        assert "node n2 ended with exit code 4" in str(caught.value)
        assert f"cannot listen on {w.spec.listen['n2']}" in str(caught.value)


@in_loop
async def test_what_cannot_be_done_is_refused(tmp_path: Path) -> None:
    async with world(tmp_path, engine="memory") as w:
        with pytest.raises(RuntimeError, match="n1 was never started"):
            await w.cluster.kill("n1")
        with pytest.raises(RuntimeError, match="no node is running"):
            await w.cluster.ring()
        await w.cluster.wipe("n1")
        await w.cluster.start("n1")
        with pytest.raises(RuntimeError, match="n1 is running already"):
            await w.cluster.start("n1")
        await w.cluster.kill("n1")
        assert not await w.cluster.pause("n1")
        await w.cluster.resume("n1")
        await w.cluster.stop("n1")


@in_loop
async def test_a_wiped_founder_that_is_alone_waits_for_a_peer_with_the_ring(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        cluster = w.cluster
        await cluster.start_all()
        await asyncio.gather(*map(cluster.kill, NODES))
        await cluster.wipe("n1")
        await cluster.start("n1")
        status = await cluster.status("n1")
        assert status is not None
        assert (status["ready"], status["waiting_for"]) == (False, ["n2", "n3"])
        async with w.store("n1") as store:
            with pytest.raises(DynamoError, match="it waits for n2, n3") as caught:
                await store.get(b"k")
            assert caught.value.definite
            await cluster.start("n2")
            async with asyncio.timeout(120):  # until n1 gets the ring from n2
                while not ((await cluster.status("n1")) or {}).get("ready"):
                    await asyncio.sleep(0.01)


@in_loop
async def test_a_ctrl_c_in_the_terminal_is_not_for_nodes(tmp_path: Path) -> None:
    async with world(tmp_path, engine="memory") as w:
        await w.cluster.start("n1")
        assert os.getsid(w.spawned[0]) == w.spawned[0] != os.getsid(0)


@in_loop
async def test_all_killed_together_lose_nothing_that_was_acknowledged(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        await w.cluster.start_all()
        acknowledged: list[bytes] = []

        async def write(worker: int) -> None:
            async with w.store(NODES[worker % 3]) as store:
                for n in count():
                    key = b"%d-%d" % (worker, n)
                    try:
                        await store.put(key, key)
                    except DynamoError:
                        return
                    acknowledged.append(key)

        writers = asyncio.gather(*(write(worker) for worker in range(12)))
        await until(lambda: len(acknowledged) >= 300, "there is load")
        await asyncio.gather(*(w.cluster.kill(node) for node in NODES))
        await writers
        for node in NODES:
            await w.cluster.start(node)
        await _until_up(w, "n1", "n2")
        await _until_up(w, "n1", "n3")
        async with w.store("n1") as store:
            for key in acknowledged:
                assert key in (await store.get(key, options=RequestOptions(r=3))).values


PARENT = """
import asyncio, sys
sys.path[:0] = sys.argv[1:3]
from pathlib import Path
from test_supervisor import world

async def main():
    async with world(Path(sys.argv[3]), engine="memory") as w:
        await w.cluster.start_all()
        print(*w.spawned, flush=True)
        await asyncio.sleep(60)

asyncio.run(main())
"""


def test_a_killed_supervisor_leaves_no_node(tmp_path: Path) -> None:
    here = Path(__file__).parent
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT, str(here), str(here.parent.parent), str(tmp_path)],
        stdout=subprocess.PIPE,
    )
    assert parent.stdout is not None
    pids = [int(pid) for pid in parent.stdout.readline().split()]
    assert len(pids) == 3
    assert all(map(alive, pids))
    parent.kill()
    parent.wait()
    parent.stdout.close()
    gone(*pids)


@in_loop
async def test_exchanges_and_hand_offs_come_when_they_are_asked_for(tmp_path: Path) -> None:
    """The nodes' own clocks would begin the first of them after the end of the test."""
    never = {"anti_entropy_interval": 3600.0, "handoff_interval": 3600.0}
    async with world(tmp_path, params=never) as w:
        cluster = w.cluster
        await cluster.start_all()
        await cluster.kill("n3")
        async with w.store() as store:
            for n in range(20):
                await store.put(b"%d" % n, b"v")
        await cluster.start("n3")
        async with asyncio.timeout(PATIENCE):
            while True:
                for node in NODES:
                    await cluster.exchange(node)
                seen = [await cluster.status(node) for node in NODES]
                clean = [p["clean"] for s in seen if s for p in s["exchanges"].values()]
                if len(clean) == 6 and min(clean) >= 2:
                    break
        assert not any(s["hints"] for s in seen if s)
        assert len(await cluster.dump("n3")) == 20
        await cluster.stop("n2")
        await cluster.exchange("n2")
