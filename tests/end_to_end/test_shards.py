"""Shards, rates and budgets of a campaign on real processes."""

from __future__ import annotations

import json
import signal
from pathlib import Path
from typing import Any

import pytest

from tests.end_to_end.conftest import Call, Inside, Run, Start

pytestmark = pytest.mark.cluster

FILE = """
name: parts
time_limit: 2s
matrix:
  workload: register
  nemesis: none
  config:
  - {name: planted, nodes: 3, bug: merged-clock-siblings}
  - {name: clean, nodes: 3}
  seed: [1, 2]
budget: {width: 0.6}
"""
#: seed 1 without a bug, and with it
CLEAN, PLANTED = "register/none/clean/1", "register/none/planted/1"


def campaign(store: Path) -> tuple[Path, dict[str, Any]]:
    folder = (store / "campaigns/parts/latest").resolve()
    return folder, json.loads((folder / "campaign.json").read_text())


def wait(run: Run | Inside, code: int) -> None:
    assert run.wait() == code, run.printed()


def test_two_shards_are_as_one_run_and_a_rate_is_known(
    start: Start, call: Call, tmp_path: Path
) -> None:
    (tmp_path / "parts.yaml").write_text(FILE)
    only = ("--only", "1", "--world", "simulated")
    shards = [start("campaign", "parts.yaml", *only, "--shard", f"{i}/2", "--store", f"s{i}")
              for i in (1, 2)]  # fmt: skip
    assert sorted(run.wait() for run in shards) == [0, 1], [run.printed() for run in shards]
    (tmp_path / "s1").rename(tmp_path / "moved")
    wait(call("merge", "moved", "s2", "--store", "all", "--junit", "all.xml"), 1)
    folder, found = campaign(tmp_path / "all")
    assert {cell["cell"]: cell["verdict"] for cell in found["cells"]} == {
        PLANTED: "invalid", CLEAN: "valid"
    }  # fmt: skip
    planted = next(cell for cell in found["cells"] if cell["cell"] == PLANTED)
    rate = planted["rate"]
    assert (rate["failed"], rate["tried"], rate["known"]) == (3, 3, True)
    assert rate["high"] - rate["low"] <= 0.6
    first, *again = planted["runs"]
    assert all("--seed=1" in run["arguments"] for run in again), "the same seed"
    schedule = folder / first["folder"] / "schedule.yaml"
    assert all(f"--schedule={schedule}" in run["arguments"] for run in again)
    assert all((folder / run["folder"] / "report.html").is_file() for run in planted["runs"])
    # a rerun of the same seed is in the same world: there it is the very same test
    runs = [run for cell in found["cells"] for run in cell["runs"]]
    assert all("--world=simulated" in run["arguments"] for run in runs)
    tests = [json.loads((folder / run["folder"] / "test.json").read_text()) for run in runs]
    assert {test["spec"]["world"] for test in tests} == {"simulated"}


@pytest.mark.nightly
def test_a_killed_shard_is_named_and_its_cells_are_run_later(start: Start, tmp_path: Path) -> None:
    (tmp_path / "parts.yaml").write_text(FILE.replace("time_limit: 2s", "time_limit: 3s"))
    only = ("--only", "clean")
    done, dead = (start("campaign", "parts.yaml", *only, "--shard", f"{i}/2", "--store", f"s{i}")
                  for i in (1, 2))  # fmt: skip
    dead.until(lambda: "cluster --config" in " ".join(dead.processes()), "its test")
    dead.process.send_signal(signal.SIGKILL)
    dead.until(lambda: not dead.processes(), "the end of every process")
    wait(done, 0)
    merged = start("merge", "s1", "s2", "--store", "all")
    wait(merged, 3)
    _, found = campaign(tmp_path / "all")
    assert [row["state"] for row in found["shards"]] == ["complete", "died"]
    assert "shard 2/2 died: 1 of 1 test was not run" in merged.printed()
    wait(start("campaign", "parts.yaml", *only, "--resume", "--store", "all"), 0)
    _, found = campaign(tmp_path / "all")
    assert [cell["verdict"] for cell in found["cells"]] == ["valid", "valid"]


def test_a_budget_that_ends_is_never_valid(call: Call, tmp_path: Path) -> None:
    (tmp_path / "parts.yaml").write_text(FILE)
    flags = ("--only", "clean", "--world", "simulated")
    run = call("campaign", "parts.yaml", *flags, "--budget", "runs=1", "--junit", "out.xml")
    wait(run, 3)
    _, found = campaign(tmp_path / "store")
    assert found["verdict"] == "unknown"
    assert list(found["omitted"]) == ["register/none/clean/2"]
    assert "not run: the budget of 1 run was used up" in (tmp_path / "out.xml").read_text()
    assert "`register/none/clean/2`: the budget of 1 run was used up" in run.printed()
    more = call("campaign", "parts.yaml", *flags, "--resume", "--budget", "runs=2")
    wait(more, 0)


@pytest.mark.nightly
def test_the_store_stays_within_its_bytes(start: Start, tmp_path: Path) -> None:
    """Every run leaves more than 1 MB, a pruned one less than 100 kB."""
    (tmp_path / "parts.yaml").write_text(FILE)
    wait(start("campaign", "parts.yaml", "--only", "clean"), 0)
    old, _ = campaign(tmp_path / "store")
    wait(start("campaign", "parts.yaml", "--only", "1", "--budget", "reruns=0,bytes=3MB"), 1)
    new, found = campaign(tmp_path / "store")
    planted = found["cells"][0]
    assert planted["verdict"] == "invalid"
    assert (new / planted["folder"] / "history.jsonl").is_file(), "failures stay"
    left = [path.parent for path in old.glob("runs/*/*/2*/results.json")]
    assert len(left) == 2
    assert not any((path / "history.jsonl").exists() for path in left)
    assert len((old / "pruned.jsonl").read_text().splitlines()) == 2
    assert sum(p.stat().st_size for p in new.parent.rglob("*") if p.is_file()) < 3_200_000


def test_cells_run_in_no_world_that_does_not_exist(call: Call, tmp_path: Path) -> None:
    (tmp_path / "parts.yaml").write_text(FILE)
    wrong = call("campaign", "parts.yaml", "--world", "dreamt")
    wait(wrong, 2)
    assert "dreamt" in wrong.printed()
