"""The static site of a night in a real browser: light, dark and narrow."""

from __future__ import annotations

from pathlib import Path

import pytest
from dynamesis.harness.campaign.results import news
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
