"""The storage and time that the shell gives the core: on real files and processes."""

from __future__ import annotations

import shutil
import signal
import time
from pathlib import Path

import pytest
from dynamesis.cluster.client.client import Client
from dynamesis.cluster.core.protocol.messages import Hello, Ping, Pong
from dynamesis.cluster.storage import ENGINES, clone_detection
from dynamesis.harness.processes.ports import reserve
from node_world import NodeAlone, Raw, ended, in_loop


def boot(folder: Path) -> bool:
    engine = ENGINES["lmdb"](folder, 1 << 20)
    try:
        return clone_detection.renew(engine, folder)
    finally:
        engine.close()


def test_what_the_last_life_left_is_intact(tmp_path: Path) -> None:
    assert not boot(tmp_path / "data")
    assert boot(tmp_path / "data")
    assert boot(tmp_path / "data")


def test_a_copy_is_not_and_neither_is_a_folder_put_back(tmp_path: Path) -> None:
    data, copy = tmp_path / "data", tmp_path / "copy"
    boot(data)
    shutil.copytree(data, copy)
    assert not boot(tmp_path / "copy")
    shutil.rmtree(data)
    shutil.copytree(copy, data)
    assert not boot(data)
    assert boot(data)


def test_a_database_put_back_alone_names_the_file_of_an_earlier_life(tmp_path: Path) -> None:
    data, saved = tmp_path / "data", tmp_path / "saved"
    boot(data)
    shutil.copy(data / "data.mdb", saved)
    boot(data)
    shutil.copy(saved, data / "data.mdb")
    assert not boot(data)


@pytest.mark.cluster
@in_loop
async def test_a_restored_node_stamps_under_another_incarnation(tmp_path: Path) -> None:
    async def incarnation(key: bytes) -> str:
        await node.ready()
        async with Client([node.address]) as store:
            await store.put(key, b"v")
        actor = (await node.ask("explain", key=key))["actor"]
        return str(actor).split(":")[1]

    with (
        reserve(2) as ports,
        ended(NodeAlone(tmp_path, ports.take(), ports.take(), storage={"engine": "lmdb"})) as node,
    ):
        node.start()
        first = await incarnation(b"a")
        node.end()
        data = tmp_path / "data"
        shutil.copytree(data, tmp_path / "saved")
        node.start()
        assert await incarnation(b"b") == first
        node.end()
        shutil.rmtree(data)
        shutil.copytree(tmp_path / "saved", data)
        node.start()
        assert await incarnation(b"a") != first


@pytest.mark.cluster
@in_loop
async def test_the_shell_gives_the_core_the_wall_time(tmp_path: Path) -> None:
    params = {"n": 1, "r": 1, "w": 1, "lww_buckets": ["b"]}
    with (
        reserve(2) as ports,
        ended(NodeAlone(tmp_path, ports.take(), ports.take(), params=params)) as node,
    ):
        node.start()
        await node.ready()
        before = time.time_ns() // 1_000_000
        async with Client([node.address]) as store:
            await store.put(b"b/k", b"one")
            await store.put(b"b/k", b"two")
            assert (await store.get(b"b/k")).values == (b"two",)
        latest = (await node.ask("explain", key=b"b/k"))["clock"]["@"]
        assert before <= latest <= time.time_ns() // 1_000_000 + 1


@pytest.mark.cluster
@in_loop
async def test_a_stopped_node_finds_its_trees_and_a_killed_one_makes_them(tmp_path: Path) -> None:
    with (
        reserve(2) as ports,
        ended(NodeAlone(tmp_path, ports.take(), ports.take(), storage={"engine": "lmdb"})) as node,
    ):
        node.start()
        await node.ready()
        async with Client([node.address]) as store:
            for i in range(30):
                await store.put(b"k%d" % i, b"v")
        assert node.process is not None
        node.process.send_signal(signal.SIGTERM)
        node.process.wait()
        for rebuilds in (0, 1):
            node.start()
            await node.ready()
            status = await node.ask("status")
            assert status["objects"] == 30
            assert status["trees"] == {
                "complete": True,
                "rebuilding": False,
                "rebuilds": rebuilds,
            }
            node.end()


@pytest.mark.cluster
@in_loop
async def test_a_newer_link_of_a_node_ends_the_older(tmp_path: Path) -> None:
    with reserve(3) as ports:
        peers = {"n2": f"127.0.0.1:{ports.take()}"}
        with ended(NodeAlone(tmp_path, ports.take(), ports.take(), peers=peers)) as node:
            node.start()
            await node.ready()
            mine = Hello("n2", "dynamesis")
            older = await Raw.greeted(node.address, mine)
            older.say(Ping(1))
            assert isinstance(await older.read(), Pong)
            newer = await Raw.greeted(node.address, mine)
            newer.say(Ping(2))
            assert isinstance(await newer.read(), Pong)
            assert await older.read() is None
            newer.close()
