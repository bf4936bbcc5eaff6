"""`dynamesis campaign` on real processes: what fails, what is interrupted, what continues."""

from __future__ import annotations

import json
import signal
from pathlib import Path
from typing import Any

import pytest

from tests.end_to_end.conftest import Call, Run, Start

pytestmark = pytest.mark.cluster

TWO = """
name: two
time_limit: 2s
matrix:
  workload: register
  nemesis: none
  config:
  - {name: planted, nodes: 3, bug: merged-clock-siblings}
  - {name: clean, nodes: 3}
budget: {reruns: 1}
"""
LONG = """
name: long
time_limit: 2s
matrix:
  workload: cart
  nemesis: [none, pause.one]
  config: {name: small, links: direct, nodes: 3}
"""


def folder(run: Run) -> Path:
    return (run.folder / "store/campaigns").glob("*/latest").__next__().resolve()


def journal(run: Run) -> list[dict[str, Any]]:
    path = folder(run) / "runs.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def test_a_planted_bug_fails_and_the_rest_continues(start: Start, tmp_path: Path) -> None:
    (tmp_path / "two.yaml").write_text(TWO)
    run = start("campaign", "two.yaml", "--jobs", "2", "--junit", "verdict.xml",
                "--world", "simulated")  # fmt: skip
    assert run.wait() == 1, run.printed()
    found = json.loads((folder(run) / "campaign.json").read_text())
    assert [cell["verdict"] for cell in found["cells"]] == ["invalid", "valid"]
    planted = found["cells"][0]
    assert (planted["failed"], planted["tried"]) == (2, 2)
    assert planted["anomalies"]["false-sibling"] > 0
    assert (folder(run) / planted["folder"] / "report.html").exists()
    again = next(row for row in journal(run) if row["rerun"])
    assert any(argument.startswith("--schedule=") for argument in again["arguments"])
    assert "--seed=1" in again["arguments"]

    assert "register/none/planted/1: invalid" in run.printed().replace("`", "")
    assert (run.folder / "verdict.xml").read_text() == (folder(run) / "junit.xml").read_text()
    # what the workers logged is in the log of the campaign, and nothing twice
    log = (folder(run) / "campaign.log").read_text()
    assert {"job-1", "job-2"} <= {line.split()[3] for line in log.splitlines()}
    assert log.count("ended with") == 3


def test_an_interrupted_campaign_continues(start: Start, call: Call, tmp_path: Path) -> None:
    (tmp_path / "long.yaml").write_text(LONG)
    first = start("campaign", "long.yaml")

    def second_loads() -> bool:
        return len(journal(first)) == 1 and "faults: pause.one" in output(first, 2)

    first.until(lambda: "campaign long" in first.printed(), "the beginning")
    first.until(second_loads, "the load of the second test")
    first.process.send_signal(signal.SIGINT)
    assert first.wait() == 3, first.printed()
    assert "interrupted" in first.printed()
    assert first.processes() == []
    assert [row["verdict"] for row in journal(first)] == ["valid"]

    changed = LONG.replace("2s", "4s")
    (tmp_path / "long.yaml").write_text(changed)
    refused = call("campaign", "long.yaml", "--resume")
    assert refused.wait() == 2
    assert "has changed" in refused.printed()

    (tmp_path / "long.yaml").write_text(LONG)
    second = start("campaign", "long.yaml", "--resume")
    assert second.wait() == 0, second.printed()
    assert [row["verdict"] for row in journal(second)] == ["valid", "valid"]
    assert "2 valid" in (folder(second) / "summary.md").read_text()
    assert len(list((tmp_path / "store/campaigns/long").iterdir())) == 2  # one, and its link


def test_a_killed_campaign_leaves_no_process(start: Start, tmp_path: Path) -> None:
    (tmp_path / "long.yaml").write_text(LONG)
    run = start("campaign", "long.yaml", "--only", "pause.one")
    run.until(lambda: "campaign long" in run.printed(), "the beginning")
    run.until(lambda: "load" in output(run, 1), "the load")
    assert "cluster --config" in " ".join(run.processes())
    run.process.send_signal(signal.SIGKILL)
    run.wait()
    run.until(lambda: not run.processes(), "the end of every process")


def test_a_test_that_cannot_run_does_not_stop_the_rest(start: Start, tmp_path: Path) -> None:
    (tmp_path / "mixed.yaml").write_text(
        TWO.replace("nodes: 3, bug: merged-clock-siblings", "links: toxiproxy")
        .replace("name: clean,", "name: clean, links: direct,")
        .replace("time_limit: 2s", "time_limit: 1s")
    )
    empty = tmp_path / "empty"
    empty.mkdir()
    run = start("campaign", "mixed.yaml", PATH=str(empty), XDG_CACHE_HOME=str(empty),
                PIP_NO_INDEX="1", HTTPS_PROXY="http://127.0.0.1:9",
                https_proxy="http://127.0.0.1:9")  # fmt: skip
    assert run.wait() == 4, run.printed()
    assert [row["verdict"] for row in journal(run)] == ["error", "valid"]
    assert "--links embedded" in journal(run)[0]["why"][-1]


def output(run: Run, number: int) -> str:
    path = folder(run) / f"runs/{number:04}/output.txt"
    return path.read_text() if path.exists() else ""


def test_a_failing_schedule_is_shrunk(call: Call) -> None:
    flags = ("--workload", "register", "--world", "simulated", "--nodes", "3", "--time-limit",
             "3s", "--bug", "merged-clock-siblings", "--seed", "1")  # fmt: skip
    test = call("test", *flags, "--nemesis", "pause.one")
    assert test.wait() == 1, test.printed()
    shrunk = call("shrink", str(test.results()), "--tries", "1")
    assert shrunk.wait() == 0, shrunk.printed()
    assert "0 of" in shrunk.printed()
    assert "faults: []" in (test.results() / "shrunk.yaml").read_text()
    nothing = call("shrink", str(test.folder))
    assert nothing.wait() == 2
