"""Every fault on real processes and links: it takes effect, is proved, and heals."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from collections.abc import Awaitable, Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from dynamesis.checkers.history.op import Op
from dynamesis.harness.links.base import Links
from dynamesis.harness.links.faults import LinkFault
from dynamesis.harness.nemesis.fault_handler import FaultWatch
from dynamesis.harness.nemesis.faults import LinksFault
from dynamesis.harness.nemesis.ledger import Ledger
from dynamesis.harness.nemesis.network import BadLink, RouteFaults
from tiny_cluster import Scene, Scenes, open_scene, until

pytestmark = pytest.mark.cluster


def run(
    folder: Path,
    scenario: Callable[[Scene], Awaitable[None]],
    links: str = "toxiproxy",
    size: int = 3,
) -> None:
    async def whole() -> None:
        async with open_scene(folder, size, links) as scene:
            await scenario(scene)

    asyncio.run(whole())


Play = Callable[..., None]


@pytest.fixture(scope="module")
def scenes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scenes]:
    made = Scenes(tmp_path_factory.mktemp("scenes"))
    yield made
    made.close()


@pytest.fixture
def play(scenes: Scenes, tmp_path: Path) -> Play:
    """play(scenario) plays it on a cluster that other tests use too, with a ledger of its own in
    `tmp_path`: for those after which heal_all finds nothing that it cannot take back."""
    return lambda scenario, links="toxiproxy": scenes.play(links, tmp_path / "ledger", scenario)


@pytest.mark.parametrize("kind", ["refused", "black-hole", "reset"])
def test_a_cut_takes_effect_and_heals(play: Play, kind: str) -> None:
    async def scenario(s: Scene) -> None:
        await s.do("start-cut", fault=0, kind=kind, grudge=[["n1"], ["n2", "n3"]])
        for pair in (("n1", "n2"), ("n1", "n3"), ("n2", "n1"), ("n3", "n1")):
            await until(partial(unreached, s, *pair))
        assert await s.reaches("n2", "n3")
        await s.do("stop-cut", fault=0)
        assert s.proofs()[0]["bit"]
        assert set(s.proofs()[0]["detail"]["felt"]) == {"n1-n2", "n1-n3", "n2-n1", "n3-n1"}
        await until(s.all_reach_all)

    play(scenario)


async def unreached(s: Scene, a: str, b: str) -> bool:
    return not await s.reaches(a, b)


def test_a_one_way_cut_is_felt_by_both_and_breaks_nothing_else(play: Play) -> None:
    async def scenario(s: Scene) -> None:
        await s.do("start-cut", fault=0, kind="black-hole", grudge={"n1": ["n2"]})
        await until(lambda: unreached(s, "n1", "n2"))
        assert await s.reaches("n1", "n3")
        assert await s.reaches("n2", "n3")
        await s.do("stop-cut", fault=0)
        assert s.proofs()[0]["bit"]
        await until(s.all_reach_all)

    play(scenario)


def test_a_killed_process_is_gone_and_comes_back_with_its_data(play: Play) -> None:
    async def scenario(s: Scene) -> None:
        pid = s.system.pid("n2")
        await s.do("start-kill", fault=0, nodes=["n2"])
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)
        assert (s.system.folder / "n2" / "stored").exists()
        await s.do("stop-kill", fault=0)
        assert s.proofs()[0] == {"fault": 0, "bit": True, "detail": {"gone": {"n2": pid}}}
        assert s.system.state("n2") == "running"
        await until(s.all_reach_all)

    play(scenario)


def test_a_wiped_node_has_lost_its_data(play: Play) -> None:
    async def scenario(s: Scene) -> None:
        pid = s.system.pid("n1")
        (s.system.folder / "n1" / "old").write_text("precious")
        await s.do("start-wipe", fault=0, nodes=["n1"])
        assert not (s.system.folder / "n1").exists()
        await s.do("stop-wipe", fault=0)
        assert s.proofs()[0]["detail"] == {"gone": {"n1": pid}, "wiped": ["n1"]}
        assert not (s.system.folder / "n1" / "old").exists()
        await until(s.all_reach_all)

    play(scenario)


def test_a_paused_process_is_stopped_and_continues_as_the_same(play: Play) -> None:
    async def scenario(s: Scene) -> None:
        pid = s.system.pid("n3")
        await s.do("start-pause", fault=0, nodes=["n3"])
        await until(lambda: unreached(s, "n1", "n3"))
        await s.do("stop-pause", fault=0)
        assert s.proofs()[0] == {"fault": 0, "bit": True, "detail": {"stopped": ["n3"]}}
        assert s.system.pid("n3") == pid
        await until(s.all_reach_all)

    play(scenario)


def test_overlapping_cuts_are_lifted_one_by_one(play: Play) -> None:
    async def scenario(s: Scene) -> None:
        await s.do("start-cut", fault=0, kind="refused", grudge=[["n1"], ["n2", "n3"]])
        await s.do("start-cut", fault=1, kind="black-hole", grudge=[["n1", "n2"], ["n3"]])
        await until(lambda: unreached(s, "n2", "n3"))
        await s.do("stop-cut", fault=0)
        await until(lambda: s.reaches("n1", "n2"))
        await until(lambda: unreached(s, "n1", "n3"))
        await s.do("stop-cut", fault=1)
        assert {fault: proof["bit"] for fault, proof in s.proofs().items()} == {0: True, 1: True}
        await until(s.all_reach_all)

    play(scenario)


def test_a_pause_takes_effect_when_the_node_that_was_down_is_back(play: Play) -> None:
    async def scenario(s: Scene) -> None:
        await s.do("start-kill", fault=0, nodes=["n1"])
        await s.do("start-pause", fault=1, nodes=["n1"])
        await s.do("stop-kill", fault=0)
        await until(partial(proved, s, 1))
        await s.do("stop-pause", fault=1)
        assert s.proofs()[1] == {"fault": 1, "bit": True, "detail": {"stopped": ["n1"]}}

    play(scenario)


async def proved(s: Scene, fault: int) -> bool:
    """The proof of this fault is complete, and recorded with the next action."""
    return s.nemesis._watches[fault].over


def test_a_paused_node_can_be_killed_and_comes_back_paused(play: Play) -> None:
    async def scenario(s: Scene) -> None:
        await s.do("start-pause", fault=0, nodes=["n1"])
        await s.do("start-kill", fault=1, nodes=["n1"])
        assert s.system.state("n1") == "down"
        await s.do("stop-kill", fault=1)
        assert s.system.state("n1") == "paused"
        await s.do("stop-pause", fault=0)
        await until(s.all_reach_all)

    play(scenario)


def test_a_node_that_two_faults_hold_down_comes_up_after_both(play: Play) -> None:
    async def scenario(s: Scene) -> None:
        await s.do("start-kill", fault=0, nodes=["n1"])
        await s.do("start-kill", fault=1, nodes=["n1", "n2"])
        await s.do("start-pause", fault=2, nodes=["n1"])
        await s.do("stop-kill", fault=0)
        await s.do("stop-pause", fault=2)
        assert s.system.state("n1") == "down"
        assert not s.proofs()[2]["bit"], "a process that is down cannot be paused"
        await s.do("stop-kill", fault=1)
        await until(s.all_reach_all)

    play(scenario)


def test_evidence_comes_after_its_start_and_before_its_stop(play: Play) -> None:
    async def scenario(s: Scene) -> None:
        await s.do("start-kill", fault=0, nodes=["n1"])
        await s.do("start-cut", fault=1, kind="refused", grudge=[["n2"], ["n3"]])
        await s.do("stop-cut", fault=1)
        await s.do("stop-kill", fault=0)
        at = {(op.type, op.f, op.value["fault"]): op.index for op in s.history}
        for fault, family in ((0, "kill"), (1, "cut")):
            proof = at["info", "evidence", fault]
            assert at["info", f"start-{family}", fault] < proof
            assert proof < at["info", f"stop-{family}", fault]

    play(scenario)


def test_heal_all_takes_back_everything_and_may_be_repeated(play: Play, tmp_path: Path) -> None:
    async def scenario(s: Scene) -> None:
        await s.do("start-cut", fault=0, kind="black-hole", grudge=[["n1"], ["n2"], ["n3"]])
        await s.do("start-kill", fault=1, nodes=["n1"])
        await s.do("start-pause", fault=2, nodes=["n2"])
        await s.nemesis.heal_all()
        await until(s.all_reach_all)
        ended = [op.f for op in s.history if op.f.startswith("stop-")]
        assert ended == ["stop-cut", "stop-kill", "stop-pause"]
        assert Ledger(tmp_path / "ledger").open() == {}
        before = len(s.history)
        await s.nemesis.heal_all()
        assert len(s.history) == before
        await until(s.all_reach_all)

    play(scenario)


def broken_for(
    victim: str, act: Callable[[str], Awaitable[None]]
) -> Callable[[str], Awaitable[None]]:
    async def broken(node: str) -> None:
        if node == victim:
            raise OSError("disk on fire")
        await act(node)

    return broken


def test_a_fault_half_injected_is_healed_by_the_ledger(tmp_path: Path) -> None:
    async def scenario(s: Scene) -> None:
        s.system.wipe = broken_for("n2", s.system.wipe)  # type: ignore[method-assign]
        completion = await s.do("start-wipe", fault=0, nodes=["n1", "n2"])
        assert completion.type == "info"
        assert completion.error is not None
        assert "disk on fire" in completion.error.message
        assert s.system.state("n1") == "down"
        assert list(Ledger(tmp_path / "ledger").open()) == [0]
        await s.nemesis.heal_all()
        await until(s.all_reach_all)
        assert Ledger(tmp_path / "ledger").open() == {}

    run(tmp_path, scenario)


def test_a_node_that_died_by_itself_is_named_and_started(play: Play) -> None:
    async def scenario(s: Scene) -> None:
        await s.do("start-kill", fault=0, nodes=["n1"])
        await s.system.kill("n3")
        await s.nemesis.heal_all()
        (found,) = [op.value for op in s.history if op.f == "found-dead"]
        assert found == {
            "nodes": ["n3"],
            "exits": {"n3": -9},
            "last": {"n3": "ended with exit code -9"},
        }
        await until(s.all_reach_all)

    play(scenario)


def test_no_fault_hides_a_death_that_it_cannot_have_been(play: Play) -> None:
    async def scenario(s: Scene) -> None:
        def ends() -> list[dict[str, int]]:
            return [op.value["exits"] for op in s.history if op.f == "found-dead"]

        await s.do("start-wipe", fault=0, nodes=["n3"])
        s.nemesis.look(s.record)
        assert ends() == [], "it was killed"
        await s.system.start("n3")
        os.kill(s.system.pid("n3"), signal.SIGSEGV)
        await until(partial(down, s, "n3"))
        s.nemesis.look(s.record)
        assert ends() == [{"n3": -signal.SIGSEGV}]

    play(scenario)


async def down(s: Scene, node: str) -> bool:
    return s.system.state(node) == "down"


def test_each_death_is_reported_once_though_no_fault_was_ever_injected(play: Play) -> None:
    async def scenario(s: Scene) -> None:
        def found() -> list[list[str]]:
            return [op.value["nodes"] for op in s.history if op.f == "found-dead"]

        s.nemesis.look(s.record)
        assert found() == []
        await s.system.kill("n3")
        s.nemesis.look(s.record)
        s.nemesis.look(s.record)
        await s.nemesis.heal_all()
        assert found() == [["n3"]]
        s.nemesis.look(s.record)
        await s.system.kill("n3")
        s.nemesis.look(s.record)
        assert found() == [["n3"], ["n3"]]

    play(scenario)


def test_the_ledger_is_written_before_the_fault(tmp_path: Path) -> None:
    async def scenario(s: Scene) -> None:
        seen: list[str] = []
        kill = s.system.kill

        async def watched(node: str) -> int:
            seen.extend((tmp_path / "ledger").read_text().splitlines())
            return await kill(node)

        s.system.kill = watched  # type: ignore[method-assign]
        await s.do("start-kill", fault=5, nodes=["n1"])
        assert [json.loads(line)["fault"] for line in seen] == [5]

    run(tmp_path, scenario)


BAD_LINKS = [
    ("slow", {"latency_ms": 150}),
    ("slow", {"latency_ms": 150, "jitter_ms": 50}),
    ("narrow", {"rate_kbps": 1}),
    ("torn", {"piece_bytes": 12, "vary_bytes": 4}),
    ("reset", {}),
    ("cut-off", {"after_bytes": 20}),
    ("cut-off", {"after_bytes": 60, "direction": "downstream"}),
]
BAD_FRAMES = [
    ("stall", {}),
    ("frames", {"drop": 50}),
    ("frames", {"drop": 0, "duplicate": 50}),
    ("frames", {"drop": 0, "reorder": 50}),
]


@pytest.mark.parametrize(
    ("links", "faults"), [("toxiproxy", BAD_LINKS), ("embedded", BAD_LINKS + BAD_FRAMES)]
)
def test_bad_links_show_and_heal(
    play: Play, links: str, faults: list[tuple[str, dict[str, int]]]
) -> None:
    async def scenario(s: Scene) -> None:
        for fault, (kind, fields) in enumerate(faults):
            bad = {"kind": kind, "with": fields, "links": ["n1-n2", "n2-n1", "client-n2"]}
            await s.do("start-link", fault=fault, **bad)
            await until_over(s.nemesis._watches[fault])
            await s.do("stop-link", fault=fault)
            assert s.proofs()[fault]["bit"], (kind, fields)
            await until(s.all_reach_all)

    play(scenario, links)


@pytest.mark.parametrize("kind", ["slow", "torn"])
def test_a_cut_hides_no_bad_link_beside_it(play: Play, kind: str) -> None:
    async def scenario(s: Scene) -> None:
        await s.do("start-cut", fault=0, kind="black-hole", grudge=[["n1"], ["n2", "n3"]])
        fields = {"latency_ms": 150} if kind == "slow" else {}
        links = ["n1-n2", "n2-n1", "n2-n3", "n3-n2"]
        await s.do("start-link", fault=1, kind=kind, links=links, **{"with": fields})
        await until_over(s.nemesis._watches[1])
        await s.do("stop-link", fault=1)
        proof = s.proofs()[1]
        assert proof["bit"]
        assert proof["detail"]["link"] == "n2-n3"

    play(scenario)


def test_a_node_that_dies_takes_no_proof_of_a_slow_link_along(tmp_path: Path) -> None:
    async def scenario(s: Scene) -> None:
        links = ["n1-n2", "n2-n1", "n2-n3", "n3-n2"]
        fault = LinksFault(kind="slow", settings={"latency_ms": 150}, links=links)
        look = await BadLink(s.system, RouteFaults(s.links)).inject(0, fault)
        await s.system.kill("n2")
        proof = await look()
        assert proof.bit
        assert proof.detail["link"] in ("n2-n1", "n2-n3")

    run(tmp_path, scenario)


def test_a_bad_link_without_traffic_meets_no_node(play: Play) -> None:
    async def scenario(s: Scene) -> None:
        await s.do("start-cut", fault=0, kind="black-hole", grudge=[["n1"], ["n2", "n3"]])
        value = {"kind": "slow", "with": {"latency_ms": 150}, "links": ["n1-n2", "n2-n1"]}
        await s.do("start-link", fault=1, **value)
        await s.do("stop-link", fault=1)
        proof = s.proofs()[1]
        assert not proof["bit"]
        assert proof["detail"]["nobody"]

    play(scenario)


async def until_over(watch: FaultWatch) -> None:
    async def over() -> bool:
        return watch.over

    await until(over)


@pytest.mark.parametrize(
    ("kind", "fields"), [("slow", {"latency_ms": 500}), ("torn", {}), ("reset", {}), ("frames", {})]
)
def test_a_healthy_link_proves_nothing(play: Play, kind: str, fields: dict[str, int]) -> None:
    async def scenario(s: Scene) -> None:
        fault = LinksFault(kind=kind, settings=fields, links=["n1-n2"])
        look = await BadLink(s.system, RouteFaults(Deaf(s.links))).inject(0, fault)
        assert not (await look()).bit

    play(scenario, "embedded")


class Deaf:
    """Links that say they did it, and did nothing."""

    def __init__(self, links: Links) -> None:
        self._links = links

    def __getattr__(self, name: str) -> Any:
        return getattr(self._links, name)

    async def apply(self, faults: Mapping[str, LinkFault]) -> None:
        pass


def test_primaries_and_coordinator_of_a_key_are_found_on_the_ring(play: Play) -> None:
    async def scenario(s: Scene) -> None:
        aim = {"key": "k1", "otherwise": "n1"}
        await s.do("start-kill", fault=0, target="primaries", **aim)
        (killed,) = [op.value["nodes"] for op in s.history if op.type == "info"]
        assert len(killed) == 2
        assert [node for node in s.system.nodes if s.system.state(node) == "down"] == killed
        await s.do("stop-kill", fault=0)
        done = await s.do("start-cut", fault=1, kind="refused", target="coordinator", **aim)
        (coordinator,) = done.value["grudge"][0]
        assert coordinator in killed
        await s.do("stop-cut", fault=1)
        (other,) = set(s.system.nodes) - set(killed)
        for type, key, node in (
            ("ok", "k2", killed[0]), ("ok", "k1", other), ("info", "k1", killed[1])
        ):  # fmt: skip
            s.nemesis.observe(Op(type=type, f="put", key=key, worth={"coordinator": node}))
        done = await s.do("start-cut", fault=2, kind="refused", target="coordinator", **aim)
        assert done.value["grudge"][0] == [other], "the coordinator of the last put of the key"
        await s.do("stop-cut", fault=2)
        await until(s.all_reach_all)

    play(scenario)


def test_where_no_one_answers_the_target_is_the_one_named_otherwise(play: Play) -> None:
    async def scenario(s: Scene) -> None:
        await s.do("start-kill", fault=0, nodes=["n1", "n2", "n3"])
        aim = {"target": "coordinator", "key": "k1", "otherwise": "n2"}
        done = await s.do("start-cut", fault=1, kind="refused", **aim)
        assert done.value["grudge"] == [["n2"], ["n1", "n3"]]
        await s.nemesis.heal_all()
        await until(s.all_reach_all)

    play(scenario)


def test_a_fault_that_never_began_need_not_be_stopped(play: Play) -> None:
    async def scenario(s: Scene) -> None:
        done = await s.do("stop-cut", fault=3)
        assert done.value == {"fault": 3, "skipped": "it never began"}

    play(scenario)


def test_the_holder_of_most_hints_is_hit_and_another_where_there_are_none(tmp_path: Path) -> None:
    async def scenario(s: Scene) -> None:
        aim = {"target": "hint-holder", "key": "k1", "otherwise": "n1"}
        assert (await s.do("start-pause", fault=0, **aim)).value["nodes"] == ["n1"]
        await s.do("stop-pause", fault=0)
        (tmp_path / "n2" / "hints").write_text("3")
        (tmp_path / "n3" / "hints").write_text("7")
        assert (await s.do("start-pause", fault=1, **aim)).value["nodes"] == ["n3"]
        await s.do("stop-pause", fault=1)

    run(tmp_path, scenario)


def test_a_graceful_stop_ends_the_process_and_it_comes_back(play: Play) -> None:
    async def scenario(s: Scene) -> None:
        await s.do("start-kill", fault=0, nodes=["n1"], signal="SIGTERM")
        assert s.system.state("n1") == "down"
        assert s.system._processes["n1"].returncode == -signal.SIGTERM
        await s.do("stop-kill", fault=0)
        assert s.proofs()[0]["bit"]
        await until(s.all_reach_all)

    play(scenario)
