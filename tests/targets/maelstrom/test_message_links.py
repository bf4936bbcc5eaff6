"""Links of whole messages: each fault, on each ordered pair and direction, exact by its count."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from itertools import permutations

import pytest
from dynamesis.harness.links.base import plan_routes, route_name
from dynamesis.harness.links.faults import Bandwidth, FaultError, make_fault
from dynamesis.harness.links.messages import MessageLinks

NODES = ("n1", "n2", "n3")


async def made() -> MessageLinks:
    links = MessageLinks()
    await links.start(plan_routes(dict.fromkeys(NODES, "127.0.0.1:1"), range(1, 10)))
    return links


def arrives(links: MessageLinks, a: str, b: str, reply: bool = False) -> int:
    """How many copies of a message arrive at the same time."""
    came: list[int] = []
    links.carry(a, b, reply, 10, lambda: came.append(1))
    return len(came)


def run(test: Callable[[], object]) -> None:
    asyncio.run(test())  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", ["refused", "black-hole", "reset"])
@pytest.mark.parametrize("cut", list(permutations(NODES, 2)))
def test_a_pair_cut_alone(kind: str, cut: tuple[str, str]) -> None:
    async def test() -> None:
        links = await made()
        await links.apply({route_name(*cut): make_fault(kind)})
        for a, b in permutations(NODES, 2):
            assert arrives(links, a, b) == ((a, b) != cut)
        counts = await links.count()
        assert {name for name, c in counts.items() if c["bitten"]} == {route_name(*cut)}
        assert counts[route_name(*cut)]["dropped"] == 1
        await links.heal()
        assert all(arrives(links, a, b) for a, b in permutations(NODES, 2))

    run(test)


def test_one_way_is_one_way() -> None:
    """As harness.nemesis.cuts lays it: n1 does not reach n2, by no request and by no reply."""

    async def test() -> None:
        links = await made()
        await links.apply(
            {
                "n1-n2": make_fault("black-hole", direction="upstream"),
                "n2-n1": make_fault("black-hole", direction="downstream"),
            }
        )
        assert [arrives(links, "n1", "n2", reply) for reply in (False, True)] == [0, 0]
        assert [arrives(links, "n2", "n1", reply) for reply in (False, True)] == [1, 1]

    run(test)


def test_frames_are_lost_doubled_and_overtaken_as_often_as_they_should() -> None:
    async def test() -> None:
        links = await made()
        came: list[int] = []
        fault = make_fault("frames", drop=20, duplicate=20, reorder=20, seed=3)
        await links.apply({"n1-n2": fault})
        for number in range(2000):
            links.carry("n1", "n2", False, 1, lambda n=number: came.append(n))
        await asyncio.sleep(0.1)
        counts = (await links.count())["n1-n2"]
        assert counts["dropped"] == 2000 - len(set(came))
        assert counts["duplicated"] == len(came) - len(set(came))
        late = sum(came[i] < max(came[:i], default=-1) for i in range(len(came)))
        assert 0 < late <= counts["reordered"]
        for what in ("dropped", "duplicated", "reordered"):
            assert 330 < counts[what] < 470
        assert counts["bitten"] == sum(
            counts[what] for what in ("dropped", "duplicated", "reordered")
        )

    run(test)


def test_a_stall_keeps_what_was_sent_in_its_order() -> None:
    async def test() -> None:
        links = await made()
        came: list[int] = []
        await links.apply({"n1-n2": make_fault("stall")})
        for number in range(5):
            links.carry("n1", "n2", False, 1, lambda n=number: came.append(n))
        assert came == []
        await links.heal(["n1-n2"])
        assert came == [0, 1, 2, 3, 4]

    run(test)


def test_latency_is_kept_and_so_is_the_order() -> None:
    async def test() -> None:
        links = await made()
        loop = asyncio.get_running_loop()
        came: list[tuple[int, float]] = []
        began = loop.time()
        await links.apply({"n1-n2": make_fault("slow", latency_ms=60, jitter_ms=30)})
        for number in range(20):
            links.carry("n1", "n2", False, 1, lambda n=number: came.append((n, loop.time())))
        await links.heal()
        links.carry("n1", "n2", False, 1, lambda: came.append((20, loop.time())))
        async with asyncio.timeout(10):
            while len(came) < 21:
                await asyncio.sleep(0.01)
        assert [number for number, _ in came] == list(range(21))
        assert came[0][1] - began >= 0.03
        assert (await links.count())["n1-n2"]["delayed"] == 20

    run(test)


def test_what_whole_messages_cannot_suffer() -> None:
    async def test() -> None:
        links = await made()
        with pytest.raises(FaultError, match="narrow"):
            await links.apply({"n1-n2": Bandwidth()})
        with pytest.raises(FaultError, match="no route"):
            await links.apply({"n1-n9": make_fault("stall")})
        assert arrives(links, "n1", "n2") == 1

    run(test)
