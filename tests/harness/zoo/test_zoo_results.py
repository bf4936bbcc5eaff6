"""What the zoo runs, and what it makes of it: nothing that escaped is called caught."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from dynamesis.cluster.zoo import BUGS
from dynamesis.harness.campaign.journal import CellRun
from dynamesis.harness.campaign.results import collect as campaign_results
from dynamesis.harness.campaign.results import news
from dynamesis.harness.campaign.spec import Campaign
from dynamesis.harness.report.campaign import index
from dynamesis.harness.results.results import Folder
from dynamesis.harness.serve.pages import Pages
from dynamesis.harness.worlds.options import plan_test
from dynamesis.harness.worlds.test_spec import TestSpec, overrides
from dynamesis.harness.zoo.page import ended, markdown
from dynamesis.harness.zoo.plan import (
    MIX,
    STORM,
    Specimen,
    is_clean,
    needed,
    planted_in,
    storm,
    suited,
)
from dynamesis.harness.zoo.results import collect, finish

OTTER = Specimen("otter", "eats writes", "register", "cut", ("lost-write",))
NEWT = Specimen("newt", "sees double", "register", "cut", ("duplicate-sibling", "lost-write"))
SLOTH = Specimen("sloth", "hangs", "cart", "kill", ("stuck",), ("--strict",))
ALL = (OTTER, NEWT, SLOTH)


def ran(cell: str, verdict: str, seconds: float = 10.0, **anomalies: int) -> CellRun:
    named = {name.replace("_", "-"): count for name, count in anomalies.items()}
    files = {"output": "runs/1/output.txt", "folder": "runs/1/x", "command": f"dynamesis {cell}"}
    why = ("k0 is lost",) if named else ()
    return CellRun(1, cell, ("test",), False, verdict, 1, seconds, 1.0,
               anomalies=named, why=why, **files)  # fmt: skip


def outcome(campaign: Campaign, *runs: CellRun, stormy: bool = False) -> dict[str, Any]:
    more = {"start": "2026-01-01", "seconds": 60.0, "interrupted": False, "command": "zoo"}
    planted = {planted_in(cell) for cell in campaign.cells}
    specimens = [each for each in ALL if each.name in planted]
    return collect(specimens, campaign, runs, stormy, **more)


def test_bugs_that_share_a_test_share_its_pair() -> None:
    campaign = suited(ALL, range(1, 3), "8s", 8.0)
    assert [cell.name for cell in campaign.cells[:5]] == [
        "register/cut/clean/1",
        "register/cut/otter/1",
        "register/cut/newt/1",
        "cart/kill/clean --strict/1",
        "cart/kill/sloth --strict/1",
    ]
    assert len(campaign.cells) == 10
    with_bug, pair = (campaign.spec(campaign.cells[i]).arguments() for i in (4, 3))
    assert [each for each in with_bug if each not in pair] == ["--bug=sloth"]


def test_caught_is_by_what_is_expected_with_every_seed_and_in_time() -> None:
    campaign = suited((OTTER,), range(1, 4), "8s", 8.0)
    one = ran("register/cut/otter/1", "invalid", 10.0, lost_write=3, stuck=1)
    two = ran("register/cut/otter/2", "invalid", 20.0, lost_write=1)
    three = "register/cut/otter/3"
    (bug,) = outcome(campaign, one, two, ran(three, "invalid", 30.0, lost_write=2))["bugs"]
    assert (bug["caught"], bug["catches"], bug["median"], bug["worst"]) == (True, 3, 20.0, 30.0)
    assert list(bug["anomalies"].items()) == [("lost-write", 3), ("stuck", 1)]
    for escape in (
        ran(three, "valid"),
        ran(three, "unknown"),
        ran(three, "error"),
        ran(three, "invalid", stuck=1),
        ran(three, "invalid", 61.0, lost_write=2),
    ):
        (bug,) = outcome(campaign, one, two, escape)["bugs"]
        assert (bug["caught"], bug["catches"], bug["tried"]) == (False, 2, 3)
    (bug,) = outcome(campaign, one, two)["bugs"]
    assert not bug["caught"]


def test_what_a_pair_shows_is_a_false_alarm() -> None:
    campaign = suited((OTTER,), range(1, 2), "8s", 8.0)
    bug = ran("register/cut/otter/1", "invalid", lost_write=3)
    found = outcome(campaign, bug, ran("register/cut/clean/1", "invalid", lost_write=1))
    assert (found["all_caught"], found["false_alarms"]) == (True, 1)
    text = markdown(found)
    assert "1 false alarm," in text
    assert "k0 is lost" in text.partition("## False alarms")[2]
    for verdict in ("valid", "unknown"):
        quiet = outcome(campaign, bug, ran("register/cut/clean/1", verdict))
        assert (quiet["false_alarms"], quiet["clean_failed"]) == (0, 0)
    assert outcome(campaign, bug, ran("register/cut/clean/1", "error"))["clean_failed"] == 1


def test_what_escaped_is_reported_with_what_runs_it_again() -> None:
    campaign = suited((OTTER, SLOTH), range(1, 2), "8s", 8.0)
    found = outcome(campaign, ran("register/cut/otter/1", "valid"),
                    ran("cart/kill/sloth --strict/1", "invalid", stuck=1))  # fmt: skip
    text = markdown(found)
    assert "1 of 2 caught" in text
    escaped = text.partition("## Escaped")[2].partition("##")[0]
    assert "dynamesis register/cut/otter/1" in escaped
    assert "sloth" not in escaped


def test_every_round_of_a_storm_is_a_test_that_makes_sense() -> None:
    for (workload, nemesis, given), seed in zip(MIX, range(len(MIX)), strict=True):
        axes = {"workload": workload, "nemesis": nemesis, "seed": seed}
        spec = TestSpec.of({**axes, "links": "embedded", **overrides(given)})
        assert plan_test(spec).faults, (workload, nemesis)


@pytest.mark.parametrize("name", sorted(BUGS))
def test_what_suits_a_bug_is_a_test_that_makes_sense(name: str) -> None:
    bug = BUGS[name]
    axes = {"workload": bug.workload, "nemesis": bug.nemesis, "seed": 1, "bug": [name]}
    spec = TestSpec.of({**axes, "links": "embedded", **overrides(bug.options)})
    assert bool(plan_test(spec).faults) is (bug.nemesis != "none")


class TestStorm:
    campaign = storm((OTTER, NEWT), 1, "20s", 20.0)

    def cell(self, turn: int, bug: str) -> str:
        """The name of a bug's test in a round; the first is 0."""
        return next(
            cell.name
            for cell in self.campaign.cells
            if cell.seed == 1 + turn and planted_in(cell) == bug
        )

    def wanted(self, *runs: CellRun) -> list[str]:
        cells = self.campaign.cells
        return [cell.name for cell in cells if needed(cell, cells, runs)]

    def test_knows_nothing_of_a_bug(self) -> None:
        by_bug: dict[str, list[list[str]]] = {"otter": [], "newt": [], "clean": []}
        for cell in self.campaign.cells:
            arguments = self.campaign.spec(cell).arguments()
            without = [each for each in arguments if not each.startswith("--bug")]
            assert len(without) == len(arguments) - (not is_clean(cell))
            by_bug[planted_in(cell)].append(without)
        assert by_bug["otter"] == by_bug["newt"] == by_bug["clean"]
        assert len(by_bug["otter"]) == len(MIX)

    def test_ends_with_the_first_catch(self) -> None:
        left = self.wanted(ran(self.cell(0, "otter"), "invalid", stuck=1))
        assert not any("otter" in name for name in left)
        assert any("newt" in name for name in left)

    def test_ends_when_the_time_is_up(self) -> None:
        spent = [ran(self.cell(0, "otter"), "valid", STORM / 2 - 10)]
        assert any("otter" in name for name in self.wanted(*spent))
        spent.append(ran(self.cell(1, "otter"), "valid", 30.0))
        assert not any("otter" in name for name in self.wanted(*spent))

    def test_pairs_what_was_run_and_nothing_else(self) -> None:
        left = self.wanted(ran(self.cell(0, "otter"), "invalid", stuck=1))
        assert [name for name in left if "clean" in name] == [self.cell(0, "clean")]

    def test_counts_all_that_it_took(self) -> None:
        runs = (
            ran(self.cell(0, "otter"), "unknown", 40.0),
            ran(self.cell(1, "otter"), "invalid", 50.0, phantom=1),
            ran(self.cell(0, "newt"), "invalid", STORM + 1, lost_write=1),
        )
        otter, newt = outcome(self.campaign, *runs, stormy=True)["bugs"]
        assert (otter["caught"], otter["worst"], otter["tried"]) == (True, 90.0, 2)
        assert (newt["caught"], newt["worst"]) == (False, None)


@pytest.mark.parametrize(
    ("cell", "verdict", "good"),
    [
        ("register/cut/otter/1", "invalid", True),
        ("register/cut/otter/1", "valid", False),
        ("register/cut/clean --strict/1", "valid", True),
        ("register/cut/clean/1", "invalid", False),
    ],
)
def test_good_news_is_green(cell: str, verdict: str, good: bool) -> None:
    assert ("green" in str(ended(ran(cell, verdict)).style)) is good


def test_only_pairs_are_clean() -> None:
    clean = [cell.config for cell in suited(ALL, range(1), "8s", 8.0).cells if is_clean(cell)]
    assert clean == ["clean", "clean --strict"]


class TestPages:
    """A zoo in which all is caught is a success, though all its tests with a bug are invalid."""

    @staticmethod
    def campaign(tmp_path: Path, *verdicts: str) -> tuple[str, str]:
        """The campaign's page, and the list of all, for a bug's test and its pair."""
        zoo = suited((OTTER,), range(1, 2), "8s", 8.0)
        bug, pair = verdicts
        runs = (
            ran("register/cut/clean/1", pair),
            ran("register/cut/otter/1", bug, **({"lost_write": 1} if bug == "invalid" else {})),
        )
        tests = campaign_results(zoo, runs, "2026-01-01", 60.0)
        finish(tests, zoo, outcome(zoo, *runs))
        folder = tmp_path / "campaigns/zoo/1"
        folder.mkdir(parents=True)
        Folder(folder).save_json("campaign.json", tests)
        return index(tests, news(tests, None)), Pages(tmp_path).front({})

    def test_all_caught_is_shown_as_a_success(self, tmp_path: Path) -> None:
        page, front = self.campaign(tmp_path, "invalid", "valid")
        assert '<span class="verdict valid">1 of 1 caught</span>' in page
        assert "What failed" not in page
        assert "What was caught" in page
        assert "since the" not in page, "there was none before"
        assert page.count('class="dot valid"') == 2
        assert '<span class="verdict valid">1 of 1 caught</span>' in front

    def test_what_escaped_is_not(self, tmp_path: Path) -> None:
        page, front = self.campaign(tmp_path, "valid", "valid")
        assert '<span class="verdict invalid">0 of 1 caught</span>' in page
        assert page.count('class="dot invalid"') == 1
        assert '<span class="verdict invalid">0 of 1 caught</span>' in front

    def test_nor_is_a_false_alarm(self, tmp_path: Path) -> None:
        page, front = self.campaign(tmp_path, "invalid", "invalid")
        assert '<span class="verdict invalid">1 of 1 caught</span>' in page
        assert "What failed" in page
        assert '<span class="verdict invalid">1 of 1 caught, 1 false alarm</span>' in front
