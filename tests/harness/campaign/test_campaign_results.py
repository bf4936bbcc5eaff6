"""What a campaign makes of its runs: nothing hides a failure, and what is new is reported."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from dynamesis.harness.campaign.journal import CellRun, Journal
from dynamesis.harness.campaign.matrix import Cell
from dynamesis.harness.campaign.results import collect, news, previous
from dynamesis.harness.campaign.spec import Campaign
from dynamesis.harness.report.campaign import index, junit, summary
from dynamesis.harness.results.results import Folder

CELLS = tuple(Cell("cart", "cut", "default", seed) for seed in (1, 2, 3, 4, 5))


def ran(number: int, seed: int, verdict: str, rerun: bool = False) -> CellRun:
    anomalies = {"lost-write": 2} if verdict == "invalid" else {}
    why = {"invalid": ("<b> is lost",), "unknown": ("no final reads",)}.get(verdict, ())
    files = (f"runs/{number}/output.txt", f"runs/{number}/x")
    took = (2.5, number * 2.5)
    cell = CELLS[seed - 1].name
    return CellRun(
        number, cell, ("test",), rerun, verdict, 1, *took, *files, "dynamesis test", anomalies, why
    )


def results(*runs: CellRun) -> dict[str, Any]:
    campaign = Campaign("mine", "2s", 2.0, {"default": {}}, CELLS)
    return collect(campaign, runs, "2026-01-01", 60.0)


def verdicts(found: dict[str, Any]) -> list[str]:
    return [cell["verdict"] for cell in found["cells"]]


def test_the_worst_of_all_runs_counts() -> None:
    found = results(
        ran(1, 1, "valid"),
        ran(2, 2, "invalid"),
        ran(3, 2, "unknown", rerun=True),
        ran(4, 2, "valid", rerun=True),
        ran(5, 3, "unknown"),
        ran(6, 4, "error"),
    )
    assert verdicts(found) == ["valid", "invalid", "unknown", "error", "not run"]
    assert found["verdict"] == "invalid"
    assert (found["cells"][1]["failed"], found["cells"][1]["tried"]) == (1, 3)
    assert found["cells"][1]["anomalies"] == {"lost-write": 2}


@pytest.mark.parametrize(
    ("runs", "verdict"),
    [
        ((), "unknown"),
        (("valid",), "valid"),
        (("valid", "unknown"), "unknown"),
        (("unknown", "error"), "error"),
        (("error", "invalid", "unknown"), "invalid"),
    ],
)
def test_the_verdict_of_the_whole(runs: tuple[str, ...], verdict: str) -> None:
    assert results(*(ran(i, i, each) for i, each in enumerate(runs, 1)))["verdict"] == verdict


def test_an_interrupted_campaign_is_never_valid() -> None:
    campaign = Campaign("mine", "2s", 2.0, {"default": {}}, CELLS)
    for outcome, verdict in (("valid", "unknown"), ("error", "error"), ("invalid", "invalid")):
        found = collect(campaign, [ran(1, 1, outcome)], "2026-01-01", 60.0, interrupted=True)
        assert found["verdict"] == verdict
        assert summary(found, news(found, None), None).startswith(
            f"# Campaign mine: {verdict}, interrupted"
        )


def test_what_cannot_be_is_reported_and_changes_no_verdict() -> None:
    skipped = {Cell("cart", "cut", "bare", 1): "needs links"}
    campaign = Campaign("mine", "2s", 2.0, {}, CELLS[:1], skipped=skipped)
    found = collect(campaign, [ran(1, 1, "valid")], "2026-01-01", 60.0)
    assert found["verdict"] == "valid"
    assert verdicts(found) == ["valid", "not run"]
    new = news(found, None)
    assert "## Skipped\n\n- `cart/cut/bare/1`: not run: needs links" in summary(found, new, None)
    suite = ET.fromstring(junit(found))
    assert suite.attrib["skipped"] == "1"
    assert "needs links" in index(found, new)


def test_what_is_new_since_the_last_one() -> None:
    before = results(ran(1, 1, "invalid"), ran(2, 2, "invalid"), ran(3, 3, "valid"))
    now = results(ran(1, 1, "valid"), ran(2, 2, "invalid"), ran(3, 3, "invalid"),
                  ran(4, 4, "unknown"))  # fmt: skip
    found = {kind: [cell["seed"] for cell in cells] for kind, cells in news(now, before).items()}
    assert found == {"new": [3], "still": [2], "fixed": [1]}
    assert [cell["seed"] for cell in news(now, None)["new"]] == [2, 3]


def test_the_last_one_is_the_one_before(tmp_path: Path) -> None:
    for name in ("1", "2", "3", "4"):
        (tmp_path / name).mkdir()
    for name in ("1", "2", "4"):
        Folder(tmp_path / name).save_json("campaign.json", {"start": name})
    (tmp_path / "latest").symlink_to("2")
    assert (previous(tmp_path / "3") or {})["start"] == "2"
    assert previous(tmp_path / "1") is None
    Folder(tmp_path / "2").save("campaign.json", '{"start": ')
    assert (previous(tmp_path / "3") or {})["start"] == "1", "a damaged one is passed over"


def test_it_is_reported_in_every_form() -> None:
    before = results(ran(1, 1, "invalid"))
    now = results(ran(1, 1, "valid"), ran(2, 2, "invalid"), ran(3, 2, "valid", rerun=True),
                  ran(4, 3, "unknown"), ran(5, 4, "error"))  # fmt: skip
    changed = news(now, before)

    text = summary(now, changed, "yesterday")
    assert text.startswith("# Campaign mine: invalid\n")
    assert "Compared with the one of yesterday." in text
    new, fixed = text.index("## New failures"), text.index("## Fixed")
    assert new < text.index("`cart/cut/default/2`: invalid: lost-write (2); failed 1 of 2") < fixed
    assert text.index("`cart/cut/default/1`") > fixed

    suite = ET.fromstring(junit(now))
    counts = {name: suite.get(name) for name in ("tests", "failures", "errors", "skipped")}
    assert counts == {"tests": "5", "failures": "1", "errors": "2", "skipped": "1"}
    outcomes = [[child.tag for child in case] for case in suite]
    assert outcomes == [[], ["failure"], ["error"], ["error"], ["skipped"]]

    page = index(now, changed, "yesterday")
    assert "2 new failures, 0 still failing, 1 fixed since the one of yesterday." in page
    assert "since" not in index(now, news(now, None)), "there was none before"
    assert "&lt;b&gt; is lost" in page
    assert "<b> is lost" not in page
    assert 'href="runs/2/x/report.html"' in page
    assert "failed 1 of 2 runs" in page
    assert "<script" not in page
    assert "http" not in page


def test_a_torn_line_of_the_journal_is_run_again(tmp_path: Path) -> None:
    path = tmp_path / "runs.jsonl"
    first = Journal(path)
    first.add(ran(1, 1, "valid"))
    first.add(ran(2, 2, "invalid"))
    path.write_bytes(path.read_bytes()[:-20])
    again = Journal(path)
    assert again.runs == [ran(1, 1, "valid")]
    again.add(ran(2, 2, "invalid"))
    assert Journal(path).runs == [ran(1, 1, "valid"), ran(2, 2, "invalid")]
