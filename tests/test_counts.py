"""A count and its noun are put together in one place, `counted`: no text has "1 tests" or "1 keys".

A noun that `counted` is asked for in one source is counted by it in all of them. What is never one
(a bound, a constant, a number that was compared with one before) may be spelled out.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

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


@cache
def _sources() -> dict[Path, ast.Module]:
    files = (file for room in ROOMS for file in sorted((ROOT / room).rglob("*.py")))
    return {file: ast.parse(file.read_text(encoding="utf-8")) for file in files}


@cache
def _nouns() -> frozenset[str]:
    """The plurals of all that is counted somewhere."""
    found = {"times"}
    calls = (n for tree in _sources().values() for n in ast.walk(tree) if isinstance(n, ast.Call))
    for call in calls:
        if (name := getattr(call.func, "id", "")) in _HELPERS:
            given = (each.value for each in call.args if isinstance(each, ast.Constant))
            texts = [each for each in given if isinstance(each, str)]
            many = name == "counted" and len(texts) > 1
            found |= {texts[1]} if many else {f"{text}s" for text in texts[:1]}
    return frozenset(found)


def _spelled(text: ast.JoinedStr) -> Iterator[tuple[str, str]]:
    """(expression, noun) of each value of a text that a counted noun follows."""
    for value, after in zip(text.values, text.values[1:], strict=False):
        if isinstance(value, ast.FormattedValue) and isinstance(after, ast.Constant):
            words = re.match(r" ([a-z]+)( [a-z]+)?\b", str(after.value))
            for noun in (words[1], words[1] + (words[2] or "")) if words else ():
                if noun in _nouns():
                    yield ast.unparse(value.value), noun


def test_no_text_has_a_plural_behind_a_count_that_may_be_one() -> None:
    found = []
    for file, tree in _sources().items():
        name = file.relative_to(ROOT).as_posix()
        for node in ast.walk(tree):
            if not isinstance(node, ast.JoinedStr):
                continue
            for value, noun in _spelled(node):
                if not value.isupper() and value not in ALLOWED.get(name, ()):
                    found.append(f"{name}:{node.lineno}: {value} {noun}")
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
