"""The field's words: retired words, and one name for one thing.

A reader who knows Jepsen, Riak, Cassandra or pytest should take in a name or a message at
once. `PLACES` are the folders and pages that are held to it. `python
tests/test_retired_words.py` counts, for each folder, how often each retired word is left.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.definitions import definitions

ROOT = Path(__file__).parent.parent

#: pages and files that people read, by glob: a new one is covered without a line here. Kept out:
#: histories (data), files that are generated (catalogue.json), and this file
PLACES = (
    *("*.md", "*.ini", "docs/**/*.md", "docs/**/*.py", "examples/**/*"),
    *(".github/**/*.py", ".github/**/*.yml"),
    *("checkers/**/*.py", "cluster/**/*.py", "dynamesis/**/*.py", "workloads/**/*.py"),
    *("harness/**/*.py", "harness/**/*.j2", "harness/**/*.js", "harness/**/*.css"),
    *("harness/**/*.c", "tests/**/*.py", "tests/**/*.go", "tests/**/*.js"),
)
SOURCES = ("checkers", "cluster", "dynamesis", "examples", "harness", "workloads")

#: retired wherever they are: names, docstrings, comments, messages
WORDS = (
    # persons: a node, a file or a fault is none
    *("nobody", "somebody", "everybody", "anybody", "anyone", "whoever", "whom", "who", "homesick"),
    # speech, for data that flows
    *("tell", "tells", "told", "telling", "said", "says", "saying", "hear", "hears", "heard"),
    *("stands", "stood", "riddle", "riddles", "goes on", "went on", "going on", "at once"),
    *("for good", "is no saying"),
    # names of parts that have another one now (worker_pool, scheduler, process_guard, rng, ...)
    *("crew", "conductor", "hired", "dice", "arena", "bout", "bouts", "debt", "debts", "sanity"),
    *("witness", "departure", "twin", "twins", "unbegun", "campaigning", "zooing"),
    *("all_hear_all", "a defect of dynamesis", "cut cannot be done"),
    # riddles of former messages
    *("readers who do not read", "now more, now less"),
)
#: words that are fine elsewhere: bit is a unit, `worth` a field, "there is no" is English
PHRASES = (
    r"\b(it|they|that|which|fault|faults|has|have|had) (bit|bitten)\b(?! (of|in|by|as))",
    r"\bbites\b",
    r"\b(is|are|was|were) worth\b",
    r"\bstand\b(?!-ins?\b| in for\b)",
    r"(?<!here )\b(is|are) no (?!longer|more|such|better|other|less|news\b)\w+",
    r"(?<!no )\bgo on\b(?! (the|this|there)\b)",
    # links: bandwidth, slicer, latency, limit_data; the old names are aliases in files
    r"\b(narrow|torn|cut-off) (link|links|connection|connections)\b",
    r"\b(link|links) (is|are|was|were) (narrow|torn|slow)\b",
)
#: on pages for users a version is assigned; `stamp` is a word of the node's source and of its logs
PAGES = (r"\b(un)?stamped\b(?!`)",)

#: texts that stay, with the reason; they are taken out before words are looked for
EXCEPTIONS = {
    '"nobody"': "a key of the history: `detail.nobody`",
    '"bites"': "a key of a node's status",
    "`worth`": "a field of the history",
    "said=": "a field of a node's event `wrong-secret`",
    'b"witness"': "a row on disks of nodes: files outlive code",
    "most_at_once": "a key of results.json",
    "put-stamped-by-fallback": "the name of a situation in results.json",
    "`stamped`": "the name of a function that a planted bug replaces",
    "user who": "a person",
    "People who": "persons",
    "people who": "persons",
    "no Go on": "the language",
}


#: retired names of classes, with what has them in spite of that
CLASSES = {
    **dict.fromkeys(("Wrong", "Complaint", "Press", "Hand", "Effects", "Arena", "Bout"), ""),
    **dict.fromkeys(("Wires", "Shares", "Unbegun", "Worth", "Crew", "Conductor"), ""),
    "Asked": "harness/simulation: flags of `simulate` as values; none of a node's requests",
    "Exchange": "cluster/core/replication: an exchange between two replicas",
    "Plan": "harness/campaign: the cells of a campaign, as its journal has them",
    "Site": "harness/targets: on the page of targets, where users import it",
    "Tally": "harness/simulation: counts of schedules; that of a quorum is QuorumTracker",
    "Welcome": "cluster/core/protocol: a message between nodes, which wires and versions share",
    "World": "harness/worlds/simulated: one of the two worlds of `--world`",
}
#: retired names of modules, in the same way
MODULES = {
    **dict.fromkeys(("testing", "campaigning", "checking", "zooing", "shrinking", "keeping"), ""),
    **dict.fromkeys(("playing", "judging", "pressure", "world", "parsing", "stored", "final"), ""),
    **dict.fromkeys(("finals", "reaper", "crew", "hired", "conductor", "told", "debts"), ""),
    **dict.fromkeys(("coverage", "order", "evidence", "txn_words", "quick", "twins"), ""),
    **dict.fromkeys(("merging", "guard", "arguments", "witness", "operate", "kernel"), ""),
    **dict.fromkeys(("fences", "dice", "sanity", "founding", "departure", "exchange"), ""),
    **dict.fromkeys(("retries", "rows", "records"), ""),
    "asked": "harness/simulation: flags of `simulate` as values",
    "course": "harness/report/plots: what happened over the time of a test",
    "failures": "harness/simulation: failures of schedules, not exceptions",
    "ledger": "harness/nemesis: the fault ledger, ledger.jsonl on disk",
    "plan": "harness/campaign, harness/zoo: the cells of a campaign, the rounds of the storm",
    "questions": "harness/targets/dynamo: admin requests of the harness to a node",
    "words": "harness/report, harness/simulation/schedules: spelling of values, words of bits",
}

#: class names that two rooms have, with the reason
TWICE = {
    "Client": "of our own store, and of any target: each is the word of its page",
    "Rng": "cluster.core and harness.generators import nothing in common",
}

#: `_told` and `told=` too: an underscore is no boundary for \b. `ToldOff`: nor is a capital
_WORD = "|".join(
    sorted((re.escape(w).replace(r"\ ", "[ _]") for w in WORDS), key=len, reverse=True)
)
_ALL = "|".join((rf"(?<![a-z])(?:{_WORD})(?![a-z])", *PHRASES))
_RETIRED = re.compile(_ALL, re.IGNORECASE)
_ON_PAGES = re.compile("|".join((_ALL, *PAGES)), re.IGNORECASE)
_HUMP = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")


def retired(text: str, page: bool = False) -> list[str]:
    for kept in EXCEPTIONS:
        text = text.replace(kept, "")
    found = (_ON_PAGES if page else _RETIRED).finditer(_HUMP.sub("_", text))
    return [" ".join(each.group().lower().split()) for each in found]


def files(place: str) -> list[Path]:
    """Those of a glob, or the modules of a folder."""
    path = ROOT / place
    found = path.rglob("*.py") if path.is_dir() else ROOT.glob(place)
    return sorted(
        each
        for each in found
        if each.is_file() and each != Path(__file__) and each.parent.name != "__pycache__"
    )


def lines_with_retired_words(path: Path) -> Iterator[str]:
    text, page = path.read_text("utf-8"), path.suffix == ".md"
    if not retired(text, page):
        return  # line by line takes ten times as long
    for number, line in enumerate(text.splitlines(), 1):
        for word in retired(line, page):
            yield f"{path.relative_to(ROOT)}:{number}: {word!r} in {line.strip()}"


@pytest.mark.parametrize("place", PLACES)
def test_no_retired_word(place: str) -> None:
    assert files(place)
    assert [line for path in files(place) for line in lines_with_retired_words(path)] == []


def test_no_retired_word_in_the_name_of_a_test() -> None:
    names = {
        (path.name, each.name)
        for path in files("tests")
        for each in definitions(path)
        if not each.is_class and each.name.startswith("test_")
    }
    found = [(path, name) for path, name in sorted(names) if retired(name.replace("_", " "))]
    assert found == []


def test_no_retired_name_of_a_class_or_a_module() -> None:
    kept = {name: reason.partition(":")[0] for name, reason in (CLASSES | MODULES).items()}
    names = [
        *((name.lstrip("_"), room) for name, rooms in class_names().items() for room in rooms),
        *((path.stem, str(path.parent.relative_to(ROOT))) for path in _sources()),
    ]
    wrong = [
        (name, room)
        for name, room in names
        if name in kept and not any(room.startswith(each) for each in _rooms(kept[name]))
    ]
    assert wrong == []
    assert {name for name, rooms in kept.items() if rooms} <= {name for name, _ in names}


def _rooms(reason: str) -> list[str]:
    return [room for room in reason.split(", ") if room]


def _sources() -> Iterator[Path]:
    return (path for folder in SOURCES for path in files(folder))


_MODULE_ON_PAGE = re.compile(r"`(?:dynamesis[./])?((?:[a-z_0-9]+/)*[a-z_0-9]+\.py)\b")


def test_every_module_on_a_page_exists() -> None:
    modules = [f"/{path.relative_to(ROOT)}" for path in ROOT.glob("[!.]*/**/*.py")]
    missing = [
        (page.name, name)
        for page in (*files("*.md"), *files("docs/**/*.md"))
        for name in _MODULE_ON_PAGE.findall(page.read_text("utf-8"))
        if not any(each.endswith(f"/{name}") for each in modules)
    ]
    assert missing == []


def class_names() -> dict[str, set[str]]:
    """Every public class name, and the folders that define it."""
    rooms: dict[str, set[str]] = defaultdict(set)
    for path in (path for folder in SOURCES for path in files(folder)):
        for each in definitions(path):
            if each.is_class and not each.name.startswith("_"):
                rooms[each.name].add(str(path.parent.relative_to(ROOT)))
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
        "class ToldTwice: ...",
        "a key that is no string",
        "the node who answers",
        "it goes on, for good",
        "all of them at once",
        "a torn link",
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
    for place in PLACES:
        for path in files(place):
            page = path.suffix == ".md"
            found = Counter(retired(path.read_text("utf-8"), page))
            if found:
                print(f"{found.total():4} {path.relative_to(ROOT)}: {dict(found.most_common(8))}")


if __name__ == "__main__":
    _count()
