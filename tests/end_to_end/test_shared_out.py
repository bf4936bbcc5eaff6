"""Tests whose load is shared out among drivers: one history, the same verdicts, and drivers that
end before the load does."""

from __future__ import annotations

import json
import os
import re
import signal

import pytest

from tests.end_to_end.conftest import Call, Run, Start, long_enough

pytestmark = pytest.mark.cluster


DRIVEN = ("--workload", "register", "--links", "direct", "--nodes", "3", "--drivers", "2",
          "--seed", "5")  # fmt: skip


def driven(start: Start) -> Run:
    """One that is ended from outside."""
    return start("test", *DRIVEN, "--nemesis", "none", "--time-limit", "60s")


def test_both_drivers_load_a_sound_cluster_and_it_is_valid(start: Start) -> None:
    run = long_enough(start, 3, *DRIVEN, "--nemesis", "kill.one")
    assert run.wait() == 0, run.printed()
    assert not list(run.results().glob("history-driver-*"))
    history = run.history()
    assert [op["index"] for op in history] == list(range(len(history)))
    times = [op["time"] for op in history]
    assert times == sorted(times)
    load = [op for op in history if isinstance(op["process"], int)]
    puts = [op["value"] for op in load if op["type"] == "invoke" and op["f"] == "put"]
    assert len(set(puts)) == len(puts) > 20
    assert {op["process"] % 2 for op in load if op["type"] == "ok"} == {0, 1}
    starts = [i for i, op in enumerate(history) if op["f"] == "start-kill"]
    around = {isinstance(op["process"], int) for op in history[: starts[0]]}
    assert True in around, "the faults lie within the load"
    assert re.search(r"^load .* ok [1-9]", run.printed(), re.MULTILINE)


def test_a_planted_bug_is_found(start: Start) -> None:
    bug = ("--bug", "merged-clock-siblings")
    run = long_enough(start, 2, *DRIVEN, "--nemesis", "none", *bug)
    assert run.wait() == 1, run.printed()
    assert "false-sibling" in run.printed()


def test_a_driver_that_is_killed_ends_the_test_by_name(start: Start) -> None:
    run = driven(start)
    run.until(lambda: "seed " in run.printed() and _loaded(run), "answers")
    pid = min(_drivers(run))
    os.kill(pid, signal.SIGKILL)
    assert run.wait() == 4, run.printed()
    assert re.search(r"driver-[12], a process .* ended by signal 9", run.printed())
    results = json.loads((run.results() / "results.json").read_text())
    assert results["evidence"]["acknowledged"] > 0


def test_a_killed_harness_leaves_parts_that_are_judged(start: Start, call: Call) -> None:
    run = driven(start)
    run.until(lambda: "seed " in run.printed() and _loaded(run), "answers")
    still = call("check", str(run.results()))
    assert still.wait() == 2
    assert "still grows" in still.printed()
    run.process.send_signal(signal.SIGKILL)
    run.wait()
    run.until(lambda: not run.processes(), "the end of every process")
    before = run.history()
    call("check", str(run.results()))
    assert not list(run.results().glob("history-driver-*"))
    assert len(run.history()) == len(before)
    assert [op["index"] for op in run.history()] == list(range(len(before)))


def _loaded(run: Run) -> bool:
    return len([op for op in run.history() if op["type"] == "ok"]) > 50


def _drivers(run: Run) -> list[int]:
    """The processes that were forked from the harness: they have its command line."""
    found = [pid for pid, command in run._processes().items() if "--drivers" in command]
    return [pid for pid in found if pid != run.process.pid]
