"""No file and no function is too long to be read at one sitting."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.definitions import definitions

ROOT = Path(__file__).parent.parent
SOURCES = ("checkers", "cluster", "dynamesis", "examples", "harness", "workloads")

#: lines of a file of the package; of a file of tests; of a function, anywhere
FILE, TESTS, FUNCTION = 400, 500, 60
#: the files that may be longer, with the reason
LONG_FILES = {
    "cluster/zoo/__init__.py": "the table of planted bugs",
    "cluster/core/protocol/messages.py": "the table of messages",
}


def lengths(path: Path) -> Iterator[tuple[str, int, int]]:
    """The functions of a file: name, line, and how many lines each has."""
    for each in definitions(path):
        if not each.is_class:
            yield each.name, each.line, each.last - each.line + 1


def too_long(folder: str, most: int) -> list[str]:
    """The files and functions below a folder that are over the limit."""
    found = []
    for path in sorted((ROOT / folder).rglob("*.py")):
        name, text = path.relative_to(ROOT).as_posix(), path.read_text("utf-8")
        if (lines := text.count("\n")) > most and name not in LONG_FILES:
            found.append(f"{name} has {lines} lines")
        found += [
            f"{name}:{line} {function} has {lines} lines"
            for function, line, lines in lengths(path)
            if lines > FUNCTION
        ]
    return found


@pytest.mark.parametrize(
    ("folder", "most"), [*((each, FILE) for each in SOURCES), ("tests", TESTS)]
)
def test_no_file_and_no_function_is_too_long(folder: str, most: int) -> None:
    assert too_long(folder, most) == []


def test_the_exceptions_are_needed() -> None:
    for name in LONG_FILES:
        assert (ROOT / name).read_text("utf-8").count("\n") > FILE


def test_mappings_of_anything_stay_few() -> None:
    """Data between parts are structs: plain mappings are for JSON at the edges."""
    found = sum(
        path.read_text("utf-8").count("dict[str, Any]")
        for room in ("cluster", "harness", "checkers", "workloads", "dynamesis")
        for path in (ROOT / room).rglob("*.py")
    )
    assert found <= 80
