"""Writes regression tests: each replays one schedule, and wants it without an anomaly."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import count
from pathlib import Path

from dynamesis.harness.simulation.results import FailedSchedule
from dynamesis.harness.simulation.schedules.text import dump
from dynamesis.harness.usage.exits import UsageError

_HEAD = '''"""Schedules that `dynamesis simulate` once found to fail, in virtual time."""

import pytest
from dynamesis.harness.simulation.play import replay

SCHEDULES = {
'''
#: of an entry
_END = ",\n"
_TAIL = """}


@pytest.mark.parametrize("name", SCHEDULES)
def test_schedule(name: str) -> None:
    results = replay(SCHEDULES[name], name)
    assert results["anomalies"] == {}
"""


def pytest_file(failures: Sequence[FailedSchedule], file: Path | None = None) -> str:
    """A module of pytest with a test for each failure, and those that `file` has already: what was
    found once must not be found again. Raises UsageError for a file with something else."""
    before = "" if file is None or not file.is_file() else _content(file)
    if not before.strip():
        return _HEAD + "".join(_entries(failures, {})) + _TAIL
    known = _schedules(before)
    if known is None:
        raise UsageError(
            f"--pytest: {file} has no SCHEDULES to add tests to; name another file, or a new one"
        )
    entries = "".join(_entries(failures, ast.literal_eval(known)))
    if not entries:
        return before
    if not known.values:
        above, below = _parted(before, known, 1)
        return f"{above.rstrip()}\n{entries}{below}"
    above, below = _parted(before, known.values[-1])
    return f"{above},\n{entries.removesuffix(_END)}{below}"


def _parted(text: str, node: ast.expr, back: int = 0) -> tuple[str, str]:
    """The text until so many bytes before the end of a node, and from there on."""
    lines = text.encode().splitlines(keepends=True)
    line, column = (node.end_lineno or 1) - 1, (node.end_col_offset or 0) - back
    at = sum(map(len, lines[:line])) + column
    whole = text.encode()
    return whole[:at].decode(), whole[at:].decode()


def _content(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as failure:
        raise UsageError(f"--pytest: {file} cannot be read ({failure}); name another") from failure


def _schedules(text: str) -> ast.Dict | None:
    """The schedules in a module, each by its name."""
    try:
        module = ast.parse(text)
    except (SyntaxError, ValueError):
        return None
    for each in module.body:
        if isinstance(each, ast.Assign) and ast.unparse(each.targets[0]) == "SCHEDULES":
            value = each.value
            if isinstance(value, ast.Dict) and all(map(_is_text, (*value.keys, *value.values))):
                return value
    return None


def _is_text(node: ast.expr | None) -> bool:
    return isinstance(node, ast.Constant) and isinstance(node.value, str)


def _entries(failures: Sequence[FailedSchedule], known: Mapping[str, str]) -> Iterator[str]:
    """A line of the table, and a schedule, for each that is not `known`."""
    names, texts = {*known}, {text.strip() for text in known.values()}
    for failure in failures:
        text = dump(failure.minimal.schedule, failure.minimal.anomalies)
        if text.strip() in texts:
            continue
        name = plain = re.sub(r"\W+", "-", f"{failure.minimal.anomaly}-seed-{failure.seed}")
        numbers = count(2)
        while name in names:
            name = f"{plain}-{next(numbers)}"
        names.add(name)
        quoted = text.replace("\\", "\\\\").replace('"""', '\\"""')
        yield f'    "{name}": """\n{quoted}"""{_END}'
