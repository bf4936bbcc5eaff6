"""The static site of a night in a real browser: light, dark and narrow."""

from __future__ import annotations

from pathlib import Path

import pytest
from dynamesis.harness.campaign.journal import CellRun
from dynamesis.harness.campaign.matrix import Cell
from dynamesis.harness.campaign.results import collect, news
from dynamesis.harness.campaign.spec import Campaign
from dynamesis.harness.report.campaign import index
from dynamesis.harness.report.nightly import nightly

from tests.browser.browser import Browser
from tests.harness.campaign.test_nightly import ZOO, night

pytestmark = pytest.mark.nightly


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    before = night("2026-01-01", "valid", "invalid", "valid")
    now = night("2026-01-02", "invalid,valid", "invalid", "unknown")
    new = news(now, before)
    page = tmp_path_factory.mktemp("site") / "index.html"
    shown = nightly(now, new, [before], ZOO)
    page.write_text(index(now, new, "2026-01-01", shown), encoding="utf-8")
    return page


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_a_night_has_no_error_and_passes_axe(browser: Browser, site: Path, dark: bool) -> None:
    browser.size(1280, 900, dark)
    browser.show(site, plots=False)
    assert browser.errors() == []
    assert browser.violations() == []
    assert browser.run("return document.querySelectorAll('td.heat').length") >= 1
    assert browser.run("return document.querySelectorAll('svg.pic').length") >= 1
    browser.keep(f"night-{'dark' if dark else 'light'}")


def test_a_phone_shows_a_night_without_scrolling_sideways(browser: Browser, site: Path) -> None:
    browser.size(390, 844)
    browser.show(site, plots=False)
    assert browser.run("return document.documentElement.scrollWidth") <= 390
    browser.keep("night-phone")


NEMESES = ("cut", "link", "kill", "pause", "wipe", "disk", "clock", "load", "membership",
           "cut,kill,membership")  # fmt: skip


def test_ten_columns_of_three_seeds_are_seen_without_scrolling(
    browser: Browser, tmp_path: Path
) -> None:
    cells = tuple(
        Cell("large-values", each, "default", seed) for each in NEMESES for seed in (1, 2, 3)
    )
    runs = [
        CellRun(number, cell.name, ("test",), False, "valid", 0, 2.0, 2.0, "o", "x")
        for number, cell in enumerate(cells)
    ]
    now = collect(Campaign("wide", "2s", 2.0, {"default": {}}, cells), runs, "2026-01-02", 60.0)
    page = tmp_path / "index.html"
    page.write_text(index(now, news(now, None)), encoding="utf-8")
    browser.size(1280, 900)
    browser.show(page, plots=False)
    hidden = "const box = document.querySelector('.matrix').parentElement;"
    assert browser.run(f"{hidden} return box.scrollWidth - box.clientWidth") <= 0
    browser.size(390, 844)
    browser.run("document.querySelector('.matrix').parentElement.scrollLeft = 200")
    name = "document.querySelector('.matrix tr:last-child th').getBoundingClientRect().left"
    assert browser.run(f"return {name}") >= 0, "a row keeps its name while its fields scroll"
    browser.keep("night-of-ten-columns")
