"""Every name that a flag of `test` or `check` takes, with what it is about.

`dynamesis list`, --help and shell completion show it without importing checkers, workloads
and nemeses. The file catalogue.json is made from their tables by
`python -m dynamesis.harness.cli.catalogue`; a test holds it to them.
"""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path

FILE = Path(__file__).with_name("catalogue.json")


@cache
def catalogue() -> dict[str, list[tuple[str, str]]]:
    """By heading the names, each with a line about it. A name that is indented is an option of
    the workload, or a member of the family, above it."""
    return {
        title: [(name, about) for name, about in rows]
        for title, rows in json.loads(FILE.read_text(encoding="utf-8")).items()
    }


def names(title: str) -> tuple[str, ...]:
    """The names under a heading, and under what is listed apart from it ("workloads without
    contexts" beside "workloads"); without those that are indented."""
    rows = [row for each, rows in catalogue().items() if _is_part(each, title) for row in rows]
    return tuple(dict.fromkeys(name for name, _ in rows if not name.startswith(" ")))


def _is_part(heading: str, title: str) -> bool:
    return heading == title or heading.startswith(f"{title} without ")
