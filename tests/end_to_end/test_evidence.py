"""What a verdict rests on, and what a store may not refuse or keep: a whole test on processes, and
the rest in virtual time."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.end_to_end.conftest import Call, Command, long_enough

BUGS = Path(__file__).with_name("bugs") / "evidence.py"
SMALL = ("--workload", "register", "--nodes", "3", "--keys", "4")
SIMULATED = (*SMALL, "--world", "simulated")


def results(run: Command) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((run.results() / "results.json").read_bytes())
    return found


def planted(call: Call, bug: str, *arguments: str) -> dict[str, Any]:
    """The results of a test with this bug, which must be invalid."""
    run = call("test", *SIMULATED, "--bug", f"{BUGS}:{bug}", *arguments)
    assert run.wait() == 1, run.printed()
    return results(run)


def test_faults_that_leave_nothing_acknowledged_make_the_verdict_unknown(
    call: Call, tmp_path: Path
) -> None:
    (tmp_path / "kill-all.yaml").write_text(
        "faults:\n- {start: 0.02, stop: 3.9, member: kill.all, nodes: [n1, n2, n3]}\n"
    )
    run = call("test", *SIMULATED, "--schedule", "kill-all.yaml", "--rate", "5", "--time-limit",
               "4s", "--seed", "3")  # fmt: skip
    assert run.wait() == 3, run.printed()
    assert "too little was acknowledged: " in run.printed()
    judged = results(run)["evidence"]
    assert judged["acknowledged"] < judged["floor"]["acknowledged"]
    assert [fault["took_effect"] for fault in judged["faults"]] == [True]


@pytest.mark.cluster
def test_a_load_of_300_ms_is_too_little(call: Call) -> None:
    """On processes: the floor of a test in virtual time is lower."""
    run = call("test", *SMALL, "--links", "direct", "--nemesis", "none", "--time-limit", "300ms",
               "--seed", "1")  # fmt: skip
    assert run.wait() == 3, run.printed()
    assert "the floor is 50 operations and 20 writes" in run.printed()


@pytest.mark.cluster
def test_a_valid_verdict_shows_what_it_rests_on(call: Call) -> None:
    run = long_enough(call, 4, *SMALL, "--links", "direct", "--nemesis", "kill.one",
                      "--seed", "2")  # fmt: skip
    assert run.wait() == 0, run.printed()
    judged = results(run)["evidence"]
    (line,) = (line for line in run.printed().splitlines() if line.startswith("  evidence: "))
    assert f"{judged['acknowledged']} of {judged['tried']} operations acknowledged" in line
    assert judged["final_reads"]["asked"] == judged["final_reads"]["answered"] >= 4
    assert judged["compared"] == {"keys": 8, "replicas": 24, "most_replicas": 3}
    assert judged["operations"]["put"]["during_faults"] > 0
    assert all(fault["took_effect"] for fault in judged["faults"])
    assert "evidence" in (run.results() / "report.html").read_text()
    sizes = [op["value"] for op in run.history() if op["f"] == "sizes"][-3:]
    counted = ("requests", "request_bytes", "unsent", "owed", "keys_in_progress")
    assert [{each[name] for name in counted} for each in sizes] == [{0}] * 3


@pytest.mark.parametrize(
    ("bug", "code"), [("not_ready_now_and_then", "not-ready"), ("strange_refusals", "tired")]
)
def test_refusals_without_any_fault_are_unavailable(call: Call, bug: str, code: str) -> None:
    found = planted(call, bug, "--nemesis", "none", "--time-limit", "2s", "--seed", "1")
    assert set(found["anomalies"]) == {"unavailable"}
    whys = [anomaly["why"] for anomaly in found["checkers"]["ledger"]["anomalies"]]
    assert all(f"ended in {code}, although" in why for why in whys)


def test_a_disk_that_was_mended_long_ago_excuses_nothing(call: Call, tmp_path: Path) -> None:
    (tmp_path / "full.yaml").write_text(
        "faults:\n- {start: 0.2, stop: 1.2, member: disk.full, kind: full, nodes: [n1, n2, n3]}\n"
    )
    found = planted(call, "distrusts_its_disk", "--schedule", "full.yaml",
                    "--time-limit", "9s", "--seed", "1")  # fmt: skip
    assert "unavailable" in found["anomalies"]
    (why, *_) = (each["why"] for each in found["checkers"]["ledger"]["anomalies"])
    assert "ended in storage-write, although" in why


def test_an_overload_that_never_ends_is_unavailable(call: Call, tmp_path: Path) -> None:
    (tmp_path / "burst.yaml").write_text(
        "faults:\n- {start: 1.0, stop: 2.0, member: load.burst, kind: burst, with: {puts: 400}, "
        "nodes: [n1, n2, n3]}\n"
    )
    found = planted(call, "overloaded_ever_after", "--schedule", "burst.yaml",
                    "--time-limit", "3s", "--seed", "1")  # fmt: skip
    assert set(found["anomalies"]) == {"unavailable"}
    (why, *_) = (each["why"] for each in found["checkers"]["ledger"]["anomalies"])
    assert "no final read of" in why
    assert "overloaded" in why


@pytest.mark.parametrize(
    ("bug", "what"), [("leaked_slots", "requests"), ("busy_ever_after", "keys_in_progress")]
)
def test_what_is_never_given_back_is_a_leak(call: Call, bug: str, what: str) -> None:
    found = planted(call, bug, "--nemesis", "none", "--time-limit", "2s", "--seed", "1")
    assert set(found["anomalies"]) == {"leak"}
    assert all(each["data"][what] > 0 for each in found["checkers"]["leaks"]["anomalies"])
