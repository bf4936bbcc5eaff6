"""What a night has shown: rates, nights, the zoo, on the page, in Markdown, as data."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from dynamesis.harness.campaign.journal import CellRun
from dynamesis.harness.campaign.matrix import Cell
from dynamesis.harness.campaign.results import collect, earlier, newest_zoo, news
from dynamesis.harness.campaign.run_campaign import save_results
from dynamesis.harness.campaign.scheduler import measures
from dynamesis.harness.campaign.spec import Campaign
from dynamesis.harness.report.campaign import index, summary
from dynamesis.harness.report.nightly import bugs, flaky, matrix, nightly
from dynamesis.harness.results.results import Folder

CELLS = tuple(Cell("cart", "cut", "default", seed) for seed in (1, 2, 3))
ZOO = {"start": "2026-01-03", "mode": "suited", "bugs": [
    {"name": "otter", "mechanism": "<i>", "caught": True, "catches": 3, "tried": 3,
     "median": 8.1, "anomalies": {"lost-write": 3}},
    {"name": "stoat", "mechanism": "m", "caught": False, "catches": 0, "tried": 3,
     "median": None, "anomalies": {}}]}  # fmt: skip


def night(start: str, *verdicts: str, p99: float = 10.0) -> dict[str, Any]:
    """A night with a run of each cell; `a,b` are a run and one more of the same cell."""
    runs, number = [], 0
    for cell, each in zip(CELLS, verdicts, strict=False):
        for again, verdict in enumerate(each.split(",")):
            number += 1
            runs.append(CellRun(
                number, cell.name, ("test",), again > 0, verdict, 0, 2.0, 2.0, "o", "x",
                measures={"p99_ms": p99, "converged_s": 0.5},
            ))  # fmt: skip
    return collect(Campaign("mine", "2s", 2.0, {"default": {}}, CELLS), runs, start, 60.0)


def test_flaky_is_what_fails_now_and_then_over_all_nights() -> None:
    nights = [
        night("1", "valid", "invalid", "valid"),
        night("2", "invalid,valid", "invalid", "unknown"),
    ]
    assert flaky(nights) == [
        {"cell": "cart/cut/default/1", "failed": 1, "tried": 3, "rate": 0.3333, "low": 0.0615,
         "high": 0.7923, "nights": 2}
    ]  # fmt: skip


def test_the_matrix_is_rates() -> None:
    (row,) = matrix(night("1", "valid", "error", "invalid")["cells"])
    assert (row["failed"], row["seeds"], row["worst"]) == (2, 3, "invalid")


def test_a_run_has_the_measures_of_its_results() -> None:
    results = {
        "stats": {"by_f": {"get": {"latency_ms": {"p99": 3.5}}, "put": {"latency_ms": {"p99": 9}}}},
        "checkers": {"staleness": {"details": {"converged_s": 0.25}}},
    }
    assert measures(results) == {"p99_ms": 9, "converged_s": 0.25}
    assert measures({}) == {}
    assert night("1", "valid", "valid", p99=4.0)["measures"] == {"p99_ms": 4.0, "converged_s": 0.5}


def test_the_site_has_failures_before_the_matrix_and_the_zoo() -> None:
    before, now = (
        night("2026-01-01", "valid", "valid"),
        night("2026-01-02", "invalid,valid", "valid"),
    )
    new = news(now, before)
    page = index(now, new, "2026-01-01", nightly(now, new, [before], ZOO))
    order = [page.index(title) for title in ("What failed", "Flaky", "Matrix", "Nights", "The zoo")]
    assert order == sorted(order)
    assert "<td>33%</td><td>1 of 3</td>" in page
    assert '<span class="verdict valid">caught</span> 3 of 3' in page
    assert '<span class="verdict invalid">escaped</span> 0 of 3' in page
    assert "<i>" not in page
    assert "not measured" not in page
    assert "<svg" in page


def test_one_night_is_not_a_trend_and_damage_is_passed_over() -> None:
    now = night("2", "valid")
    new = news(now, None)
    assert "<svg" not in index(now, new)
    old = [{"name": "mine"}, {"cells": [3], "counts": 7, "seconds": "x", "measures": 1}]
    assert "<svg" in index(now, new, None, nightly(now, new, old, {"bugs": 5}))


def test_a_campaign_writes_all_of_it(tmp_path: Path) -> None:
    for name, verdict in (("1", "valid"), ("2", "invalid")):
        (tmp_path / "campaigns/mine" / name).mkdir(parents=True)
        save_results(Folder(tmp_path / "campaigns/mine" / name), night(name, verdict))
    zoo = tmp_path / "campaigns/zoo/1"
    zoo.mkdir(parents=True)
    Folder(zoo).save_json("zoo.json", ZOO)
    folder = tmp_path / "campaigns/mine/3"
    folder.mkdir()
    save_results(Folder(folder), night("3", "valid"))
    site = json.loads((folder / "nightly.json").read_text())
    assert [each["verdict"] for each in site["nights"]] == ["valid", "invalid", "valid"]
    assert site["fixed"] == ["cart/cut/default/1"]
    assert site["compared"] == "2"
    assert [bug["caught"] for bug in site["zoo"]["rows"]] == [True, False]
    text = (folder / "summary.md").read_text()
    assert "- `cart/cut/default/1`: 33% (1 of 3 runs)" in text
    assert "| otter | yes, 3 of 3 | lost-write |" in text
    assert len(earlier(folder)) == 2
    assert newest_zoo(tmp_path / "campaigns") == ZOO


def test_texts_of_cells_neither_turn_the_page_around_nor_are_markup() -> None:
    odd = "`<b>\u202e\x1b"
    text = json.dumps(night("2", "invalid,valid", "invalid", "unknown"))
    now = json.loads(text.replace("cart/cut", json.dumps(f"{odd}/cut")[1:-1]))
    new = news(now, None)
    zoo = {**ZOO, "bugs": [{**ZOO["bugs"][0], "name": odd, "mechanism": odd}]}
    shown = nightly(now, new, [], zoo)
    for made in (index(now, new, None, shown), summary(now, new, None, shown)):
        assert "\\u202e\\x1b" in made
        assert "\u202e" not in made
        assert "\x1b" not in made
    lines = summary(now, new, None, shown).splitlines()
    assert any(line.startswith("- `` `<b>") for line in lines)
    assert any("\\<b>" in line for line in lines if line.startswith("|"))


def test_a_simulated_zoo_counts_schedules_where_another_counts_seeds() -> None:
    rows = [
        {"name": "otter", "caught": True, "schedules": 7, "seconds": 1.5, "anomalies": ["stuck"]},
        {"name": "newt", "caught": False, "schedules": 900, "seconds": 60.0, "anomalies": []},
        {"name": "toad", "caught": True, "catches": 2, "tried": 3, "median": 4.0},
    ]
    shown = bugs({"mode": "simulated", "bugs": rows})["rows"]
    assert [row["often"] for row in shown] == ["schedule 7", "900 schedules", "2 of 3"]
    assert [row["median"] for row in shown] == [1.5, 60.0, 4.0]
