"""Target redis, on real nodes; skipped where Redis is not installed."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from dynamesis.harness.targets.redis.power import SYNCED, fail_power, synced_lengths
from dynamesis.harness.targets.site import NodeSite, Site
from dynamesis.harness.usage.exits import UsageError
from dynamesis.harness.worlds.options import plan_test
from dynamesis.harness.worlds.test_spec import TestSpec

import dynamesis

installed = pytest.mark.skipif(
    shutil.which("redis-server") is None,
    reason="redis-server is not installed (Debian: apt install redis-server)",
)
compiles = pytest.mark.skipif(
    not any(map(shutil.which, ("cc", "gcc", "clang"))), reason="there is no C compiler"
)
#: The primary, which is n1 at first, is cut off from its replicas and all Sentinels.
CUT_OFF = [{"start": 1.0, "stop": 7.0, "member": "cut.one", "kind": "refused",
            "grudge": [["n1"], ["n2", "n3"]]}]  # fmt: skip
KILLED = [{"start": start, "stop": start + 0.5, "member": "kill.one", "nodes": ["n1"]}
          for start in (1.4, 2.9, 4.4)]  # fmt: skip


def run(tmp_path: Path, faults: list[dict[str, Any]], **options: Any) -> dynamesis.TestResult:
    schedule = tmp_path / "faults.yaml"
    schedule.write_text(json.dumps({"faults": faults}))
    given = {"target": "redis", "time_limit": 8, "seed": 1, "links": "embedded"} | options
    return dynamesis.run_test(store=tmp_path, schedule=schedule, **given)


def until_so(
    tmp_path: Path, enough: Callable[[dynamesis.TestResult], bool], **options: Any
) -> dynamesis.TestResult:
    """A cut that lasts until the fail-over has come: on a busy machine Sentinels take longer to
    agree on it, and until then nothing is lost."""
    for seconds in (6.0, 12.0, 24.0):
        store = tmp_path / f"{seconds:g}"
        store.mkdir()
        faults = [{**CUT_OFF[0], "stop": 1.0 + seconds}]
        result = run(store, faults, **{"time_limit": int(seconds) + 2, **options})
        if enough(result):
            break
    return result


def until_shown(tmp_path: Path, anomaly: str, **options: Any) -> dynamesis.TestResult:
    return until_so(tmp_path, lambda result: anomaly in result.results["anomalies"], **options)


def in_doubt(result: dynamesis.TestResult) -> int:
    return int(result.results["stats"]["by_f"]["add"]["info"])


def lost_although_acknowledged(result: dynamesis.TestResult) -> set[int]:
    """What was acknowledged, and no final read has."""
    lines = (result.folder / "history.jsonl").read_text().splitlines()
    events = [json.loads(line) for line in lines]
    begun = next(i for i, e in enumerate(events) if e["f"] == "phase" and e["value"] == "final")
    there = [e["value"] for e in events[begun:] if e["type"] == "ok" and e["f"] == "read"]
    added = {e["value"] for e in events if e["type"] == "ok" and e["f"] == "add"}
    return added - {element for read in there for element in read}


def test_whole_nodes_can_be_cut_off_and_no_pairs() -> None:
    spec = {"target": "redis", "time_limit": 20, "seed": 1}
    lacks = plan_test(TestSpec(**spec, nemesis="cut.one")).lacks
    assert {"wipe", "cuts"} <= set(lacks)
    assert "isolations" not in lacks
    members = {event.action.member for event in plan_test(TestSpec(**spec, nemesis="cut")).faults}
    assert members <= {"cut.one", "cut.flapping"}
    with pytest.raises(UsageError, match="links between its nodes that can be cut one by one"):
        plan_test(TestSpec(**spec, nemesis="cut.bridge"))


def test_options_that_make_no_sense_are_refused() -> None:
    with pytest.raises(UsageError, match="'x' is not a number of replicas"):
        plan_test(TestSpec(target="redis", target_option=("wait=x",)))
    with pytest.raises(UsageError, match="where there are no replicas"):
        plan_test(TestSpec(target="redis", target_option=("wait=1", "mode=alone"), nemesis="kill"))
    with pytest.raises(UsageError, match="cut"):
        plan_test(TestSpec(target="redis", target_option="mode=alone", nemesis="cut"))
    alone = plan_test(TestSpec(target="redis", target_option="mode=alone", nemesis="kill"))
    assert alone.nodes == ("n1",)


@compiles
def test_a_failure_of_the_power_leaves_what_was_synced(tmp_path: Path) -> None:
    data = tmp_path / "n1" / "data"
    files = data / "appendonlydir"
    files.mkdir(parents=True)
    appended, new, base = (files / name for name in ("a.1.incr.aof", "a.2.incr.aof", "a.base.rdb"))
    for file in (appended, new, base):
        file.write_bytes(b"0123456789")
    node = NodeSite("n1", "127.0.0.1", {"client": 1}, data, tmp_path / "log")
    site = Site(("n1",), {"n1": node}, tmp_path, lambda *_: "127.0.0.1:1")
    (data.parent / "synced").write_text(f"2 {appended}\n4 {appended}\n9 {new}")
    environment = fail_power(node, site)
    assert [file.stat().st_size for file in (appended, new, base)] == [4, 0, 10]
    assert Path(environment["LD_PRELOAD"]).exists()
    assert environment[SYNCED] == str(data.parent / "synced")
    assert synced_lengths("7 /a b\n8 /a") == {"/a b": 7}


@installed
@pytest.mark.cluster
def test_a_primary_that_is_cut_off_loses_what_it_acknowledges(tmp_path: Path) -> None:
    result = until_shown(tmp_path, "lost-element", workload="set")
    assert result.verdict is dynamesis.Verdict.INVALID, result.explain()
    assert set(result.results["anomalies"]) == {"lost-element"}
    assert lost_although_acknowledged(result)
    [fault] = result.results["evidence"]["faults"]
    assert fault["took_effect"]


@installed
@pytest.mark.cluster
def test_with_wait_it_acknowledges_hardly_any_of_that(tmp_path: Path) -> None:
    """In a fail-over a replica may still follow the old primary, so that some are lost."""

    def cut_off(result: dynamesis.TestResult) -> bool:
        """Each client waited for a replica in vain, which takes longer on a busy machine."""
        return in_doubt(result) >= 5

    wait: dict[str, Any] = {"workload": "set", "target_option": ["wait=1"]}
    result = until_so(tmp_path, cut_off, **wait)
    assert in_doubt(result) > len(lost_although_acknowledged(result))


@installed
@pytest.mark.cluster
def test_with_wait_reads_are_stale_all_the_same(tmp_path: Path) -> None:
    wait: dict[str, Any] = {"target_option": ["wait=1"], "keys": 2}
    result = until_shown(tmp_path, "nonlinearizable", workload="register", **wait)
    assert "nonlinearizable" in result.results["anomalies"], result.explain()


@installed
@compiles
@pytest.mark.cluster
@pytest.mark.parametrize(
    ("appendfsync", "kill", "loses"),
    [
        ("always", "power", False),
        pytest.param("everysec", "process", False, marks=pytest.mark.nightly),
        ("everysec", "power", True),
        pytest.param("off", "process", True, marks=pytest.mark.nightly),
    ],
)
def test_a_lone_primary(tmp_path: Path, appendfsync: str, kill: str, loses: bool) -> None:
    options = ["mode=alone", f"appendfsync={appendfsync}", f"kill={kill}"]
    result = run(tmp_path, KILLED, workload="set", target_option=options, rate=200, time_limit=6)
    assert bool(lost_although_acknowledged(result)) is loses
    assert result.verdict is (dynamesis.Verdict.INVALID if loses else dynamesis.Verdict.VALID)


@installed
@pytest.mark.cluster
@pytest.mark.parametrize(
    "workload",
    [
        *("register", "queue", "append"),
        *(
            pytest.param(each, marks=pytest.mark.nightly)
            for each in ("counter", "rw", "bank", "unique-ids", "long-fork")
        ),
    ],
)
def test_each_workload_is_spoken(tmp_path: Path, workload: str) -> None:
    result = run(tmp_path, [], workload=workload, time_limit=2)
    assert result.verdict is dynamesis.Verdict.VALID, result.explain()
