"""A hostile report in a real browser: nothing of it runs, and the page is alive."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.browser.browser import Browser
from tests.hostile import MARKUP, hostile_report

pytestmark = pytest.mark.nightly


def test_hostile_texts_do_nothing(browser: Browser, tmp_path: Path) -> None:
    browser.size(1280, 900)
    browser.show(hostile_report(tmp_path / "test"))
    assert browser.errors() == []
    assert browser.run("return window.hacked ?? null") is None
    assert browser.run("return document.querySelectorAll('img, b, object, iframe').length") == 0
    assert MARKUP in browser.run("return document.body.textContent")
    browser.run("document.querySelector('article button[data-rows]').click()")
    assert browser.run("return window.dynamesis.figs.ringed.length") >= 1
    browser.run("document.getElementById('seen-box').open = true")
    assert browser.until("return document.querySelectorAll('#seen tbody tr').length") >= 1
    choose = "const e = document.getElementById('by-lane'); e.value = 'node';"
    browser.run(f"{choose} e.dispatchEvent(new Event('change'))")
    assert browser.errors() == []
    assert browser.run("return document.documentElement.scrollWidth") <= 1280
    browser.keep("hostile")
