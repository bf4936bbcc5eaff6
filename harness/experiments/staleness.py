"""`staleness`: what a read may miss with partial quorums, beside the models of PBS (Bailis et al.,
2012), in simulation.

k-staleness: with N=3 and R=W=1, without any replication after the acknowledgement, a read shows
one of the last k writes with probability 1-(2/3)^k. Here the nodes are cut off from each other, so
that a write stays where it was acknowledged; writes and reads go to nodes drawn evenly.

t-visibility: how likely a read that begins t ms after a write was acknowledged shows it. The model
is WARS: it draws, from the latencies that were measured in the run, how long the write takes to
the replica that is read (W), its acknowledgement to the client (A), and the read to that
replica (R; the answer, S, comes from there).
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from itertools import count
from random import Random

from dynamesis.checkers.history.op import Op
from dynamesis.cluster.core.protocol.messages import Get, PutReply, ReplicaPut
from dynamesis.harness.experiments.base import Curve, Findings, Plot, Row, Say, Scale, relative
from dynamesis.harness.links.faults import Latency, LinkFault, RefusedLink
from dynamesis.harness.worlds.options import plan_test
from dynamesis.harness.worlds.simulated.environment import SimulatedWorker, World
from dynamesis.harness.worlds.simulated.network import Sighting
from dynamesis.harness.worlds.simulated.run import VirtualTime
from dynamesis.harness.worlds.simulated.tweaks import Tweaks
from dynamesis.harness.worlds.test_spec import TestSpec

N, TRIALS = 3, 2000
VERSIONS = range(1, 7)
#: ms after the acknowledgement at which is read
TIMES = (0, 5, 10, 15, 20, 30, 40)
#: between nodes a message takes 20 ms, 20 more or less, drawn evenly; to clients 0.2 to 2 ms
_BETWEEN = Latency(latency_ms=20, jitter_ms=20)
#: draws of the WARS model
_DRAWS = 100_000

_PAPER = (
    "Dynamo's paper has no such figure; PBS: with N=3, R=W=1 a read is within k versions with "
    "probability 1-(2/3)^k, and t-visibility follows WARS"
)


def run(scale: Scale, say: Say) -> Findings:
    """Rows with `k` and rows with `t_ms`, each a measured share beside the model's."""
    trials = scale.of(TRIALS, 50)
    say(f"k-staleness: {trials} keys")
    rows: list[Row] = [*_k_rows(_k_staleness(scale.seed, trials))]
    say(f"t-visibility: {trials} reads at each of {len(TIMES)} times")
    late = [*_t_rows(scale.seed, trials)]
    error = max(relative(row["measured"], row["model"]) for row in (*rows, *late))
    curves = [
        Curve("measured", [(row["t_ms"], row["measured"]) for row in late]),
        Curve("WARS", [(row["t_ms"], row["model"]) for row in late], model=True),
    ]
    return Findings(
        rows=[*rows, *late],
        paper=_PAPER,
        plot=Plot("ms from the acknowledgement to the read", "reads that show the write", curves),
        notes=[
            f"{trials} trials a row, so that a share of 1/2 is known to "
            f"{0.98 / trials**0.5:.1%} (95%)",
            "nodes as values in simulation, where latencies are what they are drawn to be",
        ],
        error=round(error, 4),
    )


# ---- k-staleness


def _k_rows(found: Sequence[int | None]) -> list[Row]:
    """`found`: how many versions back the freshest that each read showed was (1: the last), or
    None for none."""
    rows: list[Row] = []
    for k in VERSIONS:
        measured = sum(back is not None and back <= k for back in found) / len(found)
        model = 1 - (1 - 1 / N) ** k
        rows.append({"k": k, "measured": round(measured, 4), "model": round(model, 4)})
    return rows


def _k_staleness(seed: int, trials: int) -> list[int | None]:
    random = Random(f"{seed} k")
    found: list[int | None] = []

    async def trial(clients: Clients) -> None:
        key = clients.key()
        written = [await clients.put(key, _node(random)) for _ in VERSIONS]
        shown = await clients.get(key, _node(random))
        found.append(
            next((back for back, id in enumerate(reversed(written), 1) if id in shown), None)
        )

    _trials(seed, trials, RefusedLink(), trial)
    return found


# ---- t-visibility


def _t_rows(seed: int, trials: int) -> list[Row]:
    rows: list[Row] = []
    for t in TIMES:
        shown, story = _visible(seed, trials, t / 1000)
        model = _wars(Random(f"{seed} wars"), story, t / 1000)
        rows.append({"t_ms": t, "measured": round(shown, 4), "model": round(model, 4)})
    return rows


def _visible(seed: int, trials: int, after: float) -> tuple[float, list[Sighting]]:
    """The share of reads that showed the write, and every message of the run."""
    random, shown = Random(f"{seed} t {after}"), 0

    async def trial(clients: Clients) -> None:
        nonlocal shown
        key = clients.key()
        written = await clients.put(key, _node(random))
        await asyncio.sleep(after)
        shown += written in await clients.get(key, _node(random))
        await asyncio.sleep(0.1)  # what is under way arrives: no trial delays another

    story = _trials(seed, trials, _BETWEEN, trial)
    return shown / trials, story


def _wars(random: Random, story: list[Sighting], after: float) -> float:
    """The share that the model predicts, from the latencies of this story. Where the read asks
    the node that took the write, one time in N, it shows it."""
    w, a, r = (_latencies(story, kind) for kind in (ReplicaPut, PutReply, Get))
    hits = sum(
        random.choice(w) <= random.choice(a) + after + random.choice(r) for _ in range(_DRAWS)
    )
    return 1 / N + (1 - 1 / N) * hits / _DRAWS


def _latencies(story: list[Sighting], kind: type) -> list[float]:
    """s from when a message of a kind was sent until it was received."""
    sent: dict[int, float] = {}
    took = []
    for seen in story:
        if not isinstance(seen.content, kind):
            continue
        if seen.what == "sent":
            sent[id(seen.content)] = seen.time
        elif seen.what == "received" and id(seen.content) in sent:
            took.append(seen.time - sent.pop(id(seen.content)))
    return took


# ---- three nodes with R = W = 1


class Clients:
    """A client of the simulated nodes, which names the node that each request goes to."""

    def __init__(self, client: SimulatedWorker) -> None:
        self._client = client
        self._numbers = count(1)

    def key(self) -> str:
        """One that was never used."""
        return f"k{next(self._numbers)}"

    async def put(self, key: str, node: str) -> str:
        """Write a version without a context; its id."""
        id = f"0.{next(self._numbers)}"
        value = {"n": id}
        done = await self._ask(
            Op(type="invoke", process=0, f="put", key=key, id=id, value=value, node=node)
        )
        return done.id or ""

    async def get(self, key: str, node: str) -> set[str | None]:
        """The ids of the versions that are shown."""
        done = await self._ask(Op(type="invoke", process=0, f="get", key=key, node=node))
        return {sibling.id for sibling in done.siblings or ()}

    async def _ask(self, op: Op) -> Op:
        done = await self._client.invoke(op)
        if done.type != "ok":
            raise RuntimeError(f"{op.f} of {op.key} at {op.node}: {done.error}")
        return done


def _trials(
    seed: int, trials: int, fault: LinkFault, trial: Callable[[Clients], Awaitable[None]]
) -> list[Sighting]:
    """So many trials one after the other, with this fault on the links between nodes; every
    message from then on."""
    options = plan_test(
        TestSpec(
            nodes=N,
            r=1,
            w=1,
            strict=True,
            seed=seed,
            param=("anti_entropy_interval=0",),
        )
    )
    with VirtualTime() as time:
        world = World(options, time.loop, Tweaks(), story=True)

        async def work() -> None:
            environment = world.environment
            await environment.links.start(environment.routes)
            await environment.store.processes.start_all()
            between = [route.name for route in environment.routes if route.source in options.nodes]
            await environment.links.apply(dict.fromkeys(between, fault))
            await asyncio.sleep(1.0)
            if world.network.story is not None:
                world.network.story.clear()
            clients = Clients(world.client(0))
            for _ in range(trials):
                await trial(clients)

        time.run(work())
    return world.network.story or []


def _node(random: Random) -> str:
    return f"n{random.randint(1, N)}"
