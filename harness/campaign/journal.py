"""What has been run, one line a run, on disk before anything follows from it: a campaign
that was interrupted, or killed, goes on where it was."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

from dynamesis.harness.results.documents import JsonObject

#: From the worst to the best: the first that a cell's runs have is its verdict.
VERDICTS = ("invalid", "error", "unknown", "valid")
#: What is kept of a run for trends: ms that 99% of its operations of the slowest kind took less
#: than, and s from the last heal until all keys had converged.
MEASURES = ("p99_ms", "converged_s")


@dataclass(frozen=True)
class CellRun:
    """One test that has ended. `at`: s of the campaign when it did; `folder` and `output`
    are relative to the campaign's; `command` runs it again, on its own; `why` has the first
    proof of each anomaly, or the reasons why nothing is known; `measures` what trends are made
    of (MEASURES)."""

    number: int
    cell: str
    arguments: tuple[str, ...]
    rerun: bool
    verdict: str
    code: int | None
    seconds: float
    at: float
    output: str
    folder: str | None = None
    command: str = ""
    anomalies: Mapping[str, int] = field(default_factory=dict)
    why: tuple[str, ...] = ()
    measures: Mapping[str, float] = field(default_factory=dict)


class Journal:
    """The runs of a campaign, in the order in which they ended."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.runs: list[CellRun] = []
        if path.exists():
            self._read()

    def add(self, run: CellRun) -> None:
        """Write a run down, for good."""
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(asdict(run)) + "\n")
            file.flush()
            os.fsync(file.fileno())
        self.runs.append(run)

    def _read(self) -> None:
        """What a kill cut off is cut off for good: that run is repeated."""
        content = self._path.read_bytes()
        whole = content[: content.rfind(b"\n") + 1]
        self.runs = [_run(json.loads(line)) for line in whole.splitlines()]
        if whole != content:
            os.truncate(self._path, len(whole))


def _run(row: JsonObject) -> CellRun:
    return CellRun(**row | {"arguments": tuple(row["arguments"]), "why": tuple(row["why"])})
