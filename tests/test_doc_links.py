"""What the documentation points to exists: files, folders, names in files, headings."""

from __future__ import annotations

import re
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("examples/*.py")])
FOLDERS = (
    *("checkers", "cluster", "harness", "workloads", "dynamesis"),
    *("docs", "examples", "tests", ".ci", ".typing", ".github"),
)

_FENCE = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\]\(([^)\s]+)\)")
_PATH = re.compile(rf"`((?:{'|'.join(map(re.escape, FOLDERS))})/[\w./*<>-]*)(?: \w[^`]*)?`")
_NAMED = re.compile(r"`([\w/]+\.py)` \(`(\w+)`\)")
_DOTTED = re.compile(r"`(?:dynamesis\.)?((?:checkers|cluster|harness|workloads)\.[a-z_.]+)")
_RUN = re.compile(r"python -m ([\w.]+)")
_IMPORT = re.compile(r"^\s*(?:from|import) (dynamesis[\w.]*)", re.MULTILINE)

#: a module of Python, and a file in the folder of a test
STRANGERS = ("venv", "harness.log")

#: written as examples of what a reader would add
_PLACEHOLDERS = re.compile(r"[<>]")


def name_of(page: Path) -> str:
    return str(page.relative_to(ROOT))


def text_of(page: Path) -> str:
    return page.read_text("utf-8")


def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub makes them."""
    prose = _FENCE.sub("", text_of(page))
    titles = re.findall(r"^#+ (.*)$", prose, re.MULTILINE)
    return {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles}


def broken_links(page: Path) -> Iterator[str]:
    for link in _LINK.findall(_FENCE.sub("", text_of(page))):
        path, _, anchor = link.partition("#")
        if "://" in path:
            continue
        target = (page.parent / path).resolve() if path else page
        if not target.exists() or (anchor and anchor not in anchors(target)):
            yield link


def missing_paths(text: str) -> Iterator[str]:
    for path in _PATH.findall(text):
        if not _PLACEHOLDERS.search(path) and not list(ROOT.glob(path.rstrip("/"))):
            yield path


def missing_names(text: str) -> Iterator[str]:
    for path, name in _NAMED.findall(text):
        file = ROOT / path
        if file.is_file() and not re.search(rf"\b{name}\b", file.read_text("utf-8")):
            yield f"{path}: {name}"


def is_module_or_name_in_one(dotted: str) -> bool:
    path = ROOT / dotted.replace(".", "/")
    if path.is_dir() or path.with_suffix(".py").is_file():
        return True
    module, name = path.parent.with_suffix(".py"), path.name
    return module.is_file() and re.search(rf"\b{name}\b", module.read_text("utf-8")) is not None


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_links_lead_somewhere(page: Path) -> None:
    assert list(broken_links(page)) == []


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_paths_exist_and_hold_what_is_named(page: Path) -> None:
    assert list(missing_paths(text_of(page))) == []
    assert list(missing_names(text_of(page))) == []


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_modules_exist(page: Path) -> None:
    for module in _IMPORT.findall(text_of(page)):
        assert find_spec(module), module
    for module in _RUN.findall(text_of(page)):
        assert module in STRANGERS or find_spec(module), module
    for module in _DOTTED.findall(text_of(page)):
        assert module in STRANGERS or is_module_or_name_in_one(module.rstrip(".")), module


#: what a reader looks for first, and a word of the row that answers it
QUESTIONS = {
    "where is a put coordinated?": "PutRequest",
    "where is a lost write decided?": "check_final",
    "where is a cut injected?": "Cut",
    "how is a bug planted?": "Parts",
    "how is a check called from Python?": "check_model",
}


@pytest.mark.parametrize("page", ["CONTRIBUTING.md", "docs/architecture.md"])
@pytest.mark.parametrize("question", QUESTIONS)
def test_what_a_reader_looks_for_first_is_one_row(page: str, question: str) -> None:
    rows = [row for row in text_of(ROOT / page).splitlines() if row.startswith(f"| {question} |")]
    assert len(rows) == 1
    assert QUESTIONS[question] in [name for _, name in _NAMED.findall(rows[0])]


@pytest.mark.parametrize(
    "text", ["`cluster/no/such.py`", "`harness/no-such/`", "`docs/none.md`", "`tests/x_*.py`"]
)
def test_a_path_that_is_not_there_is_seen(text: str) -> None:
    assert list(missing_paths(text)) != []


def test_a_name_that_is_not_there_is_seen() -> None:
    assert list(missing_names("`checkers/verdict.py` (`NoSuchName`)")) != []
