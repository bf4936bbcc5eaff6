"""The field's words: retired words, and one name for one thing.

A reader who knows Jepsen, Riak, Cassandra or pytest should take in a name or a message at
once. `PLACES` are the folders and pages that are held to it. `python
tests/test_retired_words.py` counts, for each folder, how often each retired word is left.
"""

from __future__ import annotations

import ast
import re
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent

#: folders of source and pages that are clean, and stay so
PLACES = (
    *("README.md", "CHANGELOG.md", "CONTRIBUTING.md"),
    *("docs/api.md", "docs/architecture.md", "docs/campaigns.md", "docs/checkers.md"),
    *("docs/cli.md", "docs/errors.md", "docs/faults.md", "docs/generators.md"),
    *("docs/history.md", "docs/hunt.md", "docs/node.md", "docs/operating.md", "docs/workloads.md"),
    *("docs/zoo.md", "docs/make_picture.py", "docs/your-store.md"),
    *("checkers", "cluster", "dynamesis", "examples", "harness", "workloads"),
)
SOURCES = ("checkers", "cluster", "dynamesis", "examples", "harness", "workloads")

#: retired wherever they are: names, docstrings, comments, messages
WORDS = (
    *("told", "tells", "nobody", "whoever", "somebody", "said", "says", "stands", "hears"),
    *("riddle", "riddles", "crew", "conductor", "whom", "hired", "hear", "heard", "tell"),
    *("everybody", "anybody", "anyone", "homesick", "dice", "arena", "debt", "stood"),
)
#: words that are fine elsewhere: bit is a unit, `worth` a field, "there is no" is English
PHRASES = (
    r"\b(it|they|that|which|fault|faults|has|have|had) (bit|bitten)\b(?! (of|in|by|as))",
    r"\bbites\b",
    r"\b(is|are|was|were) worth\b",
    r"\bstand\b(?!-ins?\b| in for\b)",
    r"(?<!there )\b(is|are) no (?!longer|more|such|better|other|less)\w+",
)

#: texts that stay, with the reason; they are taken out before words are looked for
EXCEPTIONS = {
    '"nobody"': "a key of the history: `detail.nobody`",
    '"bites"': "a key of a node's status",
    "`worth`": "a field of the history",
    "said=": "a field of a node's event `wrong-secret`",
}

#: class names that two rooms have, with the reason
TWICE = {
    "Client": "of our own store, and of any target: each is the word of its page",
    "Rng": "cluster.core and harness.generators import nothing in common",
}

#: `_told` and `told=` too: an underscore is no boundary for \b
_RETIRED = re.compile(
    "|".join((rf"(?<![a-z])(?:{'|'.join(WORDS)})(?![a-z])", *PHRASES)), re.IGNORECASE
)


def retired(text: str) -> list[str]:
    for kept in EXCEPTIONS:
        text = text.replace(kept, "")
    return [" ".join(found.group().lower().split()) for found in _RETIRED.finditer(text)]


def files(place: str) -> list[Path]:
    path = ROOT / place
    return [path] if path.is_file() else sorted(path.rglob("*.py"))


def lines_with_retired_words(path: Path) -> Iterator[str]:
    for number, line in enumerate(path.read_text("utf-8").splitlines(), 1):
        for word in retired(line):
            yield f"{path.relative_to(ROOT)}:{number}: {word!r} in {line.strip()}"


@pytest.mark.parametrize("place", PLACES)
def test_no_retired_word(place: str) -> None:
    assert files(place)
    assert [line for path in files(place) for line in lines_with_retired_words(path)] == []


def test_no_retired_word_in_the_name_of_a_test() -> None:
    names = {
        (path.name, node.name)
        for path in files("tests")
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and node.name.startswith("test_")
    }
    assert [(path, name) for path, name in sorted(names) if retired(name)] == []


def class_names() -> dict[str, set[str]]:
    """Every public class name, and the folders that define it."""
    rooms: dict[str, set[str]] = defaultdict(set)
    for path in (path for folder in SOURCES for path in files(folder)):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                rooms[node.name].add(str(path.parent.relative_to(ROOT)))
    return rooms


def test_no_class_name_is_defined_in_two_rooms() -> None:
    twice = {name: rooms for name, rooms in class_names().items() if len(rooms) > 1}
    assert {name: rooms for name, rooms in twice.items() if name not in TWICE} == {}
    assert set(TWICE) <= set(twice), "an exception that is not needed any more"


@pytest.mark.parametrize(
    "text",
    [
        "the node is told of it",
        "self._told = 3",
        "def crew() -> None: ...",
        "Nobody knows",
        "evidence that it bit",
        "a node that is no member",
        "what an answer is worth",
        "for whom it waits",
        "self._dice = Rng(0)",
        "versions stand as siblings",
    ],
)
def test_a_retired_word_is_seen(text: str) -> None:
    assert retired(text) != []


@pytest.mark.parametrize(
    "text",
    [
        "there is no member",
        "is no longer",
        "a bit of a byte",
        "`worth`",
        '{"nobody": true}',
        "a node that is to stand in for n2",
        "a stand-in",
    ],
)
def test_what_is_fine_passes(text: str) -> None:
    assert retired(text) == []


def _count() -> None:
    folders = {
        *(str(path.parent.relative_to(ROOT)) for each in SOURCES for path in files(each)),
        *(str(path.relative_to(ROOT)) for path in ROOT.glob("docs/*.md")),
        *PLACES,
    }
    for place in sorted(folders):
        path = ROOT / place
        own = [path] if path.is_file() else path.glob("*.py")
        found = Counter(word for file in own for word in retired(file.read_text("utf-8")))
        if found:
            print(f"{found.total():4} {place}: {dict(found.most_common(8))}")


if __name__ == "__main__":
    _count()
