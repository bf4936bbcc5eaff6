"""Text files and pipes are UTF-8 whatever the locale, read from the source of every module."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
OURS = ("checkers", "cluster", "harness", "workloads")

#: what each such call has in its line
_CALLS = re.compile(r"open\(|read_text|write_text|text=|universal_newlines")
_MODE = re.compile(r"[rwaxbt+]+")
#: which positional argument is the encoding
_PLACE = {"read_text": 0, "write_text": 1}


def left_to_the_locale(source: str) -> Iterator[int]:
    """The lines of calls that read or write text without naming its encoding."""
    if not _CALLS.search(source):
        return  # most files have none, and to parse one takes a hundred times as long
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call):
            named = {keyword.arg: keyword.value for keyword in node.keywords}
            if "encoding" not in named and _is_text(node, named):
                yield node.lineno


def _is_text(call: ast.Call, named: dict[str | None, ast.expr]) -> bool:
    method = call.func.attr if isinstance(call.func, ast.Attribute) else None
    if method in _PLACE:
        return len(call.args) <= _PLACE[method]
    if any(_constant(named.get(name)) is True for name in ("text", "universal_newlines")):
        return True
    if method == "open":
        # other things than files are opened too: only what is given a mode is one
        modes = [_constant(call.args[0]) if call.args else None, _constant(named.get("mode"))]
        modes = [m for m in modes if isinstance(m, str) and _MODE.fullmatch(m)]
        return any("b" not in str(mode) for mode in modes)
    if isinstance(call.func, ast.Name) and call.func.id == "open":
        mode = _constant(call.args[1] if len(call.args) > 1 else named.get("mode"))
        return "b" not in str(mode)
    return False


def _constant(node: ast.expr | None) -> object:
    return node.value if isinstance(node, ast.Constant) else None


@pytest.mark.parametrize("folder", OURS)
def test_no_text_is_left_to_the_locale(folder: str) -> None:
    sources = sorted((ROOT / folder).rglob("*.py"))
    assert sources
    found = [
        f"{path.relative_to(ROOT)}:{line}"
        for path in sources
        for line in left_to_the_locale(path.read_text("utf-8"))
    ]
    assert found == []


@pytest.mark.parametrize(
    ("call", "bad"),
    [
        ("open(p)", True),
        ("open(p, 'w')", True),
        ("open(p, mode='a')", True),
        ("open(p, 'rb')", False),
        ("open(p, 'w', encoding='utf-8')", False),
        ("p.open('w')", True),
        ("p.open('ab', buffering=0)", False),
        ("Connection.open(address)", False),
        ("p.read_text()", True),
        ("p.read_text('utf-8')", False),
        ("p.write_text(x)", True),
        ("p.write_text(x, encoding='utf-8')", False),
        ("subprocess.run(c, text=True)", True),
        ("subprocess.run(c, encoding='utf-8')", False),
    ],
)
def test_what_counts(call: str, bad: bool) -> None:
    assert bool(list(left_to_the_locale(call))) == bad
