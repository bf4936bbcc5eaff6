"""`dynamesis zoo` on real processes."""

from __future__ import annotations

import json

import pytest

from tests.end_to_end.conftest import Start

pytestmark = pytest.mark.cluster


def test_a_bug_is_caught_and_its_pair_is_not(start: Start) -> None:
    run = start("zoo", "--only", "merged-clock-siblings", "--seeds", "1", "--jobs", "2",
                "--time-limit", "3s", "--markdown", "zoo.md", "--json", "zoo.json")  # fmt: skip
    assert run.wait() == 0, run.printed()
    assert "1 of 1 caught" in run.printed()
    found = json.loads((run.folder / "zoo.json").read_text())
    (bug,) = found["bugs"]
    assert bug["caught"]
    assert "false-sibling" in bug["anomalies"]
    assert 0 < bug["worst"] < 60
    assert [test["verdict"] for test in found["clean"]] == ["valid"]
    folder = (run.folder / "store/campaigns/zoo/latest").resolve()
    assert (folder / bug["tests"][0]["folder"] / "report.html").exists()
    assert (folder / "zoo.md").read_text() == (run.folder / "zoo.md").read_text()
    assert (folder / "index.html").exists()


@pytest.mark.nightly
def test_what_escapes_is_reported_with_exit_code_1(start: Start) -> None:
    """A load too short for clocks of ten actors: nothing is reported that was not seen."""
    run = start("zoo", "--only", "prune-clock", "--seeds", "1", "--jobs", "2",
                "--time-limit", "200ms")  # fmt: skip
    assert run.wait() == 1, run.printed()
    assert "0 of 1 caught" in run.printed()
