"""Disks that fail under real nodes: each fault takes effect, is proved, and ends when lifted."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from dynamesis.cluster.client.client import Client, DynamoError
from dynamesis.harness.nemesis.disks import DISK_FAULTS
from real_cluster import KEYS, Scene, run
from tiny_cluster import until

pytestmark = pytest.mark.cluster

SETTINGS: dict[str, Any] = {"rows": 5, "seconds": 0.05}


async def use(s: Scene, node: str) -> int:
    """Write what is written already, and read it, through one node; how often that failed."""
    failed = 0
    async with Client([s.world.client_addresses()[node]]) as client:
        for key in KEYS[:5]:
            try:
                await client.put(key, key, context=(await client.get(key)).context)
            except DynamoError:
                failed += 1
    return failed


@pytest.mark.parametrize("kind", DISK_FAULTS)
def test_a_bad_disk_takes_effect_and_is_mended(tmp_path: Path, kind: str) -> None:
    async def scenario(s: Scene) -> None:
        settings = {name: SETTINGS[name] for name in DISK_FAULTS[kind]}
        await s.do("start-disk", fault=0, kind=kind, nodes=["n1"], **{"with": settings})

        async def bitten() -> bool:
            await use(s, "n1")
            return s.nemesis._watches[0].over

        await until(bitten)
        await s.do("stop-disk", fault=0)
        (proof,) = s.values_of("evidence")
        assert proof["bit"]
        assert proof["detail"]["bites"]["n1"] > 0
        status = await s.cluster.status("n1")
        assert status is not None
        assert status["disk"]["fault"] == "none"

        async def works() -> bool:
            return await use(s, "n1") == 0

        await until(works)
        await s.check("n1", "n2", "n3")

    run(tmp_path, scenario, starts=("start-disk",))


def test_bits_flip_once_there_are_any(tmp_path: Path) -> None:
    async def scenario(s: Scene) -> None:
        await s.do("start-disk", fault=0, kind="bit-flip", nodes=["n1"], **{"with": {"rows": 5}})

        async def flipped() -> bool:
            await use(s, "n1")
            return s.nemesis._watches[0].over

        await until(flipped)
        await s.do("stop-disk", fault=0)
        (proof,) = s.values_of("evidence")
        assert proof["bit"]
        assert proof["detail"]["bites"]["n1"] > 0

    run(tmp_path, scenario, starts=("start-disk",), stored=())


def test_the_power_fails_under_writes_that_wait_to_be_synced(tmp_path: Path) -> None:
    async def scenario(s: Scene) -> None:
        cluster = s.cluster
        before = {node: cluster._process(node).pid for node in cluster.nodes}
        await s.do(
            "start-disk", fault=0, kind="lost-writes", nodes=["n1"], **{"with": {"seconds": 9}}
        )
        s.nemesis.look(s.record)
        await s.do("stop-disk", fault=0)
        s.nemesis.look(s.record)
        after = {node: cluster._process(node).pid for node in cluster.nodes}
        assert [node for node in before if before[node] != after[node]] == ["n1"]
        assert not s.values_of("found-dead")
        await s.check("n1", "n2", "n3")

    run(tmp_path, scenario, starts=("start-disk",))


def test_a_disk_of_a_paused_node_is_mended_by_the_heal(tmp_path: Path) -> None:
    async def scenario(s: Scene) -> None:
        await s.do("start-disk", fault=0, kind="full", nodes=["n1"])
        await s.do("start-pause", fault=1, nodes=["n1"])
        await s.do("stop-disk", fault=0)
        await s.nemesis.heal_all()
        status = await s.cluster.status("n1")
        assert status is not None
        assert status["disk"]["fault"] == "none"
        assert not s.values_of("evidence")[0]["bit"], "nothing was written"

    run(tmp_path, scenario, starts=("start-disk",))


def test_a_node_with_a_bad_disk_that_died_is_named(tmp_path: Path) -> None:
    async def scenario(s: Scene) -> None:
        await s.do("start-disk", fault=0, kind="full", nodes=["n1"])
        await s.cluster.kill("n1")
        await s.nemesis.heal_all()
        assert [values_of["nodes"] for values_of in s.values_of("found-dead")] == [["n1"]]
        await s.check("n1", "n2", "n3")

    run(tmp_path, scenario, starts=("start-disk",))


def test_a_node_gets_its_old_disk_back_and_learns_what_it_missed(tmp_path: Path) -> None:
    async def scenario(s: Scene) -> None:
        await s.do("start-wipe", fault=0, nodes=["n1"], disk="copied")
        await s.do("stop-wipe", fault=0)
        copied = {row["key"] for row in await s.cluster.dump("n1")}
        async with Client(list(s.world.client_addresses().values())) as client:
            for number in range(20):
                await client.put(b"later-%d" % number, b"x")
        await s.do("start-wipe", fault=1, nodes=["n1"], disk="restored")
        assert s.cluster.state("n1") == "down"
        await s.do("stop-wipe", fault=1)
        proofs = {proof["fault"]: proof for proof in s.values_of("evidence")}
        assert proofs[0]["detail"]["copied"] == proofs[1]["detail"]["restored"] == ["n1"]
        assert proofs[0]["bit"]
        assert proofs[1]["bit"]

        async def knows_all_again() -> bool:
            rows = {row["key"] for row in await s.cluster.dump("n1")}
            return copied < rows

        await until(knows_all_again)
        await s.check("n1", "n2", "n3")

    run(tmp_path, scenario)


def test_without_a_copy_no_disk_is_replaced(tmp_path: Path) -> None:
    async def scenario(s: Scene) -> None:
        done = await s.do("start-wipe", fault=0, nodes=["n1"], disk="restored")
        assert done.error is not None
        assert "no copy" in done.error.message
        await s.nemesis.heal_all()
        await s.check("n1", "n2", "n3")

    run(tmp_path, scenario)


def test_only_the_disks_of_nodes_that_run_fail(tmp_path: Path) -> None:
    """A busy machine puts a pause, a kill and a disk fault on the same nodes: a node that is
    paused takes no command, and a fault of disks on it alone could not show."""

    async def scenario(s: Scene) -> None:
        aim: Any = {"kind": "full", "target": "primaries", "key": "k", "otherwise": "n2"}
        await s.do("start-pause", fault=0, nodes=["n1", "n2"])
        found = await s.do("start-disk", fault=1, **aim)
        assert found.value["nodes"] == ["n3"]
        skipped = await s.do("start-disk", fault=2, kind="full", nodes=["n1", "n2"])
        assert skipped.value["skipped"] == "no node or link is left to do it to"
        await s.nemesis.heal_all()
        await s.check("n1", "n2", "n3")

    run(tmp_path, scenario, starts=("start-disk",))
