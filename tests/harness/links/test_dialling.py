"""One suite for every way of dialling: each ordered pair is cut alone, seen on both sides, and
healed, with either kind of proxies behind."""

from __future__ import annotations

import asyncio
from functools import partial
from pathlib import Path

import pytest
from dialling_cluster import NODES, PAIRS, Cluster, cluster, dialling, go_program, need, until
from dynamesis.harness.links.base import route_name
from dynamesis.harness.links.faults import FaultError, RefusedLink
from dynamesis.harness.nemesis.cuts import route_faults

pytestmark = pytest.mark.cluster

#: each way and each kind of proxies; at night each way with each
IN_CI = (("addresses", "embedded"), ("shim", "toxiproxy"), ("namespaces", "embedded"))
WAYS = [
    pytest.param(name, proxies, marks=() if (name, proxies) in IN_CI else pytest.mark.nightly)
    for name in ("addresses", "shim", "namespaces")
    for proxies in ("embedded", "toxiproxy")
]


async def cut_each_alone(running: Cluster) -> None:
    for a, b in PAIRS:
        await running.way.links.apply(route_faults("black-hole", {b: [a]}))
        both = {(a, b), (b, a)}  # requests of one side are lost, answers of the other

        async def cut(both: set[tuple[str, str]] = both) -> bool:
            return await running.up() == set(PAIRS) - both

        await until(cut)
        # what was on its way when the cut began may still come
        silent = partial(running.receive_nothing, (a, b), set(PAIRS) - both)
        await until(silent)
        await running.way.links.heal()
        await until(lambda: whole(running))


async def whole(running: Cluster) -> bool:
    return await running.up() == set(PAIRS)


@pytest.mark.parametrize(("name", "proxies"), WAYS)
def test_each_ordered_pair_is_cut_alone_and_healed(name: str, proxies: str, tmp_path: Path) -> None:
    need(name)

    async def main() -> None:
        async with cluster(name, proxies, tmp_path) as running:
            await cut_each_alone(running)

            async def all_seen() -> bool:
                report = await running.way.report()
                return set(report.through) == {route_name(*pair) for pair in PAIRS}

            await until(all_seen)
            report = await running.way.report()
        assert report.name == name
        assert report.pairs
        assert report.past == {}

    asyncio.run(main())


@pytest.mark.parametrize(
    ("name", "proxies"), [way for way in WAYS if way.values[0] != "namespaces"]
)
def test_what_one_node_dials_is_refused_alone(name: str, proxies: str, tmp_path: Path) -> None:
    need(name)

    async def main() -> None:
        async with cluster(name, proxies, tmp_path) as running:
            for a, b in PAIRS:
                await running.way.links.apply({route_name(a, b): RefusedLink()})

                async def refused(pair: tuple[str, str] = (a, b)) -> bool:
                    return await running.up() == set(PAIRS) - {pair}

                await until(refused)
                await running.way.links.heal([route_name(a, b)])
                await until(lambda: whole(running))

    asyncio.run(main())


def test_namespaces_cut_go_programs_too(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    need("namespaces")
    program = go_program(tmp_path_factory)

    async def main() -> None:
        async with cluster("namespaces", "embedded", tmp_path, program) as running:
            await cut_each_alone(running)
            counts = await running.way.links.count()
            assert all(counts[route_name(*pair)]["bitten"] > 0 for pair in PAIRS)

    asyncio.run(main())


def test_a_go_program_under_the_shim_is_seen_to_go_past_the_proxies(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    need("shim")
    program = go_program(tmp_path_factory)
    need_not = f"{program[0]} is linked statically"

    async def main() -> None:
        async with cluster("shim", "embedded", tmp_path, program) as running:

            async def seen() -> bool:
                report = await running.way.report()
                return set(report.past) == {route_name(*pair) for pair in PAIRS}

            await until(seen)
            report = await running.way.report()
            assert not report.pairs
            assert report.through == {}
            assert "the shim is not loaded in: n1, n2, n3" in report.notes

    asyncio.run(main())
    from dynamesis.harness.links.dialling import choose

    chosen = choose("nodes", program)
    assert chosen is not None
    assert chosen.left_out["shim"] == need_not


def test_what_all_dial_by_one_proxy_is_cut_from_all(tmp_path: Path) -> None:
    async def main() -> None:
        async with cluster("destinations", "embedded", tmp_path) as running:
            for node in NODES:
                to_it = {(other, node) for other in NODES if other != node}
                cut = {route_name(*pair): RefusedLink() for pair in to_it}
                await running.way.links.apply(cut)

                async def isolated(pairs: set[tuple[str, str]] = to_it) -> bool:
                    return await running.up() == set(PAIRS) - pairs

                await until(isolated)
                await running.way.links.heal(list(cut))
                await until(lambda: whole(running))
            with pytest.raises(FaultError, match="n1-n2 cannot have a fault without n3-n2"):
                await running.way.links.apply({"n1-n2": RefusedLink()})
            assert await whole(running)
            assert not (await running.way.report()).pairs

    asyncio.run(main())


def test_namespaces_refuse_half_a_cut_and_other_faults(tmp_path: Path) -> None:
    need("namespaces")

    async def main() -> None:
        async with dialling("namespaces", "embedded", tmp_path) as way:
            cut = route_faults("black-hole", {"n2": ["n1"]})
            with pytest.raises(FaultError, match="n1-n2 cannot be cut that way without n2-n1"):
                await way.links.apply({"n1-n2": cut["n1-n2"]})
            with pytest.raises(FaultError, match="black holes only, and no refused"):
                await way.links.apply({"n1-n2": RefusedLink()})

    asyncio.run(main())
