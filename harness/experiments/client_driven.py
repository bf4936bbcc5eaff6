"""`client-driven`: table 2 of the paper. A client that keeps a map and goes straight to a
coordinator saves the hop from the node that it asked to one.

Both kinds of clients take turns on one cluster, so that a machine that is busy with other things
disturbs both alike.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from itertools import count
from random import Random
from typing import Any

from dynamesis.cluster.client.client import Client
from dynamesis.cluster.process.interpreter import loop_factory
from dynamesis.harness.experiments.base import Curve, Findings, Plot, Row, Say, Scale
from dynamesis.harness.experiments.processes import RANKS, closed_loop, latencies, running

NODES, KEYS, CLIENTS = 5, 500, 4
#: turns of each kind, and seconds of one
TURNS, TURN = 8, 2.0

#: ms at 99.9%, then on average: (server-driven, client-driven)
_PAPER = {"get": ((68.9, 30.4), (3.9, 1.55)), "put": ((68.5, 30.4), (4.02, 1.9))}
_KINDS = ("server-driven", "client-driven")


#: the links: straight, and each byte so many ms late, as on a network between hosts
_LINKS = {"direct": 0, "5 ms": 5}


def run(scale: Scale, say: Say) -> Findings:
    """Raises EnvironmentFailed."""
    rows: list[Row] = []
    notes: list[str] = []
    straight: dict[str, dict[str, float]] = {}
    for links, late in _LINKS.items():
        say(f"links: {links}")
        with asyncio.Runner(loop_factory=loop_factory()) as runner:
            took, straight[links] = runner.run(_measure(scale, say, late))
        found = [
            {"links": links, "op": op, "kind": kind, **latencies(took[op, kind])}
            for op in _PAPER
            for kind in _KINDS
        ]
        rows += found
        notes += [_ratios(op, links, found) for op in _PAPER]
    shares = straight["direct"]
    return Findings(
        rows=rows,
        paper="Table 2: at 99.9% reads take 68.9 ms server-driven and 30.4 ms client-driven, "
        "writes 68.5 and 30.4; on average 3.9 and 1.55, 4.02 and 1.9",
        plot=Plot(
            "one of so many puts takes longer",
            "ms for a put",
            [
                Curve(
                    f"{row['kind']}, {row['links']}",
                    [(slower, row[f"{name}_ms"]) for slower, name in RANKS],
                )
                for row in rows
                if row["op"] == "put"
            ],
            log=True,
        ),
        notes=[
            *notes,
            "the node that was asked coordinated "
            + " and ".join(f"{part:.1%} of the puts {kind}" for kind, part in shares.items()),
            "a get is coordinated by whichever node is asked, so that a map saves it no hop, only "
            "one of the replicas asked over the network; the paper's had a load balancer before it",
            f"{NODES} nodes on one machine, storage in memory, {CLIENTS} clients in a closed loop",
        ],
        figures={"straight": straight},
    )


def _curve(row: Row) -> Curve:
    points = [(slower, row[f"{name}_ms"]) for slower, name in RANKS]
    return Curve(f"{row['kind']}, {row['links']}", points)


def _ratios(op: str, links: str, rows: list[dict[str, Any]]) -> str:
    """How many times as long a server-driven operation takes, beside the paper."""
    server, client = (row for row in rows if row["op"] == op)
    high, average = _PAPER[op]
    at_high, on_average = (server[of] / client[of] for of in ("p999_ms", "mean_ms"))
    return (
        f"{op}, links {links}: server-driven takes {at_high:.2f} times as long at 99.9% "
        f"(paper {high[0] / high[1]:.2f}), {on_average:.2f} on average "
        f"(paper {average[0] / average[1]:.2f})"
    )


async def _measure(
    scale: Scale, say: Say, latency_ms: int
) -> tuple[dict[tuple[str, str], list[float]], dict[str, float]]:
    """What each operation took by (op, kind), and which share of each kind's puts was coordinated
    by the node that was asked."""
    took: dict[tuple[str, str], list[float]] = {(op, kind): [] for op in _PAPER for kind in _KINDS}
    seen = {kind: [0, 0] for kind in _KINDS}
    async with (
        running(NODES, "memory", latency_ms=latency_ms) as cluster,
        AsyncExitStack() as stack,
    ):
        clients = {
            kind: [
                await stack.enter_async_context(_client(kind, cluster.addresses, i))
                for i in range(CLIENTS)
            ]
            for kind in _KINDS
        }
        load = _Load(scale.seed, seen)
        await load.fill(clients[_KINDS[0]][0])
        turns = scale.of(TURNS, 2)
        for turn in range(turns):
            say(f"turn {turn + 1} of {turns}")
            for kind in _KINDS if turn % 2 else _KINDS[::-1]:
                for op, act in (("get", load.get), ("put", load.put)):
                    done = await closed_loop(CLIENTS, TURN / 2, act(kind, clients[kind]))
                    took[op, kind] += done
    return took, {kind: round(straight / asked, 3) for kind, (straight, asked) in seen.items()}


def _client(kind: str, addresses: Sequence[str], number: int) -> Client:
    """Server-driven clients ask a node each, as a load balancer would deal them out."""
    turned = [*addresses[number % len(addresses) :], *addresses[: number % len(addresses)]]
    return Client(turned, timeout=30.0, client_driven=kind == "client-driven")


class _Load:
    """Keys, each written by one client, that names what it replaces."""

    def __init__(self, seed: int, seen: dict[str, list[int]]) -> None:
        self._random = Random(seed)
        self._seen = seen
        self._contexts: dict[bytes, bytes] = {}
        self._numbers = count()

    async def fill(self, client: Client) -> None:
        for number in range(KEYS):
            key = b"key-%d" % number
            self._contexts[key] = (await client.put(key, b"v" * 100)).context

    def get(self, kind: str, clients: list[Client]) -> Callable[[int], Awaitable[None]]:
        async def act(worker: int) -> None:
            await clients[worker].get(b"key-%d" % self._random.randrange(KEYS))

        return act

    def put(self, kind: str, clients: list[Client]) -> Callable[[int], Awaitable[None]]:
        async def act(worker: int) -> None:
            own = self._random.randrange(worker, KEYS, CLIENTS)  # no two write one key
            key = b"key-%d" % own
            done = await clients[worker].put(key, b"v" * 100, context=self._contexts[key])
            self._contexts[key] = done.context
            self._seen[kind][0] += done.worth.coordinator == done.node
            self._seen[kind][1] += 1

        return act
