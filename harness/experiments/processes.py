"""A cluster of processes for the experiments in which time is the point."""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import mean
from typing import Any

from dynamesis.cluster.process.cluster_spec import ClusterSpec
from dynamesis.cluster.process.supervisor import Cluster
from dynamesis.harness.experiments.base import rank
from dynamesis.harness.links import LINKS, LinkContext
from dynamesis.harness.links.base import CLIENT, plan_routes
from dynamesis.harness.links.faults import Latency
from dynamesis.harness.processes.ports import reserve
from dynamesis.harness.processes.process_guard import ProcessGuard
from dynamesis.harness.processes.signals import ending_the_loop
from dynamesis.harness.targets.system import EnvironmentFailed

#: one operation of so many takes longer than this figure of latencies()
RANKS = ((2.0, "p50"), (100.0, "p99"), (1000.0, "p999"))
#: on a machine that pauses for a while no request is given up, or sent to a fallback
PATIENT: Mapping[str, Any] = {"replica_timeout": 20.0, "request_timeout": 30.0}


@dataclass(frozen=True)
class Running:
    """A cluster that is up, and where clients reach its nodes, host:port."""

    cluster: Cluster
    addresses: Sequence[str]


@asynccontextmanager
async def running(
    nodes: int, engine: str, params: Mapping[str, Any] = PATIENT, latency_ms: int = 0
) -> AsyncIterator[Running]:
    """So many nodes with this storage engine, ready; every process is gone when the context ends.
    `latency_ms`: how late every byte is on each link, by a proxy; 0 is without proxies. Raises
    EnvironmentFailed."""
    names = tuple(f"n{i + 1}" for i in range(nodes))
    kind = LINKS["embedded" if latency_ms else "direct"]
    guard = ProcessGuard.start()
    wanted = 2 * nodes + nodes**2 + kind.api_ports(nodes)
    with (
        ending_the_loop(),
        tempfile.TemporaryDirectory(prefix="dynamesis-experiment-") as root,
        reserve(wanted) as ports,
    ):
        listen = {name: f"127.0.0.1:{ports.take()}" for name in names}
        admin = {name: f"127.0.0.1:{ports.take()}" for name in names}
        links = kind.make(LinkContext(Path(root), ports, guard, _unheard, _unheard))
        routes = plan_routes(listen, (ports.take() for _ in range(nodes**2)))
        await links.start(routes)
        peers = {a: {b: links.address(a, b) for b in names if b != a} for a in names}
        spec = ClusterSpec(names, Path(root), listen, admin, peers, params, engine)
        cluster = Cluster(spec, guard.add, guard.drop, lambda: 4.0)
        try:
            await cluster.start_all()
            if latency_ms:
                late = Latency(latency_ms=latency_ms)
                await links.apply({route.name: late for route in routes})
            yield Running(cluster, tuple(links.address(CLIENT, name) for name in names))
        except RuntimeError as error:
            raise EnvironmentFailed(str(error)) from error
        finally:
            await cluster.stop_all()
            await links.stop()
            guard.close()


def _unheard(what: object) -> None:
    """What links have to say is of no concern here."""


async def closed_loop(
    workers: int, seconds: float, act: Callable[[int], Awaitable[None]]
) -> list[float]:
    """So many workers, each of which does act(worker) again and again; how long each took, s."""
    took: list[float] = []
    end = time.perf_counter() + seconds

    async def work(worker: int) -> None:
        while (began := time.perf_counter()) < end:
            await act(worker)
            took.append(time.perf_counter() - began)

    async with asyncio.TaskGroup() as group:
        for worker in range(workers):
            group.create_task(work(worker))
    return took


def latencies(took: Sequence[float]) -> dict[str, float]:
    """Mean, median and high ranks in ms, and how many there were."""
    ordered = sorted(took)
    return {
        "count": len(ordered),
        "mean_ms": round(1e3 * mean(ordered), 3),
        "p50_ms": round(1e3 * rank(ordered, 0.5), 3),
        "p99_ms": round(1e3 * rank(ordered, 0.99), 3),
        "p999_ms": round(1e3 * rank(ordered, 0.999), 3),
    }
