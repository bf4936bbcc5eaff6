"""A night whose every name was chosen to break its page, its summary, and its JUnit XML."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from typing import Any
from xml.etree import ElementTree

import pytest
from dynamesis.harness.campaign.journal import CellRun
from dynamesis.harness.campaign.matrix import Cell
from dynamesis.harness.campaign.results import collect, news
from dynamesis.harness.campaign.spec import Campaign
from dynamesis.harness.report.campaign import index, junit, summary
from dynamesis.harness.report.nightly import nightly
from dynamesis.harness.text.console import LineConsole

#: control and direction characters, what is not a character, and half of one
OBEYED = re.compile(
    r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u2028-\u202e\u2066-\u2069\ufffe\ud800-\udfff]"
)
MARKUP = '"><img src=x onerror="hacked=1"><script>hacked=2</script><!--'
TEXT = f"{MARKUP}\x00\x07\x1b]0;x\x07\x9b31m\u202e\u2066\ufffe\ud800`|\n# a heading"


@pytest.fixture(scope="module")
def night() -> dict[str, Any]:
    cells = tuple(Cell(TEXT, TEXT, TEXT, seed) for seed in (1, 2))
    runs = [
        CellRun(number, cell.name, ("test", TEXT), False, verdict, 0, 2.0, 2.0, TEXT, TEXT,
                anomalies={TEXT: 2}, why=(TEXT,))
        for number, (cell, verdict) in enumerate(zip(cells, ("invalid", "unknown"), strict=True))
    ]  # fmt: skip
    return collect(Campaign(TEXT, "2s", 2.0, {TEXT: {}}, cells), runs, TEXT, 60.0)


BUG = {"name": TEXT, "mechanism": TEXT, "caught": True, "catches": 1, "tried": 1, "median": 1.0,
       "anomalies": {TEXT: 1}}  # fmt: skip
ZOO = {"start": TEXT, "mode": TEXT, "bugs": [BUG]}


class Elements(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found |= {tag, *(name for name, _ in attrs if name.startswith("on"))}


def test_on_the_page_all_is_text(night: dict[str, Any]) -> None:
    new = news(night, None)
    page = index(night, new, TEXT, nightly(night, new, [night], ZOO))
    elements = Elements()
    elements.feed(page)
    assert not elements.found & {"img", "script", "onerror"}
    assert not OBEYED.search(page)


def test_in_the_summary_nothing_is_markup_or_obeyed(night: dict[str, Any]) -> None:
    new = news(night, None)
    shown = summary(night, new, TEXT, nightly(night, new, [night], ZOO))
    assert not OBEYED.search(shown)
    assert "\n# a heading" not in shown
    for line in shown.splitlines():
        outside = re.sub(r"(`+)(?!`).*?(?<!`)\1(?!`)", "", line)
        assert not re.search(r"(?<!\\)<(?:img|script)", outside)


def test_junit_is_xml(night: dict[str, Any]) -> None:
    document = junit(night)
    assert not OBEYED.search(document)
    assert MARKUP in str(ElementTree.fromstring(document).get("name"))


def test_a_terminal_is_not_given_what_it_obeys(capsys: pytest.CaptureFixture[str]) -> None:
    LineConsole(color_system=None).print(summary_line := f"campaign {TEXT}")
    shown = capsys.readouterr().out
    assert summary_line not in shown
    assert not OBEYED.search(shown)
