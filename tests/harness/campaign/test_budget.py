"""Budgets: how they are written, what they prune, and rates that are known so well."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from dynamesis.harness.campaign.budget import Budget, from_flags
from dynamesis.harness.campaign.journal import CellRun, Journal
from dynamesis.harness.campaign.matrix import Cell
from dynamesis.harness.campaign.prune import Room, prunable, taken
from dynamesis.harness.campaign.rates import due, rate
from dynamesis.harness.campaign.results import collect, news
from dynamesis.harness.campaign.run_campaign import read_campaign
from dynamesis.harness.campaign.spec import Campaign
from dynamesis.harness.cli.app import run
from dynamesis.harness.report.campaign import index, junit, summary
from dynamesis.harness.report.nightly import nightly
from dynamesis.harness.results.interval import enough, interval
from dynamesis.harness.usage.exits import UsageError

CELLS = tuple(Cell("cart", "cut", "default", seed) for seed in (1, 2, 3))


@pytest.mark.parametrize("tried", [1, 2, 3, 7, 40, 1000])
def test_the_interval_is_wilsons(tried: int) -> None:
    from scipy.stats import binomtest  # takes a second, and each worker imports all tests

    for failed in range(0, tried + 1, max(1, tried // 7)):
        theirs = binomtest(failed, tried).proportion_ci(0.95, method="wilson")
        assert interval(failed, tried) == pytest.approx((theirs.low, theirs.high), abs=1e-6)
    assert interval(0, 0) == (0.0, 1.0)


@pytest.mark.parametrize("width", [0.01, 0.1, 0.3, 0.6, 0.99])
def test_enough_runs_are_enough_for_every_rate(width: float) -> None:
    tried = enough(width)
    for failed in {0, 1, tried // 3, tried // 2, tried}:
        low, high = interval(min(failed, tried), tried)
        assert high - low <= width + 1e-9
    if tried > 2:
        low, high = interval((tried - 2) // 2, tried - 2)
        assert high - low > width, "and not many more than are needed"


def runs(first: str, *again: str) -> list[CellRun]:
    name = CELLS[0].name
    both = [(first, False), *((each, True) for each in again)]
    return [CellRun(n, name, ("test",), rerun, verdict, 1, 1.0, float(n), "o", "f", "", {"lost": 1})
            for n, (verdict, rerun) in enumerate(both, 1)]  # fmt: skip


def test_a_rate_is_of_the_reruns_that_have_a_verdict() -> None:
    found = rate(runs("invalid", "valid", "invalid", "unknown", "valid", "error"), 0.2)
    assert found is not None
    assert (found["failed"], found["tried"], found["rate"]) == (1, 3, 0.3333)
    assert (found["low"], found["high"]) == (0.0615, 0.7923)
    assert (found["wanted"], found["known"]) == (0.2, False)
    assert rate(runs("invalid")) is None


def test_reruns_end_when_the_rate_is_known_or_the_budget() -> None:
    wide = Budget(reruns=100, width=0.6)
    counts = [due(runs("invalid", *["invalid"] * n), wide) for n in range(5)]
    assert counts == [100, 99, 98, 0, 0], "3 of 3 is 44% to 100%"
    assert due(runs("invalid", *["unknown"] * 99), wide) == 1, "they add no knowledge, but cost"
    assert due(runs("invalid", *["unknown"] * 100), wide) == 0
    assert due(runs("invalid", "valid", "valid", "valid"), Budget(reruns=3)) == 0


def collected(*verdicts: str, width: float | None = None, **more: Any) -> dict[str, Any]:
    budget = Budget(reruns=3, width=width)
    campaign = Campaign("mine", "2s", 2.0, {"default": {}}, CELLS, budget)
    return collect(campaign, runs(*verdicts), "2026", 60.0, **more)


def test_no_rerun_makes_a_verdict_valid_and_its_rate_is_reported() -> None:
    found = collected("invalid", "valid", "valid", "valid", width=0.2)
    assert found["cells"][0]["verdict"] == found["verdict"] == "invalid"
    changed = news(found, None)
    text = "0% of 3 reruns, 95% interval 0% to 56%, not yet within 20%: the budget ended"
    site = nightly(found, changed)
    assert text in summary(found, changed, None, site)
    assert text in index(found, changed, None, site)
    assert text in junit(found)
    (row,) = site["flaky"]
    assert (row["failed"], row["tried"], row["low"], row["high"]) == (1, 4, 0.0456, 0.6994)
    assert "- `cart/cut/default/1`: 25% (1 of 4 runs), 95% interval 5% to 70%" in summary(
        found, changed, None, site
    )
    assert site["new"][0]["rate"]["high"] == 0.5615


def test_what_a_budget_left_out_is_named_and_never_valid() -> None:
    why = "the budget of 1 run was used up"
    found = collected("valid", omitted={cell.name: why for cell in CELLS[1:]})
    assert found["verdict"] == "unknown"
    changed = news(found, None)
    suite = ET.fromstring(junit(found))
    assert (suite.get("errors"), suite.get("skipped")) == ("2", "0")
    for page in (summary(found, changed, None), index(found, changed), junit(found)):
        assert why in page
    assert "## Skipped" not in summary(found, changed, None)
    assert nightly(found, changed)["omitted"] == found["omitted"]


@pytest.mark.parametrize(
    ("flags", "budget"),
    [
        (("time=2m",), Budget(time=120.0)),
        (("runs=7,reruns=0",), Budget(runs=7, reruns=0)),
        (("bytes=2GB", "time=1h"), Budget(bytes=2 * 10**9, time=3600.0)),
        (("bytes=1.5 MiB",), Budget(bytes=3 * 2**19)),
        (("bytes=512",), Budget(bytes=512)),
        (("width=0.5",), Budget(reruns=12, width=0.5)),
        (("width=0.5", "reruns=4"), Budget(reruns=4, width=0.5)),
        ((), Budget()),
    ],
)
def test_a_budget_is_changed_by_flags(flags: tuple[str, ...], budget: Budget) -> None:
    assert from_flags(Budget(), flags) == budget


@pytest.mark.parametrize("flag", [
    "time", "minutes=3", "time=soon", "runs=0", "runs=x", "runs=1.5", "bytes=2", "bytes=-1MB",
    "bytes=0GB", "bytes=2XB", "width=2", "width=0", "width=nan", "width=x", "reruns=-1", "", "=",
])  # fmt: skip
def test_a_budget_that_is_none(flag: str) -> None:
    if flag == "bytes=2":
        assert from_flags(Budget(), [flag]).bytes == 2
        return
    with pytest.raises(UsageError, match="--budget"):
        from_flags(Budget(), [flag])


def test_a_budget_in_the_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    head = "name: mine\nmatrix: {workload: cart, nemesis: none}\n"
    path = tmp_path / "mine.yaml"
    path.write_text(head + "budget: {bytes: 3kB, width: 0.5, time: 1m}\n")
    assert read_campaign(path).budget == Budget(time=60.0, bytes=3000, reruns=12, width=0.5)
    for wrong in ("bytes: lots", "width: 3", "width: yes", "bytes: true", "reruns: x"):
        path.write_text(head + "budget:\n  " + wrong + "\n")
        assert run(["campaign", str(path), "--store", str(tmp_path / "s")]) == 2
        printed = capsys.readouterr().err
        assert f"mine.yaml, line 4: {wrong.partition(':')[0]}: " in printed
        assert printed.count("\n") == 1


def night(root: Path, name: str, *verdicts: tuple[int, str]) -> Path:
    """A campaign whose tests have left 10 kB each; (seed, verdict) in that order."""
    folder = root / name
    folder.mkdir(parents=True)
    journal = Journal(folder / "runs.jsonl")
    for number, (seed, verdict) in enumerate(verdicts, 1):
        at = folder / f"runs/{number:04}/x/2026"
        (at / "nodes/n1").mkdir(parents=True)
        (at / "nodes/n1/node.log").write_text("x" * 4000)
        (at / "history.jsonl").write_text("x" * 4000)
        (at / "report.html").write_text("x" * 2000)
        for kept in ("test.json", "results.json"):
            (at / kept).write_text("{}")
        journal.add(CellRun(number, CELLS[seed - 1].name, ("test",), False, verdict, 0, 1.0,
                            float(number), "o", str(at.relative_to(folder)),
                            "dynamesis test <x>"))  # fmt: skip
    return folder


def test_old_valid_runs_are_pruned_and_failures_never(tmp_path: Path) -> None:
    old = night(tmp_path, "1", (1, "valid"), (2, "invalid"), (2, "valid"), (3, "unknown"))
    new = night(tmp_path, "2", (1, "valid"), (2, "valid"), (3, "error"))
    (tmp_path / "latest").symlink_to("2")
    assert [(each.campaign.name, each.run.number) for each in prunable(tmp_path)] == [
        ("1", 1), ("2", 1), ("2", 2)
    ]  # fmt: skip
    before = taken(tmp_path)
    room = Room(tmp_path, before - 5000)
    assert room.make() is None
    assert room.removed == 1, "the oldest, and no more than is needed"
    gone = old / "runs/0001/x/2026"
    assert sorted(path.name for path in gone.iterdir()) == [
        "report.html", "results.json", "test.json"
    ]  # fmt: skip
    page = (gone / "report.html").read_text()
    assert "dynamesis test &lt;x&gt;" in page
    assert taken(tmp_path) <= before - 5000
    (row,) = map(json.loads, (old / "pruned.jsonl").read_text().splitlines())
    assert (row["number"], row["cell"]) == (1, CELLS[0].name)

    all_of_it = Room(tmp_path, 1)
    assert "no valid run is left" in (all_of_it.make() or "")
    for folder, number in ((old, 2), (old, 3), (old, 4), (new, 3)):
        assert (folder / f"runs/{number:04}/x/2026/history.jsonl").exists(), "of a failure"
    assert not (new / "runs/0001/x/2026/history.jsonl").exists()
    assert list(prunable(tmp_path)) == []


def test_room_counts_what_is_added(tmp_path: Path) -> None:
    folder = night(tmp_path, "1", (1, "valid"))
    room = Room(tmp_path, taken(tmp_path) + 9000)
    assert room.make() is None
    assert room.removed == 0
    night(tmp_path, "2", (1, "invalid"))
    room.add(tmp_path / "2/runs/0001")
    assert room.make() is None
    assert room.removed == 1
    assert not (folder / "runs/0001/x/2026/history.jsonl").exists()


def test_files_with_two_names_are_pruned_by_both(tmp_path: Path) -> None:
    """A merged campaign shares the files of its shards."""
    night(tmp_path, "1", (1, "valid"))
    shutil.copytree(tmp_path / "1", tmp_path / "2", copy_function=os.link)
    limit = taken(tmp_path) - 5000
    room = Room(tmp_path, limit)
    assert room.make() is None
    assert taken(tmp_path) < limit
    assert room.removed == 2


def test_a_damaged_journal_is_not_pruned(tmp_path: Path) -> None:
    night(tmp_path, "1", (1, "valid"))
    (tmp_path / "1/runs.jsonl").write_text("[]\n")
    assert list(prunable(tmp_path)) == []


def test_a_dry_run_lists_and_does_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text("name: mine\nmatrix: {workload: [cart, register], nemesis: none}\n")
    store = tmp_path / "store"
    old = night(store / "campaigns/mine", "1", (1, "valid"), (2, "invalid"))
    before = sorted(store.rglob("*"))
    assert run(["campaign", str(path), "--store", str(store), "--dry-run", "--budget",
                "bytes=12kB", "--shard", "1/2"]) == 0  # fmt: skip
    printed = capsys.readouterr().out
    assert "1 test would be run" in printed
    assert "/none/default/1" in printed
    assert "prune" in printed
    assert str(old / "runs/0001") in printed.replace("\n", "")
    assert "runs/0002" not in printed
    assert sorted(store.rglob("*")) == before
