"""The pages that `dynamesis serve` sends, under their policies, in a real browser."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from dynamesis.harness.serve.server import make_server

from tests.browser.browser import Browser
from tests.browser.pages import HISTORIES, dynamo_report

pytestmark = pytest.mark.nightly

LOST = HISTORIES / "bad/lost-item,lost-write-branch-gone.jsonl"
PATH = "cart-cut/20260101T000000.000Z"


@pytest.fixture
def site(tmp_path: Path) -> Iterator[str]:
    dynamo_report(LOST, tmp_path / PATH)
    server = make_server(tmp_path, 0)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def complaints(browser: Browser) -> list[str]:
    """What the console has of level warning or worse, such as a breach of the policy."""
    entries = browser.driver.get_log("browser")
    return [e["message"] for e in entries if e["level"] in ("WARNING", "SEVERE")]


@pytest.mark.parametrize(
    "page", ["/", f"/-/test/{PATH}", f"/-/history/{PATH}", f"/-/nodes/{PATH}", "/-/zoo",
             "/-/compare", f"/-/files/{PATH}"])  # fmt: skip
def test_no_page_breaks_its_policy(browser: Browser, site: str, page: str) -> None:
    complaints(browser)
    browser.driver.get(site + page)
    browser.until("return document.readyState === 'complete'")
    assert complaints(browser) == []


def test_a_report_draws_its_plots_in_the_sandbox_and_leads_back(
    browser: Browser, site: str
) -> None:
    complaints(browser)
    browser.driver.get(f"{site}/{PATH}/report.html")
    browser.until("return document.documentElement.dataset.ready === 'yes'")
    assert browser.run("return window.origin") == "null"
    browser.run("[...document.links].find(a => a.textContent === 'This test').click()")
    browser.until(f"return location.pathname === '/-/test/{PATH}'")
    assert complaints(browser) == []


@pytest.mark.parametrize("page", ["/", f"/-/compare?test={PATH}&test={PATH}"])
def test_the_list_and_two_tests_side_by_side_fit_a_phone(
    browser: Browser, site: str, page: str
) -> None:
    browser.size(390, 844)
    browser.driver.get(site + page)
    browser.until("return document.readyState === 'complete'")
    wide = "const w = document.querySelector('.wide'); return w.scrollWidth - w.clientWidth"
    assert browser.run(wide) <= 0
