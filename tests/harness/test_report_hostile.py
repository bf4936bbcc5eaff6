"""What an enemy wrote is shown as text: no element, no attribute, no script of a page is theirs."""

from __future__ import annotations

from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree

import pytest
from dynamesis.harness.check.drawn import save_pictures, save_trace
from dynamesis.harness.results.results import JUNIT, Folder

from tests.hostile import ENDING, MARKUP, hostile_report


class Elements(HTMLParser):
    """The elements and attributes of a page, and its text."""

    def __init__(self) -> None:
        super().__init__()
        self.elements: set[str] = set()
        self.attributes: set[str] = set()
        self.text: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.add(tag)
        self.attributes |= {name for name, _ in attrs}

    def handle_data(self, data: str) -> None:
        self.text.append(data)


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return hostile_report(tmp_path_factory.mktemp("hostile") / "test")


def test_markup_stays_text(report: Path) -> None:
    found = Elements()
    found.feed(report.read_text(encoding="utf-8"))
    assert not found.elements & {"img", "b", "iframe", "object", "embed", "base"}
    assert not {a for a in found.attributes if a.startswith("on")} - {"onsubmit"}
    assert "<img src=x onerror" in "".join(found.text)


def test_control_characters_are_spelled_and_long_texts_cut(report: Path) -> None:
    page = report.read_text(encoding="utf-8")
    assert not {c for c in page if ord(c) < 32 and c not in "\n\t"} - {"\r"}
    assert "\\x1b[31m" in page
    assert len(page) < 4_000_000


def test_pictures_of_it_are_xml_and_a_trace_can_be_made(report: Path, tmp_path: Path) -> None:
    drawn = list(save_pictures(Folder(report.parent), tmp_path / "svg"))
    assert drawn
    for path in drawn:
        elements = {e.tag.rpartition("}")[2] for e in ElementTree.parse(path).iter()}
        assert not elements & {"script", "img", "b", "foreignObject"}
    assert save_trace(report.parent, tmp_path / "trace").stat().st_size < 10_000_000


def test_junit_of_hostile_texts_is_xml_of_a_size_that_servers_take(report: Path) -> None:
    path = report.parent / JUNIT
    assert path.stat().st_size < 200_000
    suite = ElementTree.parse(path).getroot()
    assert suite.get("name") == MARKUP
    assert {e.tag for e in suite.iter()} <= {
        "testsuite", "properties", "property", "testcase", "failure", "error", "skipped",
    }  # fmt: skip
    (failure,) = suite.iter("failure")
    assert failure.text is not None
    assert MARKUP in failure.text
    assert ENDING in failure.text
    assert "\\x1b[31m" in failure.text
