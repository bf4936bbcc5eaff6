"""`dynamesis hunt` and `replay` on real processes: found, shrunk, counted, replayed."""

from __future__ import annotations

import json
import re
import signal
from pathlib import Path
from typing import Any

import pytest
from dynamesis.harness.failures.folder import FailureFolder

from tests.end_to_end.conftest import Run, Start

pytestmark = pytest.mark.cluster

HUNT = """
name: small
time_limit: 1s
matrix:
  workload: register
  nemesis: pause.one
  config: {name: three, links: direct, nodes: 3, bug: [self-merge]}
"""
CLEAN = HUNT.replace(", bug: [self-merge]", "")
BROKEN = """
name: broken
time_limit: 1s
matrix:
  workload: g-set
  nemesis: none
  config: {name: maelstrom, target: maelstrom, bin: /bin/false, nodes: 3}
"""
SMALL = ("--world", "processes", "--replays", "2", "--tries", "1")


def as_json(run: Run) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(run.printed())
    return found


@pytest.mark.nightly
def test_one_bug_is_one_file_that_is_replayed_first_and_in_ci(start: Start, tmp_path: Path) -> None:
    (tmp_path / "small.yaml").write_text(HUNT)
    failures = FailureFolder(tmp_path / "failures")
    # one run finds it, at most 2 + 2 have fewer faults, 2 say how often, at most 10 are in
    # simulation: two at least are left for further rounds
    few = ("--runs", "19", "--shrink-runs", "2", "--jobs", "2")
    first = start("hunt", "small.yaml", *SMALL, *few, "--json")
    assert first.wait() == 1, first.printed()
    [row] = as_json(first)["failures"]
    [failure] = failures.all()
    assert (row["new"], row["name"]) == (True, failure.name)
    assert "lost-write" in failure.anomalies
    assert failure.faults == ()  # the pause was not needed
    assert failure.struck == row["struck"] >= 2
    assert failure.rate is not None
    assert (failure.rate.failed, failure.rate.runs) == (2, 2)
    runs = as_json(first)["runs"]
    assert sum(sum(each.values()) for each in runs.values()) == 19
    assert runs["processes"]["invalid"] == sum(runs["processes"].values()) >= 5

    # what is known is replayed before anything is drawn
    second = start("hunt", "small.yaml", *SMALL, "--runs", "2", "--json")
    assert second.wait() == 1, second.printed()
    [row] = as_json(second)["failures"]
    assert (row["struck"], row["new"]) == (0, False)
    assert row["replayed"]["runs"] == 2
    assert failures.all() == [failure]

    again = start("replay", "failures", "--replays", "2")
    assert again.wait() == 1, again.printed()
    assert "still fails, 2 of 2 runs (34% to 100%)" in again.printed()
    file = failures.file(failure.name)
    before = file.read_text()
    file.write_text(re.sub(r"(?m)^ +bug: \[self-merge]\n", "", before))
    fixed = start("replay", "failures", "--replays", "2", "--json")
    assert fixed.wait() == 0, fixed.printed()
    [row] = as_json(fixed)["failures"]
    assert (row["verdict"], row["failed"], row["runs"], row["low"]) == ("valid", 0, 2, 0.0)
    assert 0.6 < row["high"] < 0.7
    assert again.processes() == fixed.processes() == []


def test_an_interrupt_ends_a_hunt_in_order(start: Start, tmp_path: Path) -> None:
    (tmp_path / "small.yaml").write_text(CLEAN)
    hunt = start("hunt", "small.yaml", *SMALL, "--plain")
    runs = tmp_path / "store/hunts/small/latest/runs"
    hunt.until(lambda: (runs / "000003").is_dir(), "the third run")
    hunt.process.send_signal(signal.SIGINT)
    assert hunt.wait() in (0, 3), hunt.printed()
    assert "valid 2" in hunt.printed()
    assert "0 failures met" in hunt.printed()
    assert hunt.processes() == []
    assert list(runs.iterdir()) == []  # what was valid leaves nothing
    summary = json.loads((runs.parent / "hunt.json").read_text())
    assert summary["interrupted"] is True
    assert summary["verdict"] == "valid"


@pytest.mark.nightly
def test_a_hunt_that_is_killed_leaves_files_that_the_next_continues_with(
    start: Start, tmp_path: Path
) -> None:
    (tmp_path / "small.yaml").write_text(HUNT)
    failures = FailureFolder(tmp_path / "failures")
    killed = start("hunt", "small.yaml", *SMALL)
    killed.until(lambda: bool(failures.files()), "the first failure")
    killed.process.send_signal(signal.SIGKILL)
    killed.process.wait()
    [failure] = failures.all()
    assert failure.rate is None
    killed.until(lambda: killed.processes() == [], "the end of all processes")
    after = start("hunt", "small.yaml", *SMALL, "--runs", "3", "--json")
    assert after.wait() == 1, after.printed()
    [shrunk] = failures.all()
    assert (shrunk.name, shrunk.faults) == (failure.name, ())
    assert shrunk.rate is not None


def test_a_machine_on_which_nothing_runs_ends_a_hunt(start: Start, tmp_path: Path) -> None:
    (tmp_path / "small.yaml").write_text(BROKEN)
    hunt = start("hunt", "small.yaml", *SMALL, "-q", "--time", "4m")
    assert hunt.wait() == 4, hunt.printed()
    [line] = hunt.printed().splitlines()
    assert "5 tests in a row ended in an error" in line


def test_what_is_found_in_simulation_is_shrunk_and_replayed_there(
    start: Start, tmp_path: Path
) -> None:
    (tmp_path / "small.yaml").write_text(HUNT)
    failures = FailureFolder(tmp_path / "failures")
    arguments = ("--simulated", "3", "--replays", "2", "--seed", "5", "--shrink-runs", "1")
    hunt = start("hunt", "small.yaml", *arguments, "--runs", "16", "--json")
    assert hunt.wait() == 1, hunt.printed()
    # three in simulation, some to shrink, one to see, then one on processes, and the next rounds
    assert as_json(hunt)["runs"]["simulated"]["invalid"] >= 5
    assert as_json(hunt)["runs"]["processes"]["invalid"] >= 1
    [failure] = failures.all()  # on processes it is the same bug
    assert (failure.world, failure.faults) == ("simulated", ())
    assert failure.struck >= 4
    again = start("replay", "failures", "--json")
    assert again.wait() == 1, again.printed()
    [row] = as_json(again)["failures"]
    assert (row["failed"], row["runs"]) == (1, 1)
    assert (tmp_path / row["folder"] / "report.html").exists()


@pytest.mark.nightly
def test_two_hunts_with_one_seed_draw_the_same_tests(start: Start, tmp_path: Path) -> None:
    (tmp_path / "small.yaml").write_text(HUNT)
    arguments = ("--world", "simulated", "--runs", "1", "--seed", "5", "-q")
    for name in ("one", "two"):
        run = start("hunt", "small.yaml", *arguments, "--failures", name)
        assert run.wait() == 1, run.printed()
    [one], [two] = FailureFolder(tmp_path / "one").all(), FailureFolder(tmp_path / "two").all()
    assert one == two
