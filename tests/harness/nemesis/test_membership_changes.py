"""Changes of the membership on a real cluster behind real links."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from itertools import count
from pathlib import Path

import pytest
from dynamesis.harness.nemesis.ledger import Ledger
from real_cluster import Scene, run
from tiny_cluster import until

pytestmark = pytest.mark.cluster

CHANGE = {"joins": 0, "leaves": 0, "removes": 0, "among": ["n2", "n3"], "keep": 2}


def test_newcomers_get_their_share_and_leavers_go_empty_handed(tmp_path: Path) -> None:
    async def scenario(s: Scene) -> None:
        await s.do("start-membership", fault=0, **{**CHANGE, "joins": 2})
        assert s.history[-1].value["joins"] == ["n4", "n5"]
        await s.nemesis.heal_all()
        (proof,) = s.values_of("evidence")
        assert proof["bit"]
        view = proof["detail"]["membership"]
        assert view["settled"]
        assert view["version"] > proof["detail"]["version_before"]
        assert view["owned"]["n4"] > 0 < view["owned"]["n5"]
        await s.check("n1", "n2", "n3", "n4", "n5")
        await s.do("start-membership", fault=1, **{**CHANGE, "joins": 1, "leaves": 1})
        assert s.history[-1].value["leaves"] == ["n2"]
        await s.nemesis.heal_all()
        assert s.cluster.state("n2") == "down"
        await s.check("n1", "n3", "n4", "n5", "n6")
        assert [stop["fault"] for stop in s.values_of("stop-membership")] == [0, 1]
        assert Ledger(tmp_path / "ledger").open() == {}

    run(tmp_path, scenario)


def test_a_dead_node_is_removed_and_not_started_again(tmp_path: Path) -> None:
    async def scenario(s: Scene) -> None:
        await s.do("start-kill", fault=0, nodes=["n3", "n4"])
        await s.do("start-membership", fault=1, **{**CHANGE, "removes": 1, "among": ["n3"]})
        await s.do("stop-kill", fault=0)
        await s.nemesis.heal_all()
        assert s.cluster.state("n3") == "down"
        assert {proof["fault"]: proof["bit"] for proof in s.values_of("evidence")} == {
            0: True,
            1: True,
        }
        await s.check("n1", "n2", "n4")
        assert not s.values_of("found-dead")

    run(tmp_path, scenario, size=4)


def test_a_change_that_no_node_can_learn_yet_comes_about_after_the_heal(tmp_path: Path) -> None:
    async def scenario(s: Scene) -> None:
        await s.do("start-pause", fault=0, nodes=["n1"])
        await s.do("start-kill", fault=1, nodes=["n2", "n3"])
        await s.do("start-membership", fault=2, **{**CHANGE, "joins": 1})
        assert s.values_of("evidence")[0]["fault"] == 0
        await s.nemesis.heal_all()
        assert all(proof["bit"] for proof in s.values_of("evidence"))
        await s.check("n1", "n2", "n3", "n4")

    run(tmp_path, scenario)


def test_no_one_leaves_when_too_few_would_stay(tmp_path: Path) -> None:
    async def scenario(s: Scene) -> None:
        done = await s.do("start-membership", fault=0, **{**CHANGE, "leaves": 1, "keep": 3})
        assert done.value["skipped"]
        await s.do("start-membership", fault=1, **{**CHANGE, "leaves": 1})
        await s.nemesis.heal_all()
        gone = await s.do("start-kill", fault=2, nodes=["n2"])
        assert gone.value["skipped"], "it has left"
        await s.check("n1", "n3")

    run(tmp_path, scenario)


def test_a_leaver_that_a_node_refuses_before_it_knows_the_newcomer_is_requested_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Found in a storm on a busy machine: the node that was asked, and the newcomer itself, did
    not know yet that it had joined, and without it too few would have been left."""
    replace = {**CHANGE, "joins": 1, "leaves": 1, "among": ["n2"]}

    async def scenario(s: Scene) -> None:
        change, refused, later = s.cluster.change, list[str](), list[asyncio.Task[None]]()

        async def slow_to_spread(kind: str, node: str) -> None:
            async def spread() -> None:
                await asyncio.sleep(1)
                with suppress(ValueError):  # by then it is requested again
                    await change(kind, node)

            if kind == "join" and not later:
                later.append(asyncio.create_task(spread()))
                return
            if kind == "join":
                await asyncio.wait(later)
            try:
                await change(kind, node)
            except ValueError as reason:
                refused.append(f"{kind}: {reason}")
                raise

        monkeypatch.setattr(s.cluster, "change", slow_to_spread)
        await s.do("start-membership", fault=0, **replace)
        await s.nemesis.heal_all()
        assert any("let another join first" in reason for reason in refused), refused
        (proof,) = s.values_of("evidence")
        assert proof["bit"], proof
        assert s.cluster.state("n2") == "down"
        await s.check("n1", "n3")

    run(tmp_path, scenario, size=2)


def test_a_node_on_its_way_back_is_not_removed_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A store refuses that, so the change could not be proved."""
    remove = {**CHANGE, "removes": 1, "among": ["n3"]}

    async def scenario(s: Scene) -> None:
        faults, asked, change = count(1), count(1), s.cluster.change

        async def deaf_to_joins(kind: str, node: str) -> None:
            if kind == "join" and next(asked) < 20:
                raise RuntimeError("no node answers")
            await change(kind, node)

        monkeypatch.setattr(s.cluster, "change", deaf_to_joins)
        await s.do("start-membership", fault=0, **remove, back=True, after_ms=0)

        async def is_over() -> bool:
            done = await s.do("start-membership", fault=next(faults), **remove)
            assert done.value["skipped"]
            return bool(s.values_of("evidence"))

        await until(is_over)
        (proof,) = s.values_of("evidence")
        assert proof["bit"]
        assert "n3 was a member and has gone" in proof["detail"]["back"]["n3"]
        await s.nemesis.heal_all()
        await s.check("n1", "n2", "n4")

    run(tmp_path, scenario, size=4)
