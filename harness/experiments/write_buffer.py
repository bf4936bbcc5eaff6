"""`write-buffer`: figure 5 of the paper, and what it costs.

Writes that are acknowledged from memory are compared with writes that are synced first, by their
latencies at 99.9%. Then all nodes are killed together, and what was acknowledged and is gone is
counted: the durability that the paper trades.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from dynamesis.cluster.client.client import Client
from dynamesis.cluster.process.interpreter import loop_factory
from dynamesis.harness.experiments.base import Curve, Findings, Plot, Row, Say, Scale
from dynamesis.harness.experiments.processes import (
    PATIENT,
    RANKS,
    Running,
    closed_loop,
    latencies,
    running,
)

NODES, CLIENTS, SIZE = 3, 2, 1000
SECONDS = 15.0

#: name -> the parameters of its nodes
_MODES: Mapping[str, Mapping[str, Any]] = {
    "synced": {"durability": "each"},
    "synced in batches": {"durability": "batched"},
    "buffered, one durable": {"durability": "buffered", "durable_replicas": 1},
    "buffered": {"durability": "buffered", "durable_replicas": 0},
}


@dataclass(frozen=True)
class _Outcome:
    took: list[float]
    lost: int


def run(scale: Scale, say: Say) -> Findings:
    """Raises EnvironmentFailed."""
    outcomes: dict[str, _Outcome] = {}
    for mode, params in _MODES.items():
        say(mode)
        with asyncio.Runner(loop_factory=loop_factory()) as runner:
            outcomes[mode] = runner.run(_measure(params, SECONDS * scale.effort))
    rows: list[Row] = [
        {"mode": mode, **latencies(found.took), "lost": found.lost}
        for mode, found in outcomes.items()
    ]
    by_mode = {row["mode"]: row for row in rows}
    ratio = by_mode["synced"]["p999_ms"] / by_mode["buffered"]["p999_ms"]
    return Findings(
        rows=rows,
        paper="Figure 5: buffered writes lower the 99.9th percentile to about a fifth, with a "
        "buffer of a thousand objects; a crash loses what was in it",
        plot=Plot(
            "one of so many puts takes longer",
            "ms",
            [
                Curve(mode, [(slower, row[f"{name}_ms"]) for slower, name in RANKS])
                for mode, row in by_mode.items()
            ],
            log=True,
        ),
        notes=[
            f"synced writes take {ratio:.2f} times as long at 99.9% as buffered ones; in the paper "
            "about 5 times",
            f"{NODES} nodes on one machine and one disk, lmdb, {CLIENTS} clients in a closed loop; "
            "lost: acknowledged puts that no node has after all were killed together",
        ],
        figures={"p999_ratio": round(ratio, 3)},
    )


async def _measure(params: Mapping[str, Any], seconds: float) -> _Outcome:
    # without anti-entropy: it is not what is measured, and would keep what is to be lost
    params = {**PATIENT, "anti_entropy_interval": 0, **params}
    async with running(NODES, "lmdb", params) as cluster:
        written: dict[bytes, bytes] = {}
        async with Client(cluster.addresses, timeout=30.0) as client:
            numbers = iter(range(1 << 60))

            async def put(worker: int) -> None:
                number = next(numbers)
                key, value = b"key-%d" % number, b"%d " % number + b"v" * SIZE
                await client.put(key, value)
                written[key] = value

            took = await closed_loop(CLIENTS, seconds, put)
            await _kill_all(cluster)
        await asyncio.gather(*map(cluster.cluster.start, cluster.cluster.nodes))
        # nodes that have just started may not reach each other yet
        async with Client(cluster.addresses, timeout=60.0, retries=1000) as client:
            lost = 0
            for key in list(written)[-_READ_BACK:]:
                found = await client.get(key)
                lost += written[key] not in found.values
    return _Outcome(took, lost)


#: puts that are read back, the latest ones: what was written before is long on disk
_READ_BACK = 5000


async def _kill_all(cluster: Running) -> None:
    """SIGKILL to all processes at about the same instant."""
    await asyncio.gather(*map(cluster.cluster.kill, cluster.cluster.nodes))
