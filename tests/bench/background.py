"""What background work costs requests: `python tests/bench/background.py [ROUNDS]`.

Five nodes in memory, a steady rate of puts, far below what they can do. First nothing else goes
on; then one node was dead for a while, and hints and exchanges bring it what it missed; in turn,
several times (4). Only seconds in which keys are brought count for the second, and only others for
the first. Prints p50, p99 and p99.9 of both, from how many puts each is (of 10,000 the p99.9 is the
tenth largest), and how many keys were brought meanwhile.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
from pathlib import Path

from dynamesis.cluster.process.cluster_spec import ClusterSpec
from dynamesis.cluster.process.supervisor import Cluster, unwatched
from dynamesis.harness.processes.ports import reserve
from four_times import NODES, Asker, askers, collect, open_loop

RATE = 250.0
SECONDS = 10.0
#: keys a second up to which there is hardly any background work: writes and exchanges that meet
LEAST = 20


def quantiles(latencies: list[float]) -> str:
    latencies = sorted(latencies) or [0.0]
    at = [1e3 * latencies[int(q * (len(latencies) - 1))] for q in (0.5, 0.99, 0.999)]
    return "  ".join(f"{ms:7.1f} ms" for ms in at) + f"  of {len(latencies)}"


async def brought(cluster: Cluster) -> int:
    """Keys that hints and exchanges have brought to any node so far."""
    found = 0
    for node in NODES:
        if cluster.state(node) == "running":
            figures = await cluster.ask(node, "figures")
            found += (await cluster.ask(node, "status"))["handed_off"]
            found += figures["exchange_repairs"]
    return found


async def measured(
    all_: list[Asker], cluster: Cluster, busy: bool, most: float
) -> tuple[list[float], int]:
    """Latencies at the steady rate, in slices of 1 s of which each brought a key if `busy`, and
    none otherwise; how many keys all of them brought. For so many seconds at most."""
    latencies: list[float] = []
    keys, before = 0, await brought(cluster)
    for _ in range(int(most)):
        await open_loop(all_, RATE, b"v" * 1000, 1.0)
        came = collect(all_).latencies
        now = await brought(cluster)
        if (now - before > LEAST) == busy:
            latencies += came
            keys += now - before
        before = now
    return latencies, keys


async def main(rounds: int) -> None:
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
            keys = [0, 0]
            for _ in range(rounds):
                came, moved = await measured(all_, cluster, False, SECONDS)
                quiet += came
                keys[0] += moved
                # in memory it comes back empty: its peers have all to bring it
                await cluster.kill("n5")
                await open_loop(all_, 4 * RATE, b"v" * 1000, 3.0)
                await cluster.start("n5")
                # starting a process is not counted as work of the nodes
                await open_loop(all_, RATE, b"v" * 1000, 1.0)
                collect(all_)
                came, moved = await measured(all_, cluster, True, SECONDS)
                busy += came
                keys[1] += moved
            print(f"{'':26}    p50         p99       p99.9")
            print(f"nothing in the background {quantiles(quiet)}, {keys[0]} keys brought")
            print(f"a node is brought back    {quantiles(busy)}, {keys[1]} keys brought")
        finally:
            await cluster.stop_all()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]) if len(sys.argv) > 1 else 4))
