"""Server-driven against client-driven (table 2): `python tests/bench/client_driven.py`.

Five nodes, N=3, R=W=2; once in memory, where hops are what an operation costs, and once on
disk, where two synced writes, one after the other, are what a put costs. A server-driven
client asks any node, as through the paper's load balancer; a client-driven one goes
straight to a primary. They take turns operation by operation, so that a noisy machine
disturbs both alike. Latencies in ms, and the ratio of the two.
"""

from __future__ import annotations

import asyncio
import tempfile
import time
from itertools import cycle
from pathlib import Path

from dynamesis.cluster.client.client import Client
from dynamesis.cluster.process.cluster_spec import ClusterSpec
from dynamesis.cluster.process.supervisor import unwatched
from dynamesis.harness.processes.ports import reserve

NODES = tuple(f"n{i}" for i in range(1, 6))
ROUNDS = 40
KEYS = 50
#: a machine that stalls for a while does not end the measurement
PATIENT = {"replica_timeout": 20.0, "request_timeout": 30.0}

Took = dict[tuple[str, str], list[float]]
#: client -> of each put, whether it had to be forwarded
forwarded: dict[str, list[bool]] = {}


async def measure(store: Client, kind: str, key: bytes, took: Took) -> None:
    """One get and one put of what it returned."""
    began = time.perf_counter()
    read = await store.get(key)
    between = time.perf_counter()
    done = await store.put(key, bytes(1024), context=read.context)
    ended = time.perf_counter()
    forwarded.setdefault(kind, []).append(done.worth.coordinator != done.node)
    took.setdefault(("get", kind), []).append(1000 * (between - began))
    took.setdefault(("put", kind), []).append(1000 * (ended - between))


async def run(engine: str) -> Took:
    with tempfile.TemporaryDirectory() as folder, reserve(2 * len(NODES)) as ports:
        listen = {node: f"127.0.0.1:{ports.take()}" for node in NODES}
        admin = {node: f"127.0.0.1:{ports.take()}" for node in NODES}
        peers = {a: {b: listen[b] for b in NODES if b != a} for a in NODES}
        spec = ClusterSpec(NODES, Path(folder), listen, admin, peers, PATIENT, engine)
        cluster = unwatched(spec)
        addresses = list(listen.values())
        any_node = cycle([Client([address], timeout=30.0) for address in addresses])
        straight = Client(addresses, timeout=30.0, client_driven=True)
        took: Took = {}
        forwarded.clear()
        try:
            await cluster.start_all()
            for round_ in range(-2, ROUNDS):
                for n in range(KEYS):
                    # never the key that the other has just written: its replicas are busy
                    await measure(next(any_node), "server", b"k%d" % n, took)
                    await measure(straight, "client", b"k%d" % ((n + KEYS // 2) % KEYS), took)
                if round_ < 0:
                    took.clear()  # connections, maps and first epochs are there now
        finally:
            await cluster.stop_all()
    return took


def show(engine: str, took: Took) -> None:
    print(f"{engine:12}{'mean':>8}{'p50':>8}{'p99':>8}{'p99.9':>8}")
    for f in ("get", "put"):
        server, client = (_line(sorted(took[f, kind])) for kind in ("server", "client"))
        ratio = [b / a for a, b in zip(server, client, strict=True)]
        for name, line in (("server", server), ("client", client), ("ratio", ratio)):
            print(f"{f} {name:8}" + "".join(f"{value:8.2f}" for value in line))
    for kind, puts in forwarded.items():
        print(f"puts that were forwarded, {kind}-driven: {sum(puts) / len(puts):.0%}")


def _line(values: list[float]) -> list[float]:
    ranks = [values[int(share * len(values))] for share in (0.5, 0.99, 0.999)]
    return [sum(values) / len(values), *ranks]


if __name__ == "__main__":
    for chosen in ("memory", "lmdb"):
        show(chosen, asyncio.run(run(chosen)))
