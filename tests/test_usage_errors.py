"""Each usage error names what was wrong (a flag, an argument, a file) and the way out."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import dynamesis.cluster
import pytest

ROOT = Path(dynamesis.cluster.__file__).parent.parent
#: a flag, an argument in capitals, a file or folder, or a name that is filled in
SUBJECT = re.compile(r"--[a-z{]|[A-Z]{3,}: |\{|options: |export: ")
#: what would be right, in one of the forms in which it is given
WAY_OUT = re.compile(
    r"; |allowed: |expected |give |write |name another |use |needs? |is not NAME=VALUE|"
    r"is not (an integer|a number) from |it has |neither |one of: |For example |name a form: |"
    r"such as "
)


def literals(source: str) -> Iterator[tuple[int, str]]:
    """Line and text of each UsageError with words of its own; what is filled in is `{}`."""
    for call in ast.walk(ast.parse(source)):
        if not isinstance(call, ast.Call) or not call.args:
            continue
        if getattr(call.func, "id", "") != "UsageError":
            continue
        for text in _texts(call.args[0]):
            if re.search(r"[a-z]{3,} [a-z]", text):
                yield call.lineno, text


def _texts(message: ast.expr) -> Iterator[str]:
    if isinstance(message, ast.Constant) and isinstance(message.value, str):
        yield message.value
    elif isinstance(message, ast.JoinedStr):
        parts = [p.value if isinstance(p, ast.Constant) else "{}" for p in message.values]
        yield "".join(map(str, parts))
    elif isinstance(message, ast.IfExp):
        yield from _texts(message.body)
        yield from _texts(message.orelse)


FILES = [
    path
    for room in ("harness", "workloads", "checkers", "cluster")
    for path in sorted((ROOT / room).rglob("*.py"))
    if "UsageError(" in path.read_text("utf-8")
]


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_usage_error_names_its_subject_and_the_way_out(path: Path) -> None:
    for line, text in literals(path.read_text("utf-8")):
        assert SUBJECT.match(text), f"{path.name}:{line}: {text!r} names no flag, argument or file"
        assert WAY_OUT.search(text), f"{path.name}:{line}: {text!r} lacks what is right"


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("UsageError('no cut can be made here')", "no cut can be made here"),
        ("UsageError(f'{flag}: {x} cannot be read')", "{}: {} cannot be read"),
    ],
)
def test_messages_are_found(source: str, found: str) -> None:
    assert list(literals(source)) == [(1, found)]
    assert not (SUBJECT.match(found) and WAY_OUT.search(found))
