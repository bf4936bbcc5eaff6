"""Real nodes that are killed at random instants, and whose files are damaged."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from dynamesis.cluster.client.client import Client, DynamoError, RequestOptions
from dynamesis.cluster.process.cluster_spec import ClusterSpec
from dynamesis.cluster.process.supervisor import Cluster, unwatched
from dynamesis.harness.processes.ports import Ports, reserve
from node_world import NodeAlone, ended, in_loop, until

pytestmark = pytest.mark.cluster

LMDB = {"engine": "lmdb", "map_size": 1 << 22}


@pytest.fixture
def ports() -> Iterator[Ports]:
    with reserve(12) as ports:
        yield ports


def node(folder: Path, ports: Ports, **params: Any) -> NodeAlone:
    return NodeAlone(
        folder,
        ports.take(),
        ports.take(),
        storage=LMDB,
        params={"n": 1, "r": 1, "w": 1, **params},
    )


async def _write_until_killed(node: NodeAlone, life: int, instant: float) -> dict[bytes, bytes]:
    """Write from several clients until the node is killed, after `instant` seconds; what
    was acknowledged as durable."""
    durable: dict[bytes, bytes] = {}

    async def write(client: int) -> None:
        async with Client([node.address], timeout=5.0) as store:
            for n in range(1_000_000):
                key, value = b"%d-%d-%d" % (life, client, n), b"%d" % n * (1 + n % 300)
                options = RequestOptions(dw=client % 2)
                reply = await store.put(key, value, options=options)
                assert reply.worth.durable >= client % 2
                if reply.worth.durable:
                    durable[key] = value

    writers = [asyncio.ensure_future(write(client)) for client in range(8)]
    await asyncio.sleep(instant)
    node.end()
    for outcome in await asyncio.gather(*writers, return_exceptions=True):
        assert isinstance(outcome, DynamoError), outcome
    return durable


async def _kill_again_and_again(node: NodeAlone, kills: int, seed: int) -> None:
    draw = random.Random(seed)
    expected: dict[bytes, bytes] = {}
    for life in range(kills):
        node.start()
        await node.ready()
        expected |= await _write_until_killed(node, life, draw.uniform(0.0, 0.3))
    node.start()
    await node.ready()
    async with Client([node.address]) as store:
        for key, value in expected.items():
            assert (await store.get(key)).values == (value,), key
    assert (await node.ask("status"))["put_aside"] == []
    assert expected


MODES = ("each", "batched", "buffered")


@pytest.mark.parametrize("mode", MODES)
@in_loop
async def test_a_kill_loses_nothing_that_was_called_durable(
    tmp_path: Path, ports: Ports, mode: str
) -> None:
    with ended(node(tmp_path, ports, durability=mode, durable_replicas=0)) as alone:
        await _kill_again_and_again(alone, 4, seed=1)


@pytest.mark.nightly
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("mode", MODES)
def test_hundreds_of_kills_lose_nothing_that_was_called_durable(
    tmp_path: Path, ports: Ports, mode: str
) -> None:
    with ended(node(tmp_path, ports, durability=mode, durable_replicas=0)) as alone:
        asyncio.run(_kill_again_and_again(alone, 120, seed=2))


# ---- damage


@contextlib.asynccontextmanager
async def three(root: Path, ports: Ports) -> Any:
    names = ("n1", "n2", "n3")
    listen = {name: f"127.0.0.1:{ports.take()}" for name in names}
    admin = {name: f"127.0.0.1:{ports.take()}" for name in names}
    peers = {a: {b: listen[b] for b in names if b != a} for a in names}
    patient = {"replica_timeout": 10.0, "request_timeout": 20.0}
    cluster = unwatched(ClusterSpec(names, root, listen, admin, peers, patient))
    try:
        await cluster.start_all()
        async with Client(list(listen.values()), timeout=20.0) as store:
            for n in range(200):
                value = b"value-%d-" % n + bytes(500)
                await store.put(b"k%d" % n, value, options=RequestOptions(w=3))
        yield cluster
    finally:
        await cluster.stop_all()


async def _held(cluster: Cluster, name: str) -> int:
    return len(await cluster.dump(name))


async def _eventually_healed(cluster: Cluster, name: str) -> dict[str, Any]:
    status: dict[str, Any] = {}
    for _ in range(400):  # seldom: each look reads all that it holds
        status = await cluster.status(name) or {}
        if status.get("ready") and not status["damaged"] and await _held(cluster, name) == 200:
            return status
        await asyncio.sleep(0.05)
    raise AssertionError(f"not healed: {status}")


@in_loop
async def test_flipped_bits_are_isolated_to_their_rows_and_healed(
    tmp_path: Path, ports: Ports
) -> None:
    async with three(tmp_path, ports) as cluster:
        await cluster.kill("n2")
        file = tmp_path / "n2" / "data" / "data.mdb"
        data = bytearray(file.read_bytes())
        for n in (7, 70):
            at = data.index(b"value-%d-" % n)
            while at >= 0:  # older pages may hold it too
                data[at + 20] ^= 4
                at = data.find(b"value-%d-" % n, at + 1)
        file.write_bytes(data)
        await cluster.start("n2")
        status = await _eventually_healed(cluster, "n2")
        assert status["put_aside"] == []
        log = tmp_path / "n2" / "node.log"
        await until(lambda: log.read_text().count('"event":"row-damaged"') == 2, "both are logged")


@pytest.mark.parametrize("damage", ["torn tail", "empty", "one page"])
@in_loop
async def test_a_database_beyond_use_is_put_aside_and_healed_by_the_others(
    tmp_path: Path, ports: Ports, damage: str
) -> None:
    async with three(tmp_path, ports) as cluster:
        await cluster.kill("n2")
        file = tmp_path / "n2" / "data" / "data.mdb"
        data = bytearray(file.read_bytes())
        page = data.index(b"value-7-") // 4096 * 4096
        after = {
            "torn tail": data[:-5000],
            "empty": b"",
            "one page": data[:page] + b"\xff" * 4096 + data[page + 4096 :],
        }[damage]
        file.write_bytes(after)
        await cluster.start("n2")
        status = await _eventually_healed(cluster, "n2")
        assert status["put_aside"] == ["data.mdb.damaged-1"]
        assert (tmp_path / "n2" / "data" / "data.mdb.damaged-1").read_bytes() == bytes(after)
        log = tmp_path / "n2" / "node.log"
        await until(lambda: '"event":"storage-put-aside"' in log.read_text(), "it is logged")


@in_loop
async def test_a_clean_stop_is_remembered_and_damage_after_it_is_still_seen(
    tmp_path: Path, ports: Ports
) -> None:
    async with three(tmp_path, ports) as cluster:
        await cluster.stop("n2")
        folder = tmp_path / "n2" / "data"
        assert (folder / "clean").exists()
        data = (folder / "data.mdb").read_bytes()
        (folder / "data.mdb").write_bytes(data[: len(data) // 2])
        await cluster.start("n2")
        await until(lambda: not (folder / "clean").exists(), "the mark is gone")
        assert (await _eventually_healed(cluster, "n2"))["put_aside"]
