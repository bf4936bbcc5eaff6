"""Puts a test together: the world it happens in, the workload, and the nemesis.

Only here does the harness meet the store that it tests.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from ssl import SSLContext
from typing import Any

from dynamesis.checkers.history.op import Op
from dynamesis.cluster.config.tls import dialling
from dynamesis.cluster.core.protocol.params import Params
from dynamesis.harness import generators as gen
from dynamesis.harness.generators import Generator, Rng
from dynamesis.harness.nemesis import Nemesis, Timeline, newcomers
from dynamesis.harness.nemesis.libfaketime import FAKETIME, find
from dynamesis.harness.results.results import LEDGER, Folder
from dynamesis.harness.run.drivers import Performer, start_drivers
from dynamesis.harness.run.recorder import Recorder
from dynamesis.harness.run.runner import Parts
from dynamesis.harness.targets.target import Target
from dynamesis.harness.worlds.environment import TestEnvironment, build
from dynamesis.harness.worlds.load_generator import MOST_REQUESTS, LoadGenerator
from dynamesis.harness.worlds.options import TestOptions
from dynamesis.workloads import WORKLOADS
from dynamesis.workloads.base import Setting
from dynamesis.workloads.client.client import ContextCache, DynamoClient, decode
from dynamesis.workloads.script.used_keys import UsedKeys

#: While a test runs, in its folder: what the processes need, deleted afterwards.
WORK, LINKS = "work", "links"
#: A day in production is seconds in a test: tombstones are reaped while it lasts.
_HASTE = {"reap_after": 1.0}


def node_params(options: TestOptions) -> dict[str, Any]:
    """The parameters of the nodes. Where a fault puts an old disk back, tombstones stay
    as long as in production: a disk from before one was reaped brings back what was deleted,
    and no operator may put it back (docs/node.md)."""
    restores = any(event.value.get("disk") == "restored" for event in options.faults)
    return {**({} if restores else _HASTE), **options.topology.node_params}


@contextmanager
def compose(
    options: TestOptions, folder: Folder, recorder: Recorder, say: Callable[[str], None]
) -> Iterator[Parts]:
    """Everything that a runner needs. Raises EnvironmentFailed. Afterwards every process
    is gone."""
    workload = WORKLOADS[options.workload]
    keys = options.given_keys
    wanted = options.topology.plan(folder / WORK, folder / LINKS)
    starts = {event.f for event in options.faults}
    wanted = replace(
        wanted,
        newcomers=newcomers(options.faults),
        clients=options.concurrency,
        disk_faults="start-disk" in starts,
        clock_faults="start-clock" in starts,
        params={**node_params(options), **wanted.params, **workload.params},
    )
    if "start-load" in starts:
        wanted = replace(wanted, params={**wanted.params, "max_requests": MOST_REQUESTS})

    tls = None if wanted.tls is None else dialling(wanted.tls.ca)

    def restarted(what: dict[str, Any]) -> None:
        recorder.note("links-restarted", what)

    skips: dict[str, str] = {}
    if wanted.clock_faults and options.clocks == FAKETIME:
        found = find()
        wanted = replace(wanted, faketime=found.path)
        if found.path is None:
            skips["clock"] = found.why_not
            say(f"clock faults are skipped: {found.why_not}")

    def begin() -> Callable[[int], DynamoPerformer]:
        contexts = ContextCache()
        return lambda number: DynamoPerformer(contexts, number, tls)

    with (
        start_drivers(options.drivers, options.concurrency, begin) as performers,
        build(wanted, say, restarted) as world,
    ):
        target = Target.of(world.cluster)
        nemesis = Nemesis(
            target,
            world.links,
            folder / LEDGER,
            world.welcome,
            LoadGenerator(world.address, tls),
            skips,
        )
        recorder.listen(nemesis.observe)
        used = UsedKeys()
        recorder.listen(used.observe)
        yield Parts(
            target=target,
            links=world.links,
            routes=world.routes,
            nemesis=nemesis,
            clients={i: Client(world, each) for i, each in enumerate(performers)},
            load=load(options, keys),
            final=lambda _: workload.final_generator(keys, options.tuning, used.keys),
            keys=workload.keys(keys),
            decode=decode,
            anti_entropy=wanted.params.get("anti_entropy_interval") != 0,
        )


def load(options: TestOptions, keys: tuple[str, ...]) -> Generator:
    """The clients' operations and the nemesis's, each from its own stream of one seed."""
    rng = Rng(options.seed)
    workload, tuning = WORKLOADS[options.workload], options.tuning
    met = setting(options)
    clients = workload.generator(rng.split("clients"), keys, options.rate, tuning, met)
    return gen.time_limit(options.time_limit, gen.any(clients, Timeline(options.faults)))


def setting(options: TestOptions) -> Setting:
    """The cluster as scripts aim at it."""
    params = node_params(options)
    return Setting(
        n=options.topology.n,
        durable=options.topology.storage != "memory",
        compares=params.get("anti_entropy_interval") != 0,
        reap_after=params.get("reap_after", Params.reap_after),
        clients=options.concurrency,
    )


class DynamoPerformer:
    """Performs the operations of one thread: a harness.run.drivers.Performer."""

    def __init__(self, contexts: ContextCache, number: int, tls: SSLContext | None) -> None:
        self._contexts = contexts
        self._client = DynamoClient(contexts, number, tls=tls)
        self._token: bytes | None = None

    async def open(self, addresses: Mapping[str, str]) -> None:
        await self._client.open(addresses)

    async def invoke(self, op: Op) -> Op:
        completion, self._token = await self._client.invoke(op)
        return completion

    def recorded(self, index: int) -> None:
        self._contexts.remember(index, self._token)
        self._token = None

    async def close(self) -> None:
        await self._client.close()


class Client:
    """A worker of the interpreter: passes operations to a performer, and opens it anew when
    the nodes of the cluster have changed."""

    def __init__(self, world: TestEnvironment, performer: Performer) -> None:
        self._world = world
        self._performer = performer
        self._nodes: tuple[str, ...] = ()

    async def invoke(self, op: Op) -> Op:
        if self._nodes != self._world.cluster.nodes:
            self._nodes = self._world.cluster.nodes
            await self._performer.open(self._world.client_addresses())
        return await self._performer.invoke(op)

    def recorded(self, completion: Op) -> None:
        self._performer.recorded(completion.index)

    async def close(self) -> None:
        await self._performer.close()
