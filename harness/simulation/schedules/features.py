"""What a swarm may draw for the cluster and its clients, and how likely each is.

Swarm testing (Groce et al., "Swarm testing", 2012): each test has a random part of all features
and does without the others, since features hide each other. A cluster that repairs itself all
the time hides what a read should have repaired; clients that always read first never meet what
a blind write meets.

How large that part is, is drawn as well: combinations of three features are met only where each
is likely, and what one feature hides from another only where nearly all are absent.
"""

from __future__ import annotations

from collections.abc import Callable

from dynamesis.harness.simulation.schedules.random_stream import RandomStream
from dynamesis.workloads.base import Option, Workload

#: How likely each workload is; one that is not here, as often as the least.
WORKLOADS: dict[str, int] = {
    "register": 12,
    "blind": 6,
    "delete": 8,
    "bulk": 5,
    "hot-key": 5,
    "lww": 6,
    "sessions": 2,
    "set": 2,
    "cart": 2,
    "append": 2,
    "counter": 2,
    "crowded": 1,
    "large-values": 1,
}
#: How many keys; more of those with one copy each: what moves, or is kept for a node that is away,
#: is a part of the keys then, and another part on each node.
KEYS: dict[int, int] = {1: 2, 2: 3, 3: 3, 5: 2, 10: 1, 20: 1}
KEYS_OF_ONE_COPY: dict[int, int] = {1: 1, 2: 1, 3: 2, 5: 4, 10: 3, 20: 1}
#: Workloads that make so many keys of one that one is enough, and that are slow with more.
MANY_KEYS = ("bulk", "crowded")
#: n, r, w
QUORUMS: dict[tuple[int, int, int], int] = {
    (3, 2, 2): 8,
    (1, 1, 1): 7,
    (3, 1, 2): 3,
    (3, 2, 1): 1,
    (3, 1, 1): 2,
    (3, 1, 3): 1,
    (3, 3, 1): 1,
    (2, 1, 2): 2,
    (2, 1, 1): 1,
    (2, 2, 1): 1,
    (5, 3, 3): 1,
}
#: How many nodes.
NODES: dict[int, int] = {3: 16, 4: 8, 5: 5, 6: 1, 7: 1}
#: Eleven with a copy each have more writers of a key than a short clock names.
MANY_NODES, MANY_NODES_SHARE = 11, 0.02
#: How likely each parameter and each option is in one schedule: one of these shares.
SHARES: dict[float, int] = {0.03: 3, 0.12: 4, 0.35: 3}


def _zones(draws: RandomStream, nodes: int) -> str:
    """Two zones, of which the first has the fewer nodes."""
    first = max(2, nodes // 2)
    named = [f"n{i}: {'a' if i <= first else 'b'}" for i in range(1, nodes + 1)]
    return "{" + ", ".join(named) + "}"


#: Parameters of nodes (docs/node.md), and how each is drawn for so many nodes.
PARAMS: dict[str, Callable[[RandomStream, int], object]] = {
    "durability": lambda draws, _: draws.choice(("buffered", "buffered", "each")),
    "anti_entropy_interval": lambda draws, _: draws.choice((0, 0, 0.2, 1.0, 2.0)),
    "zones": _zones,
    "weights": lambda draws, nodes: f"{{n{draws.between(1, nodes)}: {draws.choice((0.5, 2))}}}",
    "partitions": lambda draws, _: draws.choice((16, 16, 32)),
    "tree_expiry": lambda draws, _: draws.choice((0.5, 1, 2, 4)),
    "reap_after": lambda draws, _: draws.choice((0.2, 0.2, 0.5, 2, 0)),
    "handoff_interval": lambda draws, _: draws.choice((0.05, 0.1, 1)),
    "probe_interval": lambda draws, _: draws.choice((0.1, 0.25, 1)),
    "gossip_interval": lambda draws, _: draws.choice((0.1, 0.3, 2)),
    "replica_timeout": lambda draws, _: draws.choice((0.1, 0.2, 1)),
    "request_timeout": lambda draws, _: draws.choice((0.3, 0.5, 1)),
    "max_hops": lambda draws, _: draws.between(1, 2),
    "max_requests": lambda draws, _: draws.between(4, 20),
}
#: How likely at least those are whose absence hides the most.
LEAST_SHARES = {"durability": 0.3, "anti_entropy_interval": 0.15}
#: Those that mean something only where writes are acknowledged from memory, each likely there.
BUFFERED: dict[str, Callable[[RandomStream], object]] = {
    "buffer_interval": lambda draws: draws.magnitude(0.02, 2),
    "buffer_rows": lambda draws: draws.between(2, 50),
    "durable_replicas": lambda draws: 2,
}
_BUFFERED_SHARE = 0.5
#: How likely a cluster whose clients delete reaps the tombstones within the test.
REAPING_SHARE = 0.6
#: Parameters with which a network or a disk that is slow all the time does not serve any more.
HASTY = ("replica_timeout", "request_timeout")
#: Options of workloads that a schedule would drown in, and what they are bounded by instead.
_NARROWER: dict[str, tuple[float, float]] = {
    "fill": (0.0, 0.2),
    "timeouts": (0.02, 0.15),
    "foreign": (0.02, 0.2),
    "oversized": (0.02, 0.2),
    "hedges": (0.05, 0.5),
}
_LARGEST = {"large-values": 1 << 14, "set": 1000, "append": 1000}


def params(draws: RandomStream, nodes: int, n: int, share: float, deletes: bool) -> tuple[str, ...]:
    """NAME=VALUE of the parameters that are not the default. `deletes`: whether clients do."""
    chosen = {name: draws.chance(max(share, LEAST_SHARES.get(name, 0.0))) for name in PARAMS}
    if deletes:
        chosen["reap_after"] |= draws.chance(REAPING_SHARE)
    drawn = {name: PARAMS[name](draws, nodes) for name, kept in chosen.items() if kept}
    if drawn.get("durability") == "buffered":
        kept = {name: draws.chance(_BUFFERED_SHARE) for name in BUFFERED}
        drawn |= {name: BUFFERED[name](draws) for name in BUFFERED if kept[name]}
    if n < 2:
        drawn.pop("durable_replicas", None)
        drawn.pop("zones", None)
    drawn.setdefault("partitions", 16)
    return tuple(f"{name}={value}" for name, value in drawn.items())


def tuned(draws: RandomStream, workload: Workload, share: float) -> tuple[str, ...]:
    """NAME=VALUE of the options that are not the default."""
    chosen = []
    for name, option in workload.options.items():
        if name == "largest":
            chosen.append(f"largest={min(_LARGEST.get(workload.name, 1000), 1 << 14)}")
        elif draws.chance(share):
            chosen.append(f"{name}={_value(draws, name, option)}")
    return tuple(chosen)


def _value(draws: RandomStream, name: str, option: Option) -> object:
    if isinstance(option.default, str):
        return draws.choice([str(each) for each in option.allowed])
    low, high = _NARROWER.get(name, tuple(map(float, option.allowed)))
    if isinstance(option.default, int):
        return draws.between(int(low), min(int(high), int(low) + 10))
    extreme = draws.chance(0.2)
    return high if extreme else draws.uniform(low, high)
