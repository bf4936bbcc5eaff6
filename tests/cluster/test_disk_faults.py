"""Real nodes with disk faults: each takes effect, is reported, and heals."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from dynamesis.cluster.client.admin import AdminError
from dynamesis.cluster.client.client import Client, DynamoError, StorageFailure
from dynamesis.harness.processes.ports import reserve
from node_world import NodeAlone, ended, in_loop, until

pytestmark = pytest.mark.cluster


@contextlib.asynccontextmanager
async def faulty(folder: Path, engine: str = "lmdb") -> AsyncIterator[tuple[NodeAlone, Client]]:
    storage = {"engine": engine, "map_size": 1 << 22, "faults": True}
    with (
        reserve(2) as ports,
        ended(NodeAlone(folder, ports.take(), ports.take(), storage=storage)) as node,
    ):
        node.start()
        await node.ready()
        async with Client([node.address]) as store:
            for n in range(20):
                await store.put(b"k%d" % n, b"v")
            yield node, store


@pytest.mark.parametrize("fault", ["full", "torn-tail"])
@in_loop
async def test_a_disk_that_takes_nothing_is_reported_to_the_client(
    tmp_path: Path, fault: str
) -> None:
    async with faulty(tmp_path) as (node, store):
        await node.ask("disk", fault=fault)
        with pytest.raises(StorageFailure) as caught:
            await store.put(b"k1", b"new", context=(await store.get(b"k1")).context)
        assert not caught.value.definite
        assert (await store.get(b"k1")).values == (b"v",)
        assert (await node.ask("status"))["disk"]["bites"][fault] > 0
        await node.ask("disk", fault="none")
        await store.put(b"k1", b"new", context=(await store.get(b"k1")).context)
        assert (await store.get(b"k1")).values == (b"new",)


@in_loop
async def test_a_disk_that_cannot_be_read_differs_from_an_empty_one(tmp_path: Path) -> None:
    async with faulty(tmp_path) as (node, store):
        await node.ask("disk", fault="read-error")
        with pytest.raises(DynamoError, match="read-quorum"):
            await store.get(b"k1")
        with pytest.raises(StorageFailure):
            await store.put(b"k1", b"new")
        await node.ask("disk", fault="none")
        assert (await store.get(b"k1")).values == (b"v",)


@in_loop
async def test_flipped_bits_are_found_where_they_are(tmp_path: Path) -> None:
    async with faulty(tmp_path) as (node, store):
        assert (await node.ask("disk", fault="bit-flip", rows=3))["flipped"] == 3
        lost = 0
        for n in range(20):
            try:
                assert (await store.get(b"k%d" % n)).values == (b"v",)
            except DynamoError:
                lost += 1
        assert lost == 3
        await until(lambda: len(node.events("row-damaged")) == 3, "all are reported")
        assert (await node.ask("status"))["damaged"] == 3


@in_loop
async def test_a_slow_disk_only_takes_its_time(tmp_path: Path) -> None:
    async with faulty(tmp_path) as (node, store):
        await node.ask("disk", fault="slow-fsync", seconds=0.2)
        assert (await store.put(b"k1", b"slow")).worth.durable == 1
        assert (await node.ask("status"))["disk"]["bites"] == {"slow-fsync": 1}


@in_loop
async def test_writes_that_were_not_synced_are_lost_and_were_not_acknowledged(
    tmp_path: Path,
) -> None:
    async with faulty(tmp_path) as (node, store):
        acknowledged = await store.put(b"k", b"kept")
        await node.ask("disk", fault="lost-writes", seconds=30)
        with pytest.raises(DynamoError) as caught:
            await store.put(b"k", b"lost", context=acknowledged.context)
        assert not caught.value.definite
        node.end()
        node.start()
        await node.ready()
        assert (await store.get(b"k")).values == (b"kept",)


@in_loop
async def test_the_command_is_refused_where_it_is_wrong_or_off(tmp_path: Path) -> None:
    async with faulty(tmp_path, "memory") as (node, _):
        for wrong in ({"fault": "fire"}, {"fault": "full", "rows": 0}, {"falt": "full"}):
            with pytest.raises(AdminError, match="disk: "):
                await node.ask("disk", **wrong)
    (tmp_path / "off").mkdir()
    with (
        reserve(2) as ports,
        ended(NodeAlone(tmp_path / "off", ports.take(), ports.take())) as node,
    ):
        node.start()
        await node.ready()
        with pytest.raises(AdminError, match="faults are off"):
            await node.ask("disk", fault="full")
