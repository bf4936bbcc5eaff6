"""Changes of the membership on a real cluster behind real links."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import pytest

from checkers.op import Op
from cluster.client import Client
from harness.cli.world import Plan, World, build
from harness.nemesis import Nemesis
from harness.nemesis.ledger import Ledger

pytestmark = pytest.mark.cluster

CHANGE = {"joins": 0, "leaves": 0, "removes": 0, "among": ["n2", "n3"], "keep": 2}
KEYS = [b"key-%d" % i for i in range(20)]


@dataclass
class Scene:
    world: World
    nemesis: Nemesis
    history: list[Op] = field(default_factory=list)

    def record(self, op: Op) -> Op:
        self.history.append(msgspec.structs.replace(op, index=len(self.history)))
        return self.history[-1]

    async def do(self, f: str, **value: Any) -> Op:
        return self.record(
            await self.nemesis.invoke(Op(type="invoke", process="nemesis", f=f, value=value),
                                      self.record)
        )  # fmt: skip

    def said(self, f: str) -> list[dict[str, Any]]:
        return [op.value for op in self.history if op.f == f]

    async def members(self) -> list[list[str]]:
        """What each node that takes part says."""
        cluster = self.world.cluster
        return [(await cluster.ring(node))["members"] for node in cluster.nodes]

    async def check(self, *members: str) -> None:
        """These are the members, they alone run, and they have everything."""
        cluster = self.world.cluster
        assert sorted(cluster.nodes) == sorted(members)
        assert await self.members() == [sorted(members)] * len(members)
        async with Client(list(self.world.client_addresses().values())) as client:
            for key in KEYS:
                assert [v.value for v in (await client.get(key)).siblings] == [key]


@asynccontextmanager
async def open_scene(folder: Path, size: int) -> AsyncIterator[Scene]:
    nodes = tuple(f"n{i}" for i in range(1, size + 1))
    params = {"partitions": 16, "n": 2, "r": 1, "w": 2}
    wanted = Plan(nodes, "embedded", "lmdb", folder, folder, params, newcomers=3)
    with build(wanted, print) as world:
        try:
            await world.links.start(world.routes)
            await world.cluster.start_all()
            async with Client(list(world.client_addresses().values())) as client:
                for key in KEYS:
                    await client.put(key, key)
            ledger = folder / "ledger"
            yield Scene(world, Nemesis(world.cluster, world.links, ledger, world.welcome))
        finally:
            await asyncio.gather(world.cluster.stop_all(), world.links.stop())


def run(folder: Path, scenario: Callable[[Scene], Awaitable[None]], size: int = 3) -> None:
    async def whole() -> None:
        async with open_scene(folder, size) as scene:
            await scenario(scene)

    asyncio.run(whole())


def test_newcomers_get_their_share_and_leavers_go_empty_handed(tmp_path: Path) -> None:
    async def scenario(s: Scene) -> None:
        await s.do("start-membership", fault=0, **{**CHANGE, "joins": 2})
        assert s.history[-1].value["joins"] == ["n4", "n5"]
        await s.nemesis.heal_all()
        (proof,) = s.said("evidence")
        assert proof["bit"]
        view = proof["detail"]["membership"]
        assert view["settled"]
        assert view["version"] > proof["detail"]["version_before"]
        assert view["owned"]["n4"] > 0 < view["owned"]["n5"]
        await s.check("n1", "n2", "n3", "n4", "n5")
        await s.do("start-membership", fault=1, **{**CHANGE, "joins": 1, "leaves": 1})
        assert s.history[-1].value["leaves"] == ["n2"]
        await s.nemesis.heal_all()
        assert s.world.cluster.state("n2") == "down"
        await s.check("n1", "n3", "n4", "n5", "n6")
        assert [stop["fault"] for stop in s.said("stop-membership")] == [0, 1]
        assert Ledger(tmp_path / "ledger").open() == {}

    run(tmp_path, scenario)


def test_a_dead_node_is_removed_and_not_started_again(tmp_path: Path) -> None:
    async def scenario(s: Scene) -> None:
        await s.do("start-kill", fault=0, nodes=["n3", "n4"])
        await s.do("start-membership", fault=1, **{**CHANGE, "removes": 1, "among": ["n3"]})
        await s.do("stop-kill", fault=0)
        await s.nemesis.heal_all()
        assert s.world.cluster.state("n3") == "down"
        assert {proof["fault"]: proof["bit"] for proof in s.said("evidence")} == {0: True, 1: True}
        await s.check("n1", "n2", "n4")
        assert not s.said("found-dead")

    run(tmp_path, scenario, size=4)


def test_a_change_that_nobody_can_hear_of_yet_comes_about_after_the_heal(tmp_path: Path) -> None:
    async def scenario(s: Scene) -> None:
        await s.do("start-pause", fault=0, nodes=["n1"])
        await s.do("start-kill", fault=1, nodes=["n2", "n3"])
        await s.do("start-membership", fault=2, **{**CHANGE, "joins": 1})
        assert s.said("evidence")[0]["fault"] == 0
        await s.nemesis.heal_all()
        assert all(proof["bit"] for proof in s.said("evidence"))
        await s.check("n1", "n2", "n3", "n4")

    run(tmp_path, scenario)


def test_nobody_leaves_when_too_few_would_stay(tmp_path: Path) -> None:
    async def scenario(s: Scene) -> None:
        done = await s.do("start-membership", fault=0, **{**CHANGE, "leaves": 1, "keep": 3})
        assert done.value["skipped"]
        await s.do("start-membership", fault=1, **{**CHANGE, "leaves": 1})
        await s.nemesis.heal_all()
        gone = await s.do("start-kill", fault=2, nodes=["n2"])
        assert gone.value["skipped"], "it has left"
        await s.check("n1", "n3")

    run(tmp_path, scenario)
