"""All nodes are asked the same, and what one raises is its answer."""

from __future__ import annotations

import asyncio

import pytest
from dynamesis.harness.run.node_answers import node_answers
from dynamesis.harness.worlds.options import plan_test
from dynamesis.harness.worlds.simulated.environment import World
from dynamesis.harness.worlds.simulated.run import VirtualTime
from dynamesis.harness.worlds.simulated.tweaks import Tweaks
from dynamesis.harness.worlds.test_spec import TestSpec


@pytest.mark.parametrize("prompt", [False, True])
def test_each_node_has_its_answer_or_its_error(prompt: bool) -> None:
    async def ask(node: str) -> str:
        if node == "n2":
            raise ValueError(node)
        return node.upper()

    first, second, third = asyncio.run(node_answers(("n1", "n2", "n3"), ask, prompt))
    assert (first, third) == ("N1", "N3")
    assert isinstance(second, ValueError)


def test_simulated_nodes_are_prompt_unless_one_is_paused_or_boots() -> None:
    options = plan_test(
        TestSpec(workload="register", nodes=3, nemesis=("none",), world="simulated", seed=1)
    )
    with VirtualTime() as time:
        world = World(options, time.loop, Tweaks(), False)
        store, cluster = world.environment.store, world.cluster
        seen: list[bool] = []

        async def scenario() -> None:
            await world.environment.links.start(world.environment.routes)
            await cluster.start_all()
            seen.append(store.prompt())
            await cluster.pause("n1")
            seen.append(store.prompt())
            await cluster.kill("n1")
            seen.append(store.observed.prompt())
            starting = asyncio.ensure_future(cluster.start("n1"))
            await asyncio.sleep(0.001)
            seen.append(store.prompt())
            await starting
            seen.append(store.prompt())
            await cluster.stop_all()

        time.run(scenario())
    assert seen == [True, False, True, False, True]
