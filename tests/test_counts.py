"""A count and its noun are put together in one place, `counted`: no text has "1 tests" or "1 keys".

A noun that `counted` is asked for in one source is counted by it in all of them. What is never one
(a bound, a constant, a number that was compared with one before) may be spelled out.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import dynamesis.cluster
import pytest
from dynamesis.checkers.history.counts import counted, share, times

ROOT = Path(dynamesis.cluster.__file__).parent.parent
ROOMS = ("checkers", "harness", "workloads")
_HELPERS = ("counted", "share", "_of")
#: by file: what its text counts that is never one
ALLOWED = {
    "checkers/models/queue.py": {"possible"},
    "checkers/dynamo/replicas.py": {"rounds", "keys"},
    "checkers/history/counts.py": {"count"},
    "harness/campaign/merge.py": {"counts[run.number]"},
    "harness/campaign/spec.py": {"len(found)"},
    "harness/hunt/runs.py": {"self._errors"},
    "harness/nemesis/packages.py": {"self.least", "needed"},
    "harness/targets/dynamo/topology.py": {"n"},
    "harness/worlds/simulated/environment.py": {"options.seed"},
    "harness/report/pictures/cycle.py": {"len(steps)"},
    "checkers/dynamo/dots.py": {"len(writes)"},
    "checkers/dynamo/nodes.py": {"when"},
    "checkers/models/register_operations.py": {"at"},
    "harness/check/evaluate.py": {"name"},
    "harness/nemesis/nemesis.py": {"family"},
    "harness/experiments/staleness.py": {"trials", "len(TIMES)"},
    "harness/experiments/client_driven.py": {"at_high"},
    "harness/experiments/write_buffer.py": {"ratio"},
}


class Spelled(NamedTuple):
    """A value in a text, and the one or two words behind it."""

    file: str
    line: int
    value: str
    words: tuple[str, ...]


def _plurals(call: ast.Call) -> set[str]:
    """What this call counts, as a plural."""
    if (name := getattr(call.func, "id", "")) not in _HELPERS:
        return set()
    given = (each.value for each in call.args if isinstance(each, ast.Constant))
    texts = [each for each in given if isinstance(each, str)]
    many = name == "counted" and len(texts) > 1
    return {texts[1]} if many else {f"{text}s" for text in texts[:1]}


def _spelled(file: str, text: ast.JoinedStr) -> Iterator[Spelled]:
    for value, after in zip(text.values, text.values[1:], strict=False):
        if isinstance(value, ast.FormattedValue) and isinstance(after, ast.Constant):
            words = re.match(r" ([a-z]+)( [a-z]+)?\b", str(after.value))
            if words:
                both = (words[1], words[1] + (words[2] or ""))
                yield Spelled(file, text.lineno, ast.unparse(value.value), both)


def _scanned() -> tuple[set[str], list[Spelled]]:
    """The plurals of all that is counted somewhere, and all values that a word follows."""
    nouns, spelled = {"times"}, []
    for path in (path for room in ROOMS for path in sorted((ROOT / room).rglob("*.py"))):
        file = path.relative_to(ROOT).as_posix()
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call):
                nouns |= _plurals(node)
            elif isinstance(node, ast.JoinedStr):
                spelled += _spelled(file, node)
    return nouns, spelled


def test_no_text_has_a_plural_behind_a_count_that_may_be_one() -> None:
    nouns, spelled = _scanned()
    found = [
        f"{each.file}:{each.line}: {each.value} {noun}"
        for each in spelled
        for noun in each.words
        if noun in nouns
        and not each.value.isupper()
        and each.value not in ALLOWED.get(each.file, ())
    ]
    assert found == [], "use counted() of checkers.history.counts"


@pytest.mark.parametrize(
    ("count", "words", "text"),
    [
        (0, ("test",), "0 tests"),
        (1, ("test",), "1 test"),
        (2, ("entry", "entries"), "2 entries"),
        (1, ("entry", "entries"), "1 entry"),
        (1.0, ("fault",), "1 fault"),
        (1.5, ("fault",), "1.5 faults"),
        (12_345, ("operation",), "12,345 operations"),
        (float("nan"), ("fault",), "nan faults"),
        ("many" * 20, ("false alarm",), "manymanymanymanymany false alarms"),
        (None, ("node",), "None nodes"),
    ],
)
def test_a_count_has_the_noun_that_fits_it(
    count: object, words: tuple[str, ...], text: str
) -> None:
    assert counted(count, *words) == text


def test_what_was_done_to_one_and_to_many() -> None:
    assert share(1, 1, "test", "run") == "1 of 1 test was run"
    assert share(0, 2, "test", "not run", " of it") == "0 of 2 tests of it were not run"
    assert [times(n) for n in (1, 2, 3)] == ["once", "twice", "3 times"]
