"""Server-driven against client-driven (table 2): `python tests/bench/client_driven.py`.

Five nodes, N=3, R=W=2. The same puts and gets by a client that asks one node for
everything and by one that goes straight to a primary, in turns, so that a noisy machine
disturbs both alike. Latencies in ms, and the ratio of the two.
"""

from __future__ import annotations

import asyncio
import tempfile
import time
from pathlib import Path

from cluster.client import Client
from cluster.supervisor import Cluster, ClusterSpec
from harness.ports import reserve

NODES = tuple(f"n{i}" for i in range(1, 6))
ROUNDS = 20
KEYS = 50


async def measure(store: Client, took: dict[str, list[float]]) -> None:
    for n in range(KEYS):
        key = b"k%d" % n
        began = time.perf_counter()
        read = await store.get(key)
        between = time.perf_counter()
        await store.put(key, bytes(1024), context=read.context)
        took["get"].append(1000 * (between - began))
        took["put"].append(1000 * (time.perf_counter() - between))


async def main() -> None:
    with tempfile.TemporaryDirectory() as folder, reserve(2 * len(NODES)) as ports:
        listen = {node: f"127.0.0.1:{ports.take()}" for node in NODES}
        admin = {node: f"127.0.0.1:{ports.take()}" for node in NODES}
        peers = {a: {b: listen[b] for b in NODES if b != a} for a in NODES}
        cluster = Cluster(ClusterSpec(NODES, Path(folder), listen, admin, peers))
        addresses = list(listen.values())
        took = {kind: {"get": [], "put": []} for kind in ("server", "client")}
        try:
            await cluster.start_all()
            async with (
                Client(addresses) as server,
                Client(addresses, client_driven=True) as client,
            ):
                await measure(server, {"get": [], "put": []})
                await measure(client, {"get": [], "put": []})
                for _ in range(ROUNDS):
                    await measure(server, took["server"])
                    await measure(client, took["client"])
        finally:
            await cluster.stop_all()
    print(f"{'':12}{'mean':>8}{'p50':>8}{'p99':>8}")
    for f in ("get", "put"):
        lines = {kind: _line(sorted(took[kind][f])) for kind in took}
        for kind, line in lines.items():
            print(f"{f} {kind:8}" + "".join(f"{value:8.2f}" for value in line))
        ratio = [b / a for a, b in zip(lines["server"], lines["client"], strict=True)]
        print(f"{f} ratio   " + "".join(f"{value:8.2f}" for value in ratio))


def _line(values: list[float]) -> list[float]:
    return [
        sum(values) / len(values),
        values[len(values) // 2],
        values[int(0.99 * len(values))],
    ]


if __name__ == "__main__":
    asyncio.run(main())
