"""Which situations the nodes of a test reached: for the page, and in one line."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from dynamesis.checkers.logs.situations import SITUATIONS
from dynamesis.harness.report.words import counted


class Reached(NamedTuple):
    name: str
    about: str
    times: int


class Reach(NamedTuple):
    """Situations with their counts, the most frequent first; and those that were not reached."""

    reached: list[Reached]
    missed: list[Reached]


def by_reach(results: Mapping[str, Any]) -> Reach | None:
    """The situations of results.json; None where no node kept a log."""
    counts = (results.get("stats") or {}).get("situations")
    if not isinstance(counts, Mapping) or not counts:
        return None
    rows = [Reached(str(name), _about(name), _count(count)) for name, count in counts.items()]
    reached = sorted((row for row in rows if row.times), key=lambda row: -row.times)
    return Reach(reached, [row for row in rows if not row.times])


def _about(name: str) -> str:
    """What a situation is; empty for one that only another version knows."""
    known = SITUATIONS.get(name)
    return "" if known is None else known.about


def _count(count: Any) -> int:
    return count if isinstance(count, int) else 0


def in_a_line(results: Mapping[str, Any]) -> str | None:
    """How many situations were reached; None where no node kept a log."""
    reach = by_reach(results)
    if reach is None:
        return None
    return f"{len(reach.reached)} of {counted(sum(map(len, reach)), 'situation')} reached"
