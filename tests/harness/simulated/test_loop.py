"""What a loop in virtual time keeps, and what a swarm leaves the garbage collector to do."""

from __future__ import annotations

import asyncio
import gc
import weakref
from typing import Any

from dynamesis.harness.generators import any as any_of
from dynamesis.harness.generators import invoke
from dynamesis.harness.generators.schedule import workers
from dynamesis.harness.simulation.swarm import spread
from dynamesis.harness.worlds.simulated.loop import VirtualLoop


def test_tasks_that_have_ended_are_let_go_of() -> None:
    loop = VirtualLoop()
    seen: list[weakref.ref[asyncio.Task[Any]]] = []

    async def work() -> None:
        for _ in range(500):
            task = asyncio.create_task(asyncio.sleep(0.001))
            seen.append(weakref.ref(task))
            await task

    loop.run_until_complete(work())
    assert sum(each() is not None for each in seen) < 100
    assert loop.unfinished() == []
    loop.close()


def test_unfinished_tasks_come_in_the_order_in_which_they_began() -> None:
    loop = VirtualLoop()
    begun: list[asyncio.Task[Any]] = []

    async def work() -> None:
        for number in range(200):
            task = asyncio.create_task(asyncio.sleep(0.001 if number % 3 else 1e6))
            if number % 3 == 0:
                begun.append(task)
        await asyncio.sleep(1)

    loop.run_until_complete(work())
    assert loop.unfinished() == begun
    for task in begun:
        task.cancel()
    loop.run_until_complete(asyncio.gather(*begun, return_exceptions=True))
    loop.close()


def test_the_collector_looks_seldom_while_schedules_are_played_and_as_before_afterwards() -> None:
    before = gc.get_threshold()
    within = list(spread(lambda _: gc.get_threshold()[0], iter(range(2)), 1, lambda: True))
    assert within == [400_000] * 2
    assert gc.get_threshold() == before
    assert gc.get_freeze_count() == 0


def test_sources_that_an_event_leaves_as_they_are_stay_as_they_are() -> None:
    both, event = any_of(invoke("a"), invoke("b")), invoke("c")
    assert both.update(workers(2).context(0), event) is both
