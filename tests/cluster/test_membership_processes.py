"""Two nodes join and two leave a cluster of five real processes, under load."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from dynamesis.cluster.client.client import Client, DynamoError
from dynamesis.cluster.process.cluster_spec import ClusterSpec
from dynamesis.cluster.process.supervisor import Cluster, unwatched
from dynamesis.harness.processes.ports import reserve
from node_world import in_loop

pytestmark = pytest.mark.cluster

FOUNDERS = ("n1", "n2", "n3", "n4", "n5")
STAY = ("n2", "n3", "n4")


class Load:
    """Writers that each count up on keys of their own, with the context of their last put.
    The value at the end is known exactly: the last number acknowledged."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self.acked: dict[bytes, bytes] = {}
        self.failed: list[str] = []
        self.stop = False

    async def writer(self, number: int) -> None:
        contexts: dict[bytes, bytes] = {}
        i = 0
        while not self.stop:
            i += 1
            key, value = b"%d-%d" % (number, i % 25), b"%d" % i
            try:
                result = await self.client.put(key, value, context=contexts.get(key, b""))
                contexts[key] = result.context
                self.acked[key] = value
            except DynamoError as error:
                self.failed.append(str(error))
            await asyncio.sleep(0.005)


async def settled(cluster: Cluster, members: tuple[str, ...]) -> None:
    async with asyncio.timeout(240):
        while True:
            seen = [await cluster.status(node) for node in members]
            views = [status["membership"] for status in seen if status]
            if (
                len(views) == len(members)
                and all(v["settled"] and v["members"] == sorted(members) for v in views)
                and not any(status["transfers"] for status in seen if status)
            ):
                return
            await asyncio.sleep(0.1)


@in_loop
async def test_two_join_and_two_leave_under_load_and_nothing_is_lost(tmp_path: Path) -> None:
    every_node = (*FOUNDERS, "n6", "n7")
    with reserve(2 * len(every_node)) as ports:
        listen = {node: f"127.0.0.1:{ports.take()}" for node in every_node}
        admin = {node: f"127.0.0.1:{ports.take()}" for node in every_node}
        peers = {a: {b: listen[b] for b in FOUNDERS if b != a} for a in FOUNDERS}
        spec = ClusterSpec(FOUNDERS, tmp_path, listen, admin, peers)
        cluster = unwatched(spec)
        try:
            await cluster.start_all()
            async with Client([listen[n] for n in STAY]) as client:
                load = Load(client)
                writers = [asyncio.create_task(load.writer(i)) for i in range(4)]
                for node in ("n6", "n7"):
                    others = {n: listen[n] for n in cluster.nodes}
                    back = dict.fromkeys(cluster.nodes, listen[node])
                    await cluster.add(node, listen[node], admin[node], others, back)
                    await cluster.ask("n2", "join", node=node)
                await settled(cluster, every_node)
                for node in ("n1", "n5"):
                    await cluster.ask("n3", "leave", node=node)
                await settled(cluster, (*STAY, "n6", "n7"))
                for node in ("n1", "n5"):
                    assert await _empty(cluster, node)
                    await cluster.stop(node)
                load.stop = True
                await asyncio.gather(*writers)
                assert load.failed == []
                await check(cluster, load)
        finally:
            await cluster.stop_all()


async def _empty(cluster: Cluster, node: str) -> bool:
    """Whether a leaver gives up everything in time."""
    async with asyncio.timeout(240):
        while True:
            status = await cluster.status(node)
            if status and not status["objects"] and not status["hints"]:
                return True
            await asyncio.sleep(0.1)


async def check(cluster: Cluster, load: Load) -> None:
    status = await cluster.status("n2")
    assert status is not None
    owned = status["membership"]["owned"].values()
    assert max(owned) - min(owned) <= 1
    assert len(load.acked) == 4 * 25
    for key, value in load.acked.items():
        assert [v.value for v in (await load.client.get(key)).siblings] == [value]
