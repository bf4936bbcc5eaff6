"""The tests of a store as rows, newest first, and which of them a reader asked for."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from dynamesis.harness.report.pictures.svg import short
from dynamesis.harness.report.summary import word
from dynamesis.harness.report.words import counted
from dynamesis.harness.results.results import RESULTS, TEST
from dynamesis.harness.serve.files import changed, folders, load, rows, table

#: where tests lie: alone, in campaigns, and what simulations found
_PLACES = (
    f"*/*/{TEST}",
    f"campaigns/*/*/runs/*/*/*/{TEST}",
    f"simulations*/*/*/{TEST}",
)
#: characters of a name
_NAME = 80


@dataclass(frozen=True)
class TestRow:
    """What the list shows of a test. `seconds` is None where it was not judged; `evidence` in
    words."""

    __test__ = False
    path: str
    name: str
    target: str
    workload: str
    nemesis: str
    seed: str
    start: str
    verdict: str
    anomalies: dict[str, Any]
    seconds: float | None
    evidence: str


@dataclass(frozen=True)
class TestFilter:
    """Filters; an empty one lets all pass. `since` and `until` are compared as ISO times are, so
    that a day is enough."""

    __test__ = False
    target: str = ""
    workload: str = ""
    nemesis: str = ""
    verdict: str = ""
    since: str = ""
    until: str = ""

    @classmethod
    def of(cls, query: Mapping[str, str]) -> TestFilter:
        return cls(**{f.name: query.get(f.name, "").strip() for f in fields(cls)})

    def __call__(self, row: TestRow) -> bool:
        return (
            self.target in ("", row.target)
            and self.workload in ("", row.workload)
            and (not self.nemesis or self.nemesis in _parts(row.nemesis))
            and self.verdict in ("", row.verdict)
            and (not self.since or row.start >= self.since)
            and (not self.until or row.start[: len(self.until)] <= self.until)
        )


class Tests:
    """All tests of a store. What has not changed is not read again."""

    __test__ = False

    def __init__(self, root: Path) -> None:
        self._root = root
        self._known: dict[Path, tuple[object, TestRow]] = {}

    def all(self) -> list[TestRow]:
        """Newest first."""
        found = {f: self._row(f) for place in _PLACES for f in folders(self._root, place)}
        self._known = {f: known for f, known in self._known.items() if f in found}
        return sorted(found.values(), key=lambda row: (row.start, row.path), reverse=True)

    def _row(self, folder: Path) -> TestRow:
        state = (changed(folder / TEST), changed(folder / RESULTS))
        known = self._known.get(folder)
        if known is None or known[0] != state:
            row = row_of(self._root, folder)
            self._known[folder] = known = (state, row)
        return known[1]


def row_of(root: Path, folder: Path) -> TestRow:
    """One test; what its files do not have is empty."""
    test, results = load(root, folder / TEST), load(root, folder / RESULTS)
    nemesis = test.get("nemesis")
    seconds = table(results.get("stats")).get("seconds")
    verdict = results.get("valid")
    return TestRow(
        path=str(folder.relative_to(root)),
        name=short(test.get("name", folder.parent.name), _NAME),
        target=short(test.get("target", ""), _NAME),
        workload=short(test.get("workload", ""), _NAME),
        nemesis=short(",".join(map(str, nemesis)) if isinstance(nemesis, list) else "", _NAME),
        seed=short(test.get("seed", ""), 24),
        start=short(test.get("start", ""), 40),
        verdict=word(verdict) if isinstance(verdict, bool | str) else "not judged",
        anomalies={short(k, _NAME): v for k, v in table(results.get("anomalies")).items()},
        seconds=seconds if isinstance(seconds, int | float) else None,
        evidence=_evidence(table(results.get("evidence"))),
    )


def choices(found: Iterable[TestRow]) -> dict[str, list[str]]:
    """By filter: the values that it can have."""
    listed = list(found)
    return {
        "target": sorted({row.target for row in listed} - {""}),
        "workload": sorted({row.workload for row in listed} - {""}),
        "nemesis": sorted({part for row in listed for part in _parts(row.nemesis)} - {""}),
        "verdict": ["valid", "invalid", "unknown", "not judged"],
    }


def _parts(nemesis: str) -> list[str]:
    return [nemesis, *nemesis.split(",")]


def _evidence(figures: Mapping[str, Any]) -> str:
    if not figures:
        return ""
    acknowledged, tried = (short(figures.get(n, "?"), 12) for n in ("acknowledged", "tried"))
    shown = f"{acknowledged} of {tried} ok"
    faults = rows(figures.get("faults"))
    took = sum(fault.get("took_effect") is True for fault in faults)
    return f"{shown}, {took} of {counted(len(faults), 'fault')}" if faults else shown
