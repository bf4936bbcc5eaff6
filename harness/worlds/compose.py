"""Puts a test together: the world it happens in, the workload, and the nemesis."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from dynamesis.checkers.history.op import JsonObject, Op
from dynamesis.harness import generators as gen
from dynamesis.harness.generators import Generator, Rng
from dynamesis.harness.links.base import Incident
from dynamesis.harness.nemesis import FaultTimeline, Nemesis, aimed_keys, newcomers
from dynamesis.harness.nemesis.libfaketime import FAKETIME, find
from dynamesis.harness.results.results import LEDGER, Folder
from dynamesis.harness.run.driver_messages import Progress
from dynamesis.harness.run.driver_process import Performer
from dynamesis.harness.run.drivers import start_drivers
from dynamesis.harness.run.load_share import LoadPlan
from dynamesis.harness.run.recorder import Recorder
from dynamesis.harness.run.runner import RunnerParts
from dynamesis.harness.run.shared_load import SharedLoad
from dynamesis.harness.targets.site import save
from dynamesis.harness.targets.target import Target
from dynamesis.harness.worlds.environment import EnvironmentSpec, TestEnvironment, build
from dynamesis.harness.worlds.options import TestOptions
from dynamesis.harness.worlds.past import DIALLED_PAST, past_watch
from dynamesis.harness.worlds.performer import TargetPerformer
from dynamesis.workloads.script.settings import Setting
from dynamesis.workloads.script.shared import WHOLE, Share
from dynamesis.workloads.script.used_keys import UsedKeys

#: While a test runs, in its folder: what the processes need, deleted afterwards.
WORK, LINKS = "work", "links"
#: In WORK: the addresses of the nodes, for the processes of clients.
SITE = "site.json"


@contextmanager
def compose(
    options: TestOptions,
    folder: Folder,
    recorder: Recorder,
    say: Callable[[str], None],
    performed: Callable[[Mapping[str, int], int], None],
) -> Iterator[RunnerParts]:
    """Everything that a runner needs; `performed` is called with the operations of a load that
    drivers schedule (Observer.performed). Raises EnvironmentFailed. Afterwards every process is
    gone."""
    workload, target, keys = options.workload, options.target, options.given_keys
    faketime, skips = _faketime(options, say)
    spec = _environment(options, folder, faketime)

    def restarted(what: Incident) -> None:
        recorder.note("links-restarted", what)

    def dialled_past(pair: JsonObject) -> None:
        recorder.note(DIALLED_PAST, pair)

    site = (folder / WORK / SITE).resolve()
    shares = shares_of(options, folder, say)
    begin = performers_of(target, site)
    with (
        start_drivers(options.drivers, options.concurrency, begin, shares) as drivers,
        build(spec, say, restarted) as world,
    ):
        names = [route.name for route in world.routes]
        nemesis = Nemesis(world.store, world.links, folder / LEDGER, world.welcome, skips, names)
        recorder.listen(nemesis.observe)
        used = UsedKeys()
        recorder.listen(used.observe)
        watch = past_watch(world, dialled_past)

        def addresses() -> dict[str, str]:
            _save_site(world, site)
            return world.client_addresses()

        def seen(progress: Progress) -> None:
            performed(progress.counts, progress.time)
            for op in progress.newest:
                nemesis.observe(op)

        shared = SharedLoad(drivers.sharing, addresses, seen, used.add)
        yield RunnerParts(
            store=world.store,
            links=world.links,
            routes=world.routes,
            nemesis=nemesis,
            clients={
                i: ReopeningClient(world, each, site) for i, each in enumerate(drivers.performers)
            },
            load=faults_of(options) if drivers.sharing else load_of(options, keys),
            final=lambda _: final_reads(options, used.keys, world.nodes),
            keys=workload.keys(keys),
            anti_entropy=target.limits.anti_entropy,
            lacks=options.lacks,
            look=None if watch is None else watch.look,
            shared_load=shared if drivers.sharing else None,
        )


def _environment(options: TestOptions, folder: Folder, faketime: Path | None) -> EnvironmentSpec:
    """What is to be started for the test."""
    return EnvironmentSpec(
        target=options.target,
        nodes=options.nodes,
        links=options.links,
        root=(folder / WORK).resolve(),
        logs=(folder / LINKS).resolve(),
        options=options.target_options,
        workload=options.workload.name,
        model=options.workload.model,
        port_base=options.port_base,
        newcomers=newcomers(options.faults),
        starts=options.starts,
        faketime=faketime,
        clients=options.concurrency,
    )


def final_reads(options: TestOptions, used: tuple[str, ...], nodes: tuple[str, ...]) -> Generator:
    """The final reads."""
    workload, keys, tuning = options.workload, options.given_keys, options.tuning
    if workload.every_node:
        return workload.final_generator(keys, tuning, used, nodes)
    return workload.final_generator(keys, tuning, used)


def _faketime(
    options: TestOptions, say: Callable[[str], None]
) -> tuple[Path | None, dict[str, str]]:
    """libfaketime, where clocks are to be wrong through it; and which family is skipped
    because it is not there."""
    if "start-clock" not in options.starts or options.clocks != FAKETIME:
        return None, {}
    found = find()
    if found.path is None:
        say(f"clock faults are skipped: {found.why_not}")
        return None, {"clock": found.why_not}
    return found.path, {}


def performers_of(target: Target, site: Path) -> Callable[[], Callable[[int], TargetPerformer]]:
    """What makes the performer of each client thread, in the process where it is to run."""
    return lambda: lambda number: TargetPerformer(target, site, number)


def load_of(options: TestOptions, keys: tuple[str, ...]) -> Generator:
    """The clients' operations and the nemesis's, each from its own stream of one seed."""
    clients = _clients(options, keys, options.rate, WHOLE)
    return gen.time_limit(options.time_limit, gen.any(clients, FaultTimeline(options.faults)))


def faults_of(options: TestOptions) -> Generator:
    """The nemesis's operations alone."""
    return gen.time_limit(options.time_limit, FaultTimeline(options.faults))


def _clients(options: TestOptions, keys: tuple[str, ...], rate: float, share: Share) -> Generator:
    rng = Rng(options.seed).split("clients")
    met = Setting(clients=options.concurrency, **options.target.setting)
    workload = options.workload
    if share == WHOLE:  # a workload of a user's own need not know of shares
        return workload.generator(rng, keys, rate, options.tuning, met)
    return workload.generator(rng, keys, rate, options.tuning, met, share)


def shares_of(options: TestOptions, folder: Folder, say: Callable[[str], None]) -> LoadPlan | None:
    """How drivers share the load out; None where they do not."""
    workload, threads = options.workload, options.concurrency
    if not options.drivers:
        return None
    if not workload.shared_out(options.tuning):
        say(
            f"clients of workload {workload.name} must know of each other: the harness schedules "
            "all of them, and drivers perform the operations"
        )
        return None

    def load(number: int, drivers: int) -> Generator:
        rate = options.rate * len(range(number, threads, drivers)) / threads
        clients = _clients(options, options.given_keys, rate, Share(number, drivers))
        return gen.time_limit(options.time_limit, clients)

    return LoadPlan(folder.path, threads, load, aimed_keys(options.faults), UsedKeys)


def _save_site(world: TestEnvironment, site: Path) -> None:
    """The addresses of all nodes, for the processes that make clients of them."""
    if not site.exists():
        save(world.site, world.addresses(), site)


class ReopeningClient:
    """A worker of the interpreter: passes operations to a performer, and opens it anew when
    the nodes of the cluster have changed."""

    def __init__(self, world: TestEnvironment, performer: Performer, site: Path) -> None:
        self._world = world
        self._performer = performer
        self._site = site
        self._nodes: tuple[str, ...] = ()

    async def invoke(self, op: Op) -> Op:
        if self._nodes != self._world.nodes:
            self._nodes = self._world.nodes
            _save_site(self._world, self._site)
            await self._performer.open(self._world.client_addresses())
        return await self._performer.invoke(op)

    def recorded(self, completion: Op) -> None:
        self._performer.recorded(completion.index)

    async def close(self) -> None:
        await self._performer.close()
