"""What a verdict rests on, and what a store may not refuse or keep: on real processes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.end_to_end.conftest import Run, Start

pytestmark = pytest.mark.cluster

BUGS = Path(__file__).with_name("bugs") / "evidence.py"
SMALL = ("--workload", "register", "--links", "direct", "--nodes", "3", "--keys", "4")


def results(run: Run) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((run.results() / "results.json").read_bytes())
    return found


def planted(start: Start, bug: str, *arguments: str) -> dict[str, Any]:
    """The results of a test with this bug, which must be invalid."""
    run = start("test", *SMALL, "--bug", f"{BUGS}:{bug}", *arguments)
    assert run.wait() == 1, run.printed()
    return results(run)


def test_faults_that_leave_nothing_acknowledged_make_the_verdict_unknown(
    start: Start, tmp_path: Path
) -> None:
    (tmp_path / "kill-all.yaml").write_text(
        "faults:\n- {start: 0.3, stop: 3.9, member: kill.all, nodes: [n1, n2, n3]}\n"
    )
    run = start("test", "--workload", "register", "--schedule", "kill-all.yaml", "--links",
                "direct", "--nodes", "3", "--keys", "3", "--rate", "40", "--time-limit", "4s",
                "--seed", "3")  # fmt: skip
    assert run.wait() == 3, run.printed()
    assert "too little was acknowledged: " in run.printed()
    evidence = results(run)["evidence"]
    assert evidence["acknowledged"] < evidence["floor"]["acknowledged"]
    assert [fault["took_effect"] for fault in evidence["faults"]] == [True]


def test_a_load_of_300_ms_is_too_little(start: Start) -> None:
    run = start("test", *SMALL, "--nemesis", "none", "--time-limit", "300ms", "--seed", "1")
    assert run.wait() == 3, run.printed()
    assert "the floor is 50 operations and 20 writes" in run.printed()


def test_a_valid_verdict_shows_what_it_rests_on(start: Start) -> None:
    run = start("test", *SMALL, "--nemesis", "kill.one", "--time-limit", "4s", "--seed", "2")
    assert run.wait() == 0, run.printed()
    evidence = results(run)["evidence"]
    (line,) = (line for line in run.printed().splitlines() if line.startswith("  evidence: "))
    assert f"{evidence['acknowledged']} of {evidence['tried']} operations acknowledged" in line
    assert evidence["final_reads"]["asked"] == evidence["final_reads"]["answered"] >= 4
    assert evidence["compared"] == {"keys": 8, "replicas": 24, "most_replicas": 3}
    assert evidence["operations"]["put"]["during_faults"] > 0
    assert all(fault["took_effect"] for fault in evidence["faults"])
    assert "evidence" in (run.results() / "report.html").read_text()
    sizes = [op["value"] for op in run.history() if op["f"] == "sizes"][-3:]
    counted = ("requests", "request_bytes", "unsent", "owed", "keys_in_progress")
    assert [{each[name] for name in counted} for each in sizes] == [{0}] * 3


@pytest.mark.parametrize(
    ("bug", "code"), [("not_ready_now_and_then", "not-ready"), ("strange_refusals", "tired")]
)
def test_refusals_without_any_fault_are_unavailable(start: Start, bug: str, code: str) -> None:
    found = planted(start, bug, "--nemesis", "none", "--time-limit", "2s", "--seed", "1")
    assert set(found["anomalies"]) == {"unavailable"}
    whys = [anomaly["why"] for anomaly in found["checkers"]["ledger"]["anomalies"]]
    assert all(f"ended in {code}, although" in why for why in whys)


def test_a_disk_that_was_mended_long_ago_excuses_nothing(start: Start, tmp_path: Path) -> None:
    (tmp_path / "full.yaml").write_text(
        "faults:\n- {start: 0.2, stop: 1.2, member: disk.full, kind: full, nodes: [n1, n2, n3]}\n"
    )
    found = planted(start, "distrusts_its_disk", "--schedule", "full.yaml",
                    "--time-limit", "9s", "--seed", "1")  # fmt: skip
    assert "unavailable" in found["anomalies"]
    (why, *_) = (each["why"] for each in found["checkers"]["ledger"]["anomalies"])
    assert "ended in storage-write, although" in why


def test_an_overload_that_never_ends_is_unavailable(start: Start, tmp_path: Path) -> None:
    (tmp_path / "burst.yaml").write_text(
        "faults:\n- {start: 1.0, stop: 2.0, member: load.burst, kind: burst, with: {puts: 400}, "
        "nodes: [n1, n2, n3]}\n"
    )
    found = planted(start, "overloaded_for_good", "--schedule", "burst.yaml",
                    "--time-limit", "3s", "--seed", "1")  # fmt: skip
    assert set(found["anomalies"]) == {"unavailable"}
    (why, *_) = (each["why"] for each in found["checkers"]["ledger"]["anomalies"])
    assert "no final read of" in why
    assert "overloaded" in why


@pytest.mark.parametrize(
    ("bug", "what"), [("leaked_slots", "requests"), ("busy_for_good", "keys_in_progress")]
)
def test_what_is_never_given_back_is_a_leak(start: Start, bug: str, what: str) -> None:
    found = planted(start, bug, "--nemesis", "none", "--time-limit", "2s", "--seed", "1")
    assert set(found["anomalies"]) == {"leak"}
    assert all(each["data"][what] > 0 for each in found["checkers"]["leaks"]["anomalies"])
