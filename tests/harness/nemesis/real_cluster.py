"""A real cluster behind real links, for nemeses that need a node which knows what they do."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
from dynamesis.checkers.history.op import Op
from dynamesis.cluster.client.client import Client, DynamoError
from dynamesis.cluster.process.supervisor import Cluster
from dynamesis.harness.nemesis import Nemesis
from dynamesis.harness.nemesis.faults import FaultAction, action_from_value
from dynamesis.harness.targets.dynamo.target import DynamoTarget
from dynamesis.harness.targets.dynamo.topology import Topology
from dynamesis.harness.targets.target import Demands
from dynamesis.harness.worlds.environment import EnvironmentSpec, TestEnvironment, build
from tiny_cluster import until

KEYS = [b"key-%d" % i for i in range(20)]


async def holds(client: Client, key: bytes) -> bool:
    """Whether what was put is read; it need not be immediately, while replicas are repaired."""
    try:
        siblings = (await client.get(key)).siblings
    except DynamoError:
        return False
    assert [version.value for version in siblings] == [key]
    return True


@dataclass
class Scene:
    world: TestEnvironment
    nemesis: Nemesis
    history: list[Op] = field(default_factory=list)

    @property
    def cluster(self) -> Cluster:
        """Our own nodes."""
        processes = self.world.store.processes
        assert isinstance(processes, Cluster)
        return processes

    def record(self, op: Op) -> Op:
        value = op.value.as_value() if isinstance(op.value, FaultAction) else op.value
        self.history.append(msgspec.structs.replace(op, index=len(self.history), value=value))
        return self.history[-1]

    async def do(self, f: str, **value: Any) -> Op:
        op = Op(type="invoke", process="nemesis", f=f, value=action_from_value(f, value))
        return self.record(await self.nemesis.invoke(op, self.record))

    def values_of(self, f: str) -> list[dict[str, Any]]:
        return [op.value for op in self.history if op.f == f]

    async def members(self) -> list[list[str]]:
        """The members by each node that takes part."""
        cluster = self.cluster
        return [(await cluster.ring(node))["members"] for node in cluster.nodes]

    async def check(self, *members: str) -> None:
        """These are the members, they alone run, and they have everything."""
        cluster = self.cluster
        assert sorted(cluster.nodes) == sorted(members)
        assert await self.members() == [sorted(members)] * len(members)
        async with Client(list(self.world.client_addresses().values())) as client:
            for key in KEYS:
                await until(lambda key=key: holds(client, key))


@asynccontextmanager
async def open_scene(
    folder: Path, size: int, skips: dict[str, str] | None = None, **plan: Any
) -> AsyncIterator[Scene]:
    nodes = tuple(f"n{i}" for i in range(1, size + 1))
    params = {"partitions": 16, **plan.pop("params", {})}
    stored = plan.pop("stored", KEYS)
    starts = plan.pop("starts", ("start-load",))
    top = Topology(nodes, 2, 2, 2, True, "lmdb", (), None, params)
    target = DynamoTarget(top).adapted(Demands(frozenset(starts)))
    wanted = EnvironmentSpec(
        target,
        nodes,
        "embedded",
        folder,
        folder,
        newcomers=3,
        starts=frozenset((*starts, "start-load")),
        **plan,
    )
    with build(wanted, print, lambda what: None) as world:
        try:
            await world.links.start(world.routes)
            await world.store.processes.start_all()
            async with Client(list(world.client_addresses().values())) as client:
                for key in stored:
                    await client.put(key, key)
            ledger = folder / "ledger"
            nemesis = Nemesis(world.store, world.links, ledger, world.welcome, skips)
            yield Scene(world, nemesis)
        finally:
            await asyncio.gather(world.store.processes.stop_all(), world.links.stop())


def run(
    folder: Path, scenario: Callable[[Scene], Awaitable[None]], size: int = 3, **plan: Any
) -> None:
    async def whole() -> None:
        async with open_scene(folder, size, **plan) as scene:
            await scenario(scene)

    asyncio.run(whole())
