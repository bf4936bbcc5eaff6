"""What has been run, one line a run, on disk before anything follows from it: a campaign
that was interrupted, or killed, continues where it was."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path

import msgspec
from dynamesis.harness.results.documents import JsonObject
from dynamesis.harness.results.results import DamagedFolder

#: a line for each run, in the folder of a campaign
JOURNAL = "runs.jsonl"

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
        """Writes a run down and syncs it."""
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(asdict(run)) + "\n")
            file.flush()
            os.fsync(file.fileno())
        self.runs.append(run)

    def _read(self) -> None:
        """Drops a last line that a kill cut short: that run is repeated."""
        self.runs = read_runs(self._path)
        content = self._path.read_bytes()
        if not content.endswith(b"\n"):
            os.truncate(self._path, content.rfind(b"\n") + 1)


def read_runs(path: Path) -> list[CellRun]:
    """The runs in a journal, without a last line that a kill cut off; none if there is no such
    file. Raises DamagedFolder."""
    try:
        content = path.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        return []
    whole = content[: content.rfind(b"\n") + 1].splitlines()
    runs = []
    for number, line in enumerate(whole, 1):
        try:
            runs.append(_run(json.loads(line)))
        except (ValueError, RecursionError, msgspec.ValidationError) as error:
            why = f"expected a run of a campaign: {type(error).__name__}: {error}"
            raise DamagedFolder(f"{path}, line {number}: {why}") from error
    return runs


def _run(row: JsonObject) -> CellRun:
    """Raises ValueError, msgspec.ValidationError for what is missing, unknown, of another type."""
    run = msgspec.convert(row, CellRun)
    if unknown := sorted(row.keys() - {each.name for each in fields(CellRun)}):
        raise ValueError(f"unknown keys {', '.join(unknown)}")
    if run.verdict not in VERDICTS:
        raise ValueError(f"verdict {run.verdict!r} is none of {', '.join(VERDICTS)}")
    if run.number < 1:
        raise ValueError(f"number {run.number} is below 1")
    if not all(map(math.isfinite, (run.at, run.seconds, *run.measures.values()))):
        raise ValueError("a number of it is not finite")
    return run
