"""A real node that is offered far more than it can store."""

from __future__ import annotations

import asyncio
import platform
from pathlib import Path

import pytest
from dynamesis.cluster.client.client import Client, Connection, DynamoError, Unavailable
from dynamesis.cluster.net.listener import HALF_BOUND
from dynamesis.harness.processes.ports import reserve
from node_world import CLIENT, NodeAlone, Raw, ended, in_loop, until

MIB = 1 << 20
BOUND = 8 * MIB


def anonymous_bytes(pid: int) -> int:
    """Memory of a process without its mapped files."""
    status = Path(f"/proc/{pid}/status").read_text("ascii")
    (line,) = (line for line in status.splitlines() if line.startswith("RssAnon:"))
    return int(line.split()[1]) * 1024


async def flood(
    address: str, puts: int, size: int, timeout: float = 30.0
) -> tuple[int, list[Unavailable]]:
    """Send so many puts concurrently; how many were taken, and the refusals."""
    connection = await Connection.open(address)
    value = bytes(size)
    outcomes = await asyncio.gather(
        *(connection.put(b"%d" % n, value, request="", timeout=timeout) for n in range(puts)),
        return_exceptions=True,
    )
    connection.close()
    others = [o for o in outcomes if isinstance(o, DynamoError) and o.code != "overloaded"]
    assert not others, others[:3]
    refusals = [o for o in outcomes if isinstance(o, Unavailable)]
    return puts - len(refusals), refusals


@pytest.mark.cluster
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="memory is read from /proc")
@in_loop
async def test_memory_is_bounded_under_a_flood_and_the_rest_is_refused(tmp_path: Path) -> None:
    storage = {"engine": "lmdb", "map_size": 1 << 30, "faults": True}
    params = {"n": 1, "r": 1, "w": 1, "max_request_bytes": BOUND, "request_timeout": 30.0}
    with (
        reserve(2) as ports,
        ended(
            NodeAlone(tmp_path, ports.take(), ports.take(), storage=storage, params=params)
        ) as node,
    ):
        process = node.start()
        await node.ready()
        await node.ask("disk", fault="slow-fsync", seconds=0.05)
        before = peak = anonymous_bytes(process.pid)
        floods = [asyncio.ensure_future(flood(node.address, 100, MIB // 4)) for _ in range(4)]
        while not all(f.done() for f in floods):
            peak = max(peak, anonymous_bytes(process.pid))
            await asyncio.sleep(0.01)
        taken = sum(f.result()[0] for f in floods)
        refusals = [refusal for f in floods for refusal in f.result()[1]]
        assert taken
        assert len(refusals) > 200, "100 MiB were offered to a node that takes 8"
        assert all(refusal.retry_after for refusal in refusals)
        assert peak - before < 10 * BOUND, f"{(peak - before) / MIB:.0f} MiB"
        await node.ask("disk", fault="none")

        async def drained() -> bool:
            return not (await node.ask("status"))["requests"]

        while not await drained():
            await asyncio.sleep(0.01)

        def given_back() -> bool:
            """The heap gives back once a second what it has free."""
            return anonymous_bytes(process.pid) - before < 3 * BOUND

        if platform.libc_ver()[0] == "glibc":
            await until(given_back, "the memory of the flood is given back")
        async with Client([node.address]) as store:
            await store.put(b"after", b"the flood")
        await until(lambda: process.poll() is None, "it lives")


@pytest.mark.cluster
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="memory is read from /proc")
@in_loop
async def test_promises_of_large_frames_do_not_fill_the_memory(tmp_path: Path) -> None:
    with (
        reserve(2) as ports,
        ended(NodeAlone(tmp_path, ports.take(), ports.take())) as node,
    ):
        process = node.start()
        await node.ready()
        before = anonymous_bytes(process.pid)
        half = (2 * MIB - 100).to_bytes(4, "big") + bytes(2 * MIB - 200)
        crowd = [await Raw.greeted(node.address, CLIENT) for _ in range(80)]
        for raw in crowd:
            raw.write(half)
        await until(lambda: node.events("bad-frame"), "one connection is closed")
        await until(
            lambda: len(node.events("bad-frame")) >= 80 - HALF_BOUND // (2 * MIB) - 1,
            "all connections over the bound are closed",
        )
        assert anonymous_bytes(process.pid) - before < 2 * HALF_BOUND
        async with Client([node.address]) as client:
            await client.put(b"k", b"v")
        for raw in crowd:
            raw.close()
