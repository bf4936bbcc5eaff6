"""Nemeses that strike at one moment of a node's life: what they do, that they say so, and that
it is undone. On the real store, which has to survive them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from dynamesis.cluster.client.client import Client, DynamoError
from dynamesis.harness.nemesis.ledger import Ledger
from real_cluster import KEYS, Scene, run
from tiny_cluster import until

pytestmark = pytest.mark.cluster

CHANGE = {"joins": 0, "leaves": 0, "removes": 0, "among": ["n2", "n3"], "keep": 2, "back": True}


@asynccontextmanager
async def load(s: Scene) -> AsyncIterator[None]:
    """Puts and gets at all nodes, as long as it is open."""

    async def go_on() -> None:
        async with Client(list(s.world.client_addresses().values()), timeout=0.5) as client:
            while True:
                for key in KEYS:
                    try:
                        read = await client.get(key)
                        await client.put(key, key, read.context)
                    except DynamoError:
                        await asyncio.sleep(0.01)

    tasks = [asyncio.create_task(go_on()) for _ in range(4)]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def proofs(s: Scene) -> dict[int, dict[str, Any]]:
    return {proof["fault"]: proof for proof in s.values_of("evidence")}


def test_a_node_dies_while_it_is_stopped(tmp_path: Path) -> None:
    async def scenario(s: Scene) -> None:
        pid = s.cluster._process("n2").pid
        async with load(s):
            await s.do("start-kill", fault=0, nodes=["n2"], pause_ms=200)
            assert s.cluster.exit_code("n2") == -9
            await s.do("stop-kill", fault=0)
        await s.nemesis.heal_all()
        assert proofs(s)[0]["detail"] == {"gone": {"n2": pid}}
        await s.check("n1", "n2", "n3")

    run(tmp_path, scenario)


@pytest.mark.parametrize("grace_ms", [0, 10_000])
def test_a_node_dies_in_the_middle_of_its_shutdown_or_is_down_before(
    tmp_path: Path, grace_ms: int
) -> None:
    async def scenario(s: Scene) -> None:
        async with load(s):
            value: Any = {"nodes": ["n3"], "signal": "SIGTERM", "grace_ms": grace_ms}
            wanted = 0 if grace_ms else -9
            # where this process waits for a core, the node may have ended before the SIGKILL
            for fault in range(20):
                await s.do("start-kill", fault=fault, **value)
                code = s.cluster.exit_code("n3")
                await s.do("stop-kill", fault=fault)
                if code == wanted:
                    break
            assert code == wanted
        await s.nemesis.heal_all()
        assert proofs(s)[0]["bit"]
        assert not s.values_of("found-dead")
        await s.check("n1", "n2", "n3")

    run(tmp_path, scenario)


def test_a_wiped_node_is_left_to_its_clients_before_its_peers_reach_it(tmp_path: Path) -> None:
    async def scenario(s: Scene) -> None:
        async with load(s):
            await s.do("start-wipe", fault=0, nodes=["n1"], apart=True)
            await s.do("stop-wipe", fault=0)
        assert proofs(s)[0]["bit"]
        assert set(proofs(s)[0]["detail"]["apart"]) == {"n1"}
        assert proofs(s)[0]["detail"]["wiped"] == ["n1"]
        assert Ledger(tmp_path / "ledger").open() == {}
        await s.check("n1", "n2", "n3")

    run(tmp_path, scenario)


def test_a_node_with_an_old_disk_starts_without_its_peers(tmp_path: Path) -> None:
    async def scenario(s: Scene) -> None:
        async with load(s):
            for fault, disk in enumerate(("copied", "restored")):
                await s.do("start-wipe", fault=fault, nodes=["n1"], disk=disk, apart=bool(fault))
                await s.do("stop-wipe", fault=fault)
        assert "apart" not in proofs(s)[0]["detail"]
        assert proofs(s)[1]["detail"]["apart"]["n1"]["before"]
        await s.check("n1", "n2", "n3")

    run(tmp_path, scenario)


def test_a_node_that_is_to_start_alone_is_healed_like_any_other(tmp_path: Path) -> None:
    async def scenario(s: Scene) -> None:
        await s.do("start-wipe", fault=0, nodes=["n1"], apart=True)
        await s.nemesis.heal_all()
        assert proofs(s)[0]["bit"]
        await s.check("n1", "n2", "n3")

    run(tmp_path, scenario)


async def gives(s: Scene) -> bool:
    """Whether some node waits for exchanges before it drops a partition."""
    cluster = s.cluster
    statuses = await asyncio.gather(*map(cluster.status, cluster.nodes))
    moving = [each for status in statuses if status for each in status["moving"]]
    return any(each["state"] == "giving up" and each["waiting_for"] for each in moving)


def test_a_node_that_gives_up_partitions_is_cut_off_from_those_it_waits_for(tmp_path: Path) -> None:
    async def scenario(s: Scene) -> None:
        aim: Any = {"target": "giver", "key": "k", "otherwise": "n2", "kind": "refused"}
        await s.do("start-cut", fault=0, **aim)
        assert s.history[-1].value["grudge"] == [["n2"], ["n1", "n3"]], "no node gives up any"
        await s.do("stop-cut", fault=0)
        async with load(s):
            await s.do("start-membership", fault=1, **{**CHANGE, "joins": 1, "back": False})
            await until(lambda: gives(s))
            await s.do("start-cut", fault=2, **{**aim, "otherwise": "n4"})
            (giver,), peers = s.history[-1].value["grudge"]
            assert giver != "n4", "a node that only joins gives up nothing"
            assert "n4" in peers
            await s.do("stop-cut", fault=2)
        await s.nemesis.heal_all()
        await s.check("n1", "n2", "n3", "n4")

    # so rare that one is waited for when the cut strikes
    run(tmp_path, scenario, params={"anti_entropy_interval": 2.0})


def test_partitions_move_to_a_newcomer_and_back(tmp_path: Path) -> None:
    async def scenario(s: Scene) -> None:
        async with load(s):
            await s.do("start-membership", fault=0, **{**CHANGE, "joins": 1}, after_ms=100)
            assert s.history[-1].value["joins"] == s.history[-1].value["leaves"] == ["n4"]
            await s.nemesis.heal_all()
        assert proofs(s)[0]["bit"]
        assert s.cluster.state("n4") == "down"
        await s.check("n1", "n2", "n3")

    run(tmp_path, scenario)


def test_a_leaver_that_is_hardly_out_comes_back_or_has_gone_permanently(tmp_path: Path) -> None:
    async def scenario(s: Scene) -> None:
        async with load(s):
            for fault in range(2):
                value = {**CHANGE, "leaves": 1, "among": ["n2"], "after_ms": 500 * fault}
                await s.do("start-membership", fault=fault, **value)
                await s.nemesis.heal_all()
                if "n2" not in s.cluster.nodes:
                    break
        last = max(proofs(s))
        assert all(proof["bit"] for proof in proofs(s).values())
        came = proofs(s)[last]["detail"]["back"]["n2"]
        assert (came == "joined") == ("n2" in s.cluster.nodes), came
        assert came == "joined" or "has gone" in came
        await s.check(*s.cluster.nodes)

    run(tmp_path, scenario)


def test_a_removed_node_joins_again_under_its_name_with_nothing(tmp_path: Path) -> None:
    async def scenario(s: Scene) -> None:
        async with load(s):
            value = {**CHANGE, "removes": 1, "among": ["n3"], "after_ms": 0}
            await s.do("start-membership", fault=0, **value)
            assert s.history[-1].value["removes"] == s.history[-1].value["joins"] == ["n3"]
            await s.do("start-membership", fault=1, **{**CHANGE, "joins": 1, "back": False})
            await s.nemesis.heal_all()
            assert proofs(s)[0]["detail"]["back"] == {"n3": "joined"}
            await s.check("n1", "n2", "n3", "n4")
            await s.do("start-kill", fault=2, nodes=["n3"])
            await s.do("stop-kill", fault=2)
        await s.nemesis.heal_all()
        assert not s.values_of("found-dead")
        await s.check("n1", "n2", "n3", "n4")

    run(tmp_path, scenario)


def test_a_name_that_was_closed_is_refused_and_its_node_stopped(tmp_path: Path) -> None:
    async def scenario(s: Scene) -> None:
        value = {**CHANGE, "removes": 1, "among": ["n3"], "after_ms": 4000}
        await s.do("start-membership", fault=0, **value)
        await s.nemesis.heal_all()
        assert "takes another name" in proofs(s)[0]["detail"]["back"]["n3"]
        assert s.cluster.state("n3") == "down"
        await s.check("n1", "n2")

    run(tmp_path, scenario, params={"reap_after": 0.5})
