"""The order of the phases and what each leaves behind, on a system that lives in memory."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from dynamesis.checkers.dynamo.ring import CheckedRing
from dynamesis.checkers.history.history import read_history
from dynamesis.checkers.history.op import Op
from dynamesis.harness import generators as gen
from dynamesis.harness.results.results import HISTORY, TEST, Folder
from dynamesis.harness.run.quiesce import replica_pairs
from dynamesis.harness.run.recorder import Recorder
from dynamesis.harness.run.runner import Runner, RunnerParts
from dynamesis.harness.targets.capabilities import Capabilities
from dynamesis.harness.targets.system import EnvironmentFailed

from tests.harness.fakes import (
    RING,
    FakeLinks,
    FakeNemesis,
    FakeSystem,
    Scripted,
    decode,
    events,
)

KEYS = ("a", "b", "c")
PLACES = CheckedRing(RING.owners, RING.n)


def reads(keys: Iterable[str]) -> gen.Generator:
    return gen.concat(*(gen.invoke("get", key=key) for key in keys))


def load() -> gen.Generator:
    put = gen.invoke("put", key="a", id="v1", basis=None)
    fault = gen.nemesis(gen.invoke("start-cut", value={"fault": 0}))
    return gen.concat(gen.clients(put), fault)


def everything(of: Any) -> Capabilities:
    """Every capability of one object."""
    return Capabilities(
        processes=of, status=of, dumps=of, placements=of, data=of, disks=of, clocks=of,
        membership=of, decode=decode,
    )  # fmt: skip


class Rig:
    """A runner and everything fake around it."""

    def __init__(self, path: Path, **parts: Any) -> None:
        self.system, self.links, self.nemesis = FakeSystem(), FakeLinks(), FakeNemesis()
        self.client = Scripted("ok")
        self.folder = Folder(path)
        self.parts: dict[str, Any] = {
            "store": everything(self.system),
            "links": self.links,
            "routes": (),
            "nemesis": self.nemesis,
            "clients": {0: self.client},
            "load": load(),
            "final": reads,
            "keys": KEYS,
            **parts,
        }
        self.test: dict[str, Any] = {"name": "fake"}

    def run(self, interrupt_at: str | None = None) -> list[Op]:
        async def go() -> None:
            runner: Runner

            def on_event(op: Op) -> None:
                if op.f == "phase" and op.value == interrupt_at:
                    runner.interrupt.set()

            with Recorder(self.folder / HISTORY, on_event) as recorder:
                runner = Runner(RunnerParts(**self.parts), self.folder, recorder, self.test)
                await runner.run()

        asyncio.run(go())
        return events(self.folder / HISTORY)


def phases(history: list[Op]) -> list[Any]:
    return [op.value for op in history if op.f == "phase"]


def test_all_phases_in_their_order(tmp_path: Path) -> None:
    rig = Rig(tmp_path)
    history = rig.run()
    assert phases(history) == ["boot", "load", "heal", "quiesce", "final", "stop"]
    assert rig.links.calls == ["start", "stop"]
    assert rig.system.calls == ["start_all", "stop_all", "collect"]
    assert rig.nemesis.calls == ["start-cut", "heal_all"]
    assert rig.client.closed


def test_the_history_is_well_formed(tmp_path: Path) -> None:
    Rig(tmp_path).run()
    assert len(read_history(tmp_path / HISTORY)) > 0


def test_the_ring_is_kept_beside_the_history(tmp_path: Path) -> None:
    rig = Rig(tmp_path)
    rig.run()
    assert rig.folder.load_json(TEST) == {"name": "fake", "booted": True, "ring": RING.as_value()}


def test_quiesce_reports_how_it_ended(tmp_path: Path) -> None:
    (event,) = (op for op in Rig(tmp_path).run() if op.f == "quiesce")
    assert event.value["quiet"] is True
    assert set(event.value) == {"quiet", "seconds", "waiting"}


def test_sizes_are_reported_before_and_after_the_wait_for_quiet(tmp_path: Path) -> None:
    rig = Rig(tmp_path, quiesce=0.2)
    quiet = rig.system.statuses
    rig.system.statuses = lambda node: {**(quiet(node) or {}), "requests": 3, "hint_bytes": 70}
    reported = [(op.f, op.value) for op in rig.run() if op.f in ("sizes", "quiesce")]
    sizes = [("sizes", {"node": n, "requests": 3, "hint_bytes": 70}) for n in ("n1", "n2", "n3")]
    assert [*reported[:3], *reported[4:]] == sizes * 2
    assert reported[3][0] == "quiesce"


def test_a_process_that_was_retired_before_the_dumps_does_not_come_back(tmp_path: Path) -> None:
    rig = Rig(tmp_path, anti_entropy=False, clients={0: Scripted("info"), 1: Scripted("ok")})
    history = rig.run()
    gone: set[Any] = set()
    for op in history:
        assert op.type != "invoke" or op.process not in gone
        gone |= {op.process} if op.type == "info" and isinstance(op.process, int) else set()
    assert gone


@pytest.mark.parametrize("anti_entropy", [True, False])
def test_where_nodes_compare_nothing_keys_are_dumped_read_and_dumped_again(
    tmp_path: Path, anti_entropy: bool
) -> None:
    rig = Rig(tmp_path, anti_entropy=anti_entropy)
    reported = rig.system.statuses
    rig.system.statuses = lambda node: {**(reported(node) or {}), "requests": 0, "read_repairs": 0}
    history = [op for op in rig.run() if op.type == "invoke" or op.f in ("phase", "quiesce")]
    names = [(op.f, op.key or op.value) for op in history if op.f != "quiesce"]
    waiting = names[names.index(("phase", "quiesce")) : names.index(("phase", "final"))]
    reads = [] if anti_entropy else [("get", key) for key in KEYS]
    dumps = [] if anti_entropy else [("dump", key) for key in KEYS for _ in PLACES.primaries(key)]
    assert waiting == [("phase", "quiesce"), *dumps, *reads]
    assert [f for f, _ in names[-len(KEYS) - 1 :]] == [*["get"] * len(KEYS), "phase"]


def test_a_cluster_that_never_gets_quiet_is_still_dumped(tmp_path: Path) -> None:
    rig = Rig(tmp_path, quiesce=0.01)
    rig.system.statuses = lambda node: None
    history = rig.run()
    (event,) = (op for op in history if op.f == "quiesce")
    assert event.value["quiet"] is False
    assert event.value["waiting"] == {"silent": ["n1", "n2", "n3"]}
    assert any(op.f == "dump" for op in history)


def test_every_key_is_read_once_at_the_end(tmp_path: Path) -> None:
    history = Rig(tmp_path).run()
    assert [op.key for op in history if op.f == "get" and op.type == "ok"] == list(KEYS)


@pytest.mark.parametrize(
    ("at", "then"),
    [
        ("boot", []),
        ("load", ["load", "heal"]),
        ("heal", ["load", "heal"]),
        ("quiesce", ["load", "heal", "quiesce"]),
    ],
)
def test_an_interrupt_skips_to_the_end_and_stops_everything(
    tmp_path: Path, at: str, then: list[str]
) -> None:
    rig = Rig(tmp_path)
    rig.system.statuses = lambda node: None
    assert phases(rig.run(interrupt_at=at)) == ["boot", *then, "stop"]
    assert rig.system.calls[-2:] == ["stop_all", "collect"]
    assert rig.links.calls[-1] == "stop"
    assert ("heal_all" in rig.nemesis.calls) == ("heal" in then)


def test_a_boot_that_fails_stops_what_was_started(tmp_path: Path) -> None:
    rig = Rig(tmp_path)

    async def fail() -> None:
        raise EnvironmentFailed("port taken")

    rig.system.start_all = fail  # type: ignore[method-assign]
    with pytest.raises(EnvironmentFailed, match="port taken"):
        rig.run()
    assert rig.system.calls == ["stop_all", "collect"]
    assert rig.links.calls == ["start", "stop"]


def test_a_node_that_will_not_come_back_does_not_end_the_test(tmp_path: Path) -> None:
    rig = Rig(tmp_path)

    async def fail() -> None:
        raise RuntimeError("n2 would not start")

    rig.nemesis.heal_all = fail  # type: ignore[method-assign]
    history = rig.run()
    assert phases(history)[-1] == "stop"
    assert [op.value for op in history if op.f == "heal-failed"] == ["n2 would not start"]


def row(key: str, *ids: str, hint_for: str | None = None) -> dict[str, Any]:
    siblings = [{"value": each.encode(), "deleted": False} for each in ids]
    return {"key": key, "siblings": siblings, "hint_for": hint_for}


def dumps(history: list[Op]) -> list[tuple[Any, ...]]:
    return [
        (op.key, op.replica, [s.id for s in op.siblings or ()], op.value)
        for op in history
        if op.f == "dump" and op.type == "ok"
    ]


def test_what_each_node_held_and_measured_is_kept(tmp_path: Path) -> None:
    rig = Rig(tmp_path)
    rig.system.dumps["n1"] = [row("a", "v1", hint_for="n2")]
    rig.run()
    kept = tmp_path / "nodes" / "n1"
    (line,) = (kept / "dump.jsonl").read_text().splitlines()
    siblings = [{"value": "v1", "deleted": False}]
    assert json.loads(line) == {"key": "a", "siblings": siblings, "hint_for": "n2"}
    assert json.loads((kept / "metrics.json").read_text())["hints"] == 0
    assert (kept / "metrics.prom").read_text() == "node_up 1 # n1"
    assert (tmp_path / "nodes" / "n2" / "dump.jsonl").read_text() == ""


def test_all_nodes_are_asked_concurrently_for_what_is_kept(tmp_path: Path) -> None:
    rig = Rig(tmp_path)
    everyone = asyncio.Barrier(len(rig.system.nodes))

    async def metrics(node: str) -> str:
        await everyone.wait()
        return node

    rig.system.metrics = metrics  # type: ignore[method-assign]
    rig.run()
    kept = [(tmp_path / "nodes" / n / "metrics.prom").read_text() for n in rig.system.nodes]
    assert kept == list(rig.system.nodes)


def test_a_primary_that_lacks_a_key_is_shown_empty(tmp_path: Path) -> None:
    shown = dumps(Rig(tmp_path, keys=("a",)).run())
    assert shown == [("a", node, [], None) for node in sorted(PLACES.primaries("a"))]


def test_strangers_and_hints_are_shown_when_they_hold_something(tmp_path: Path) -> None:
    rig = Rig(tmp_path, keys=())
    first, second = PLACES.primaries("a")
    (stranger,) = set(rig.system.nodes) - {first, second}
    rig.system.dumps[stranger] = [row("a", "v1"), row("a", "v2", hint_for=first)]
    rig.system.dumps[first] = [row("a", "v3", "v4")]
    shown = dumps(rig.run())
    assert sorted(shown, key=str) == sorted(
        [
            ("a", first, ["v3", "v4"], None),
            ("a", second, [], None),
            ("a", stranger, ["v1"], None),
            ("a", stranger, ["v2"], {"hint_for": first}),
        ],
        key=str,
    )


def test_a_silent_primary_is_a_dump_that_failed(tmp_path: Path) -> None:
    rig = Rig(tmp_path, keys=("a",))
    silent = PLACES.primaries("a")[0]
    rig.system.dumps[silent] = None
    failed = [op for op in rig.run() if op.f == "dump" and op.type == "fail"]
    assert [op.replica for op in failed] == [silent]


def test_replica_pairs_share_a_partition() -> None:
    assert replica_pairs(RING) == {("n1", "n2"), ("n2", "n3"), ("n1", "n3")}


def test_a_hint_that_is_handed_off_meanwhile_is_not_missed(tmp_path: Path) -> None:
    """Its target is dumped without it, then it moves, then its holder is dumped."""
    rig = Rig(tmp_path, keys=())
    key = next(k for k in "abcdefgh" if "n3" not in PLACES.primaries(k))
    rig.system.dumps["n3"] = [row(key, "v1", hint_for="n1")]
    dump = rig.system.dump

    async def moving(node: str) -> list[dict[str, Any]]:
        rows = await dump(node)
        if node == "n1":
            rig.system.dumps["n1"], rig.system.dumps["n3"] = [row(key, "v1")], []
        return rows

    rig.system.dump = moving  # type: ignore[method-assign]
    assert (key, "n1", ["v1"], None) in dumps(rig.run())
