"""What grows how with the number of nodes and keys: `python tests/bench/scale.py`.

In simulation, on nodes as values: messages and bytes of an idle cluster a second, by kind, and the
CPU that the nodes take for them; on the ring alone: the time of a claim, and of one that follows
another. Prints one line a case, and for each figure the exponent of its growth (the slope in
log-log).
"""

from __future__ import annotations

import asyncio
import math
import time
from collections import Counter, defaultdict
from collections.abc import Sequence

from dynamesis.cluster.core.protocol.messages import (
    Gossip,
    Message,
    Ping,
    TreeKeys,
    TreeLeaves,
    TreeRoots,
)
from dynamesis.cluster.core.ring.claim import claim
from dynamesis.cluster.net.wire import NODE_LIMIT, encode
from dynamesis.harness.worlds.options import plan_test
from dynamesis.harness.worlds.simulated.environment import World
from dynamesis.harness.worlds.simulated.run import VirtualTime
from dynamesis.harness.worlds.simulated.tweaks import Tweaks
from dynamesis.harness.worlds.test_spec import TestSpec

#: virtual seconds in which an idle cluster is watched
_WATCHED = 4.0
_KINDS: tuple[tuple[str, tuple[type, ...]], ...] = (
    ("gossip", (Gossip,)),
    ("probes", (Ping,)),
    ("exchanges", (TreeRoots, TreeLeaves, TreeKeys)),
)


def idle(nodes: int) -> dict[str, float]:
    """Messages and bytes a second of a cluster without load, and CPU seconds a second."""
    spec = TestSpec(world="simulated", nodes=nodes, seed=1, workload="register", nemesis=("none",))
    with VirtualTime() as virtual:
        world = World(plan_test(spec), virtual.loop, Tweaks(), story=True)
        figures: dict[str, float] = {}

        async def work() -> None:
            environment = world.environment
            await environment.links.start(environment.routes)
            began = time.process_time()
            await environment.store.processes.start_all()
            figures["boot_cpu_s"] = time.process_time() - began
            await asyncio.sleep(2.0)
            assert world.network.story is not None
            world.network.story.clear()
            began = time.process_time()
            await asyncio.sleep(_WATCHED)
            figures["cpu_s"] = (time.process_time() - began) / _WATCHED

        virtual.run(work())
        sent = [seen.content for seen in world.network.story or () if seen.what == "sent"]
    counts, sizes = Counter[str](), Counter[str]()
    for message in sent:
        kind = _kind(message)
        counts[kind] += 1
        sizes[kind] += len(encode(message, NODE_LIMIT))
    for kind in (*(name for name, _ in _KINDS), "answers"):
        figures[f"{kind}_messages"] = counts[kind] / _WATCHED
        figures[f"{kind}_bytes"] = sizes[kind] / _WATCHED
    return figures


def _kind(message: Message) -> str:
    return next((name for name, types in _KINDS if isinstance(message, types)), "answers")


def claims(nodes: int, partitions: int) -> dict[str, float]:
    """Seconds of a first claim, and of one after a node has joined."""
    names = [f"n{i}" for i in range(nodes)]
    began = time.process_time()
    first = claim(names, partitions, 4)
    then = time.process_time()
    claim([*names, "new"], partitions, 4, first)
    return {"first_s": then - began, "join_s": time.process_time() - then}


def exponent(points: Sequence[tuple[float, float]]) -> float:
    """The slope of a straight line through the points, in log-log."""
    logs = [(math.log(x), math.log(y)) for x, y in points if y > 0]
    if len(logs) < 2:
        return math.nan
    mean_x = sum(x for x, _ in logs) / len(logs)
    mean_y = sum(y for _, y in logs) / len(logs)
    return sum((x - mean_x) * (y - mean_y) for x, y in logs) / sum(
        (x - mean_x) ** 2 for x, _ in logs
    )


def main() -> None:
    growth: dict[str, list[tuple[float, float]]] = defaultdict(list)
    for nodes in (5, 10, 20, 40, 80):
        figures = idle(nodes)
        shown = "  ".join(f"{name} {value:.4g}" for name, value in figures.items())
        print(f"{nodes:4} nodes, idle, a second: {shown}", flush=True)
        for name, value in figures.items():
            growth[f"idle {name}"].append((nodes, value))
    for nodes, partitions in ((5, 64), (25, 256), (100, 1024), (250, 2048)):
        found = claims(nodes, partitions)
        print(
            f"{nodes:4} nodes, {partitions} partitions: claim {found['first_s']:.3f} s, "
            f"join {found['join_s']:.3f} s",
            flush=True,
        )
        for name, value in found.items():
            growth[f"claim {name}"].append((nodes, value))
    for name, points in growth.items():
        print(f"{name:28} grows with the power {exponent(points):.2f}")


if __name__ == "__main__":
    main()
