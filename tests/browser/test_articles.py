"""The article of every kind of anomaly, several on a page: contrast and names by axe-core, nothing
wider than the window, and a screenshot of each, dark and wide, light and narrow."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.browser.browser import Browser
from tests.browser.pages import dynamo_histories, dynamo_report, model_histories, model_report

pytestmark = pytest.mark.nightly

#: articles of a page: axe-core looks at each pair of their elements
MANY = 8


@pytest.fixture(scope="module")
def sheets(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Pages with the articles of all kinds."""
    folder = tmp_path_factory.mktemp("articles")
    pages = [
        (name, dynamo_report(path, folder / name)) for name, path in dynamo_histories().items()
    ]
    for name, path in model_histories().items():
        pages.append((name.split(" ")[1], model_report(path, folder / name.replace(" ", "-"))))
    some = [pages[at : at + MANY] for at in range(0, len(pages), MANY)]
    return [_sheet(folder / f"sheet-{i:02}.html", each) for i, each in enumerate(some)]


def _sheet(file: Path, pages: list[tuple[str, Path]]) -> Path:
    articles = []
    for name, page in pages:
        text = page.read_text(encoding="utf-8")
        found = re.findall(r"<article.*?</article>", text, re.DOTALL)
        named = [each for each in found if re.search(rf"<h3>{re.escape(name)}[,<]", each)]
        assert named, f"{page}: no article of {name}"
        # each page numbers its own
        articles.append(re.sub(r' id="anomaly-\d+"', "", named[0], count=1))
    style = re.search(r"<style>.*?</style>", text, re.DOTALL)
    assert style is not None
    head = f"<meta charset=utf-8><meta name=viewport content='width=device-width'>{style[0]}"
    body = f"<main><h1>{file.stem}</h1><h2>Anomalies</h2>{''.join(articles)}</main>"
    file.write_text(f"<!doctype html><html lang=en><title>x</title>{head}{body}", encoding="utf-8")
    return file


@pytest.mark.parametrize(
    ("width", "dark"), [(1280, True), (1280, False), (390, False)], ids=["dark", "light", "narrow"]
)
def test_every_article_passes_axe_and_fits(
    browser: Browser, sheets: list[Path], width: int, dark: bool
) -> None:
    for sheet in sheets:
        browser.size(width, 900, dark)
        browser.show(sheet, plots=False)
        assert browser.errors() == []
        assert browser.run("return document.documentElement.scrollWidth") <= width, sheet.stem
        assert browser.violations() == [], sheet.stem
        tall = browser.run("return document.documentElement.scrollHeight")
        browser.size(width, tall, dark)
        browser.keep(f"{sheet.stem}-{width}-{'dark' if dark else 'light'}")
