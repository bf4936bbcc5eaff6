"""The simulated world that a test runs in: network, nodes, links and clients, built together."""

from __future__ import annotations

from dataclasses import replace
from itertools import count
from pathlib import Path
from random import Random

from dynamesis.checkers.history.op import Op
from dynamesis.harness.links.base import CLIENT
from dynamesis.harness.targets.dynamo.target import (
    DynamoStoreClient,
    DynamoTarget,
    capabilities,
)
from dynamesis.harness.targets.site import Site
from dynamesis.harness.targets.target import BuildContext
from dynamesis.harness.usage.exits import UsageError
from dynamesis.harness.worlds.environment import (
    TestEnvironment,
    place_nodes,
    resolver,
    routes_of,
)
from dynamesis.harness.worlds.options import TestOptions
from dynamesis.harness.worlds.performer import broken
from dynamesis.harness.worlds.simulated.client import Connector
from dynamesis.harness.worlds.simulated.cluster import SimulatedCluster
from dynamesis.harness.worlds.simulated.links import SimulatedLinks, SimulatedProbes
from dynamesis.harness.worlds.simulated.load import SimulatedLoad
from dynamesis.harness.worlds.simulated.loop import VirtualLoop
from dynamesis.harness.worlds.simulated.network import Network
from dynamesis.harness.worlds.simulated.tweaks import Tweaks

#: Nothing is ever written there.
_NOWHERE = Path("/nowhere")


class Numbers:
    """Ports that only serve as names."""

    def __init__(self) -> None:
        self._next = count(10_000)

    def take(self) -> int:
        return next(self._next)


class World:
    """A built world. `environment` is what a test acts on."""

    def __init__(
        self, options: TestOptions, loop: VirtualLoop, tweaks: Tweaks, story: bool
    ) -> None:
        """Raises UsageError for a target that is not made of nodes as values."""
        target = options.target
        if not isinstance(target, DynamoTarget):
            raise UsageError(
                f"--world: target {target.name} cannot be simulated; only target dynamo can"
            )
        self.target = target = target.anew()
        # nothing in a simulated test comes from elsewhere than its options: contexts have a
        # checksum made with the secret, and are in messages and stories
        target.secret = f"the secret of {options.seed}"
        self.network = Network(loop, Random(f"{options.seed} network"), tweaks, story)
        self.connector = Connector(self.network)
        numbers, links = Numbers(), SimulatedLinks(self.network)
        sites = place_nodes(target, options.nodes, numbers, _NOWHERE)
        routes = routes_of(target, sites, numbers)
        site = Site(
            nodes=options.nodes,
            node=sites,
            folder=_NOWHERE,
            resolve=resolver(target, sites, links),
            options=options.target_options,
            workload=options.workload.name,
            model=options.workload.model,
        )
        context = BuildContext(
            site=site,
            spares=(),
            spawned=lambda pid: None,
            exited=lambda pid: None,
            tied=list,
            busy=lambda: 1.0,
            starts=options.starts,
            links=links,
        )
        self.cluster = SimulatedCluster(
            target.cluster_spec(context), self.network, Random(f"{options.seed} nodes"), tweaks
        )
        make_load = SimulatedLoad(lambda node: site.resolve(CLIENT, node, ""), self.connector)
        every, prompt = capabilities(self.cluster, make_load), self.cluster.prompt
        store = replace(every, prompt=prompt, slower=target.slower)
        self.environment = TestEnvironment(
            store, links, tuple(routes), site, sites, numbers, target
        )

    @property
    def probes(self) -> SimulatedProbes:
        """How links look from outside."""
        return SimulatedProbes(self.network)

    def client(self, number: int) -> SimulatedWorker:
        """The client of one thread."""
        return SimulatedWorker(self, number)


class SimulatedWorker:
    """A worker of the interpreter: the target's own client, opened anew when the nodes of the
    cluster have changed."""

    def __init__(self, world: World, number: int) -> None:
        self._world = world
        self._environment = world.environment
        self._number = number
        self._begin()

    def _begin(self) -> None:
        """With a new client, not opened yet."""
        self._client = DynamoStoreClient(self._world.target, self._world.connector)
        self._client.thread = self._number
        self._nodes: tuple[str, ...] = ()

    async def invoke(self, op: Op) -> Op:
        nodes = self._environment.nodes
        if self._nodes != nodes:
            self._nodes = nodes
            await self._client.open(self._environment.client_addresses())
        try:
            return await self._client.invoke(op)
        except Exception as failure:  # on processes, too, the next operation is another client's
            await self._client.close()
            self._begin()
            return broken(op, failure)

    def recorded(self, completion: Op) -> None:
        self._client.recorded(completion.index)

    async def close(self) -> None:
        await self._client.close()
