"""What background work costs requests: `python tests/bench/background.py`.

Five nodes in memory, a steady rate of puts, far below what they can do. First nothing else goes
on; then one node was dead for a while, and hints and exchanges bring it what it missed; in turn,
several times. Prints p50, p99 and p99.9 of both.
"""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path

from dynamesis.cluster.process.cluster_spec import ClusterSpec
from dynamesis.cluster.process.supervisor import unwatched
from dynamesis.harness.processes.ports import reserve
from four_times import NODES, askers, collect, open_loop

RATE = 250.0
SECONDS = 6.0
ROUNDS = 4


def quantiles(latencies: list[float]) -> str:
    latencies = sorted(latencies) or [0.0]
    at = [1e3 * latencies[int(q * (len(latencies) - 1))] for q in (0.5, 0.99, 0.999)]
    return "  ".join(f"{ms:7.1f} ms" for ms in at) + f"  of {len(latencies)}"


async def main() -> None:
    with tempfile.TemporaryDirectory() as folder, reserve(10) as ports:
        listen = {node: f"127.0.0.1:{ports.take()}" for node in NODES}
        admin = {node: f"127.0.0.1:{ports.take()}" for node in NODES}
        peers = {node: {n: a for n, a in listen.items() if n != node} for node in NODES}
        spec = ClusterSpec(NODES, Path(folder), listen, admin, peers, engine="memory")
        cluster = unwatched(spec)
        await cluster.start_all()
        try:
            # the clients are not connected to the node that dies
            all_ = await askers(list(listen.values())[:4], 1000)
            await open_loop(all_, RATE, b"v" * 1000, 3.0)
            collect(all_)
            quiet: list[float] = []
            busy: list[float] = []
            for _ in range(ROUNDS):
                await open_loop(all_, RATE, b"v" * 1000, SECONDS)
                quiet += collect(all_).latencies
                # in memory it comes back empty: its peers have all to bring it
                await cluster.kill("n5")
                await open_loop(all_, 4 * RATE, b"v" * 1000, 3.0)
                await cluster.start("n5")
                # starting a process is not counted as work of the nodes
                await open_loop(all_, RATE, b"v" * 1000, 1.0)
                collect(all_)
                await open_loop(all_, RATE, b"v" * 1000, SECONDS)
                busy += collect(all_).latencies
            print(f"{'':26}    p50         p99       p99.9")
            print(f"nothing in the background {quantiles(quiet)}")
            print(f"a node is brought back    {quantiles(busy)}")
        finally:
            await cluster.stop_all()


if __name__ == "__main__":
    asyncio.run(main())
