"""Keeps the campaigns of one name within the bytes that a budget gives them.

The rule: when they take more, what valid runs have left is removed, the oldest first, until it
fits. Of each of them stay its line in runs.jsonl, test.json, results.json, junit.xml,
schedule.yaml, and a page in place of its report that has the command which runs it again. Nothing
is removed of a run that was not valid, nor of a cell of which any run was not: a failure and what
it is compared with stay."""

from __future__ import annotations

import json
import logging
import shutil
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from html import escape
from pathlib import Path

from dynamesis.harness.campaign.budget import in_words
from dynamesis.harness.campaign.journal import JOURNAL, CellRun, read_runs
from dynamesis.harness.results.results import (
    JUNIT,
    REPORT,
    RESULTS,
    SCHEDULE,
    TEST,
    DamagedFolder,
    Folder,
)

log = logging.getLogger(__name__)

#: in the folder of a campaign, a line for each run of which files were removed
PRUNED = "pruned.jsonl"
_KEPT = (TEST, RESULTS, JUNIT, SCHEDULE, REPORT)


@dataclass(frozen=True)
class OldRun:
    """A valid run that may be pruned; `bytes`: what its files take."""

    campaign: Path
    run: CellRun
    bytes: int

    @property
    def folder(self) -> Path:
        """Of the test, with its history and logs."""
        return self.campaign / str(self.run.folder)


@dataclass
class Room:
    """What the campaigns in `root` take, and may take: `limit` bytes. Runs are added as they end;
    what was there before is measured once."""

    root: Path
    limit: int
    removed: int = 0
    freed: int = 0
    _used: int = field(init=False)

    def __post_init__(self) -> None:
        self._used = taken(self.root)

    def add(self, folder: Path) -> None:
        """Count a run that has ended."""
        self._used += taken(folder)

    def make(self) -> str | None:
        """Prune if that is needed; why nothing more may be written, None if it may."""
        while self._used >= self.limit:
            chosen = enough_of(self.root, self._used - self.limit + 1)
            if not sum(map(self._prune, chosen)):
                break
            # what a merged campaign and a shard have in common goes with its second name only
            self._used = taken(self.root)
        if self._used < self.limit:
            return None
        return (
            f"the budget of {in_words(self.limit)} was used up: {self.root} takes "
            f"{in_words(self._used)}, and no valid run is left to be pruned"
        )

    def _prune(self, old: OldRun) -> int:
        freed = prune(old, f"budget of {in_words(self.limit)}")
        log.info("pruned run %d of %s: %d bytes", old.run.number, old.campaign, freed)
        self.removed, self.freed = self.removed + 1, self.freed + freed
        return freed


def enough_of(root: Path, wanted: int) -> list[OldRun]:
    """The oldest valid runs that free so many bytes together; all of them, if not even they do."""
    chosen, freed = list[OldRun](), 0
    for old in prunable(root):
        if freed >= wanted:
            break
        chosen.append(old)
        freed += old.bytes
    return chosen


def prunable(root: Path) -> Iterator[OldRun]:
    """The valid runs of the campaigns in a folder of which there is something to remove, oldest
    first."""
    for campaign in sorted(each for each in root.iterdir() if not each.is_symlink()):
        try:
            runs = read_runs(campaign / JOURNAL)
        except DamagedFolder:
            continue  # what it has failed in is not known
        bad = {run.cell for run in runs if run.verdict != "valid"}
        for run in sorted(runs, key=lambda run: run.at):
            if run.cell in bad or run.folder is None or not (campaign / run.folder).is_dir():
                continue
            weight = sum(map(taken, _superfluous(campaign / run.folder)))
            if weight:
                yield OldRun(campaign, run, weight)


def prune(old: OldRun, why: str) -> int:
    """Remove what is not kept of a run; returns the bytes that were freed."""
    folder, before = old.folder, taken(old.folder)
    for path in _superfluous(folder):
        # another campaign may be pruning the same store
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)
    Folder(folder).save(REPORT, _page(old.run, why))
    freed = before - taken(folder)
    row = {"number": old.run.number, "cell": old.run.cell, "bytes": freed, "why": why}
    with (old.campaign / PRUNED).open("a", encoding="utf-8") as file:
        file.write(json.dumps(row | {"at": datetime.now(UTC).isoformat("T", "seconds")}) + "\n")
    return freed


def taken(path: Path) -> int:
    """The bytes in a file, or in all files below a folder; a file with two names counts once."""
    found = [path] if path.is_file() or path.is_symlink() else path.rglob("*")
    return sum({(at.st_dev, at.st_ino): at.st_size for at in _files(found)}.values())


def _files(paths: Iterable[Path]) -> Iterator[_Stat]:
    for path in paths:
        try:
            at = path.lstat()
        except FileNotFoundError:
            continue  # a test that runs renames its files
        yield _Stat(at.st_dev, at.st_ino, 0 if path.is_dir() else at.st_size)


@dataclass(frozen=True)
class _Stat:
    st_dev: int
    st_ino: int
    st_size: int


def _superfluous(folder: Path) -> list[Path]:
    """What goes. The report goes with the rest, or was replaced with it."""
    rest = [path for path in folder.iterdir() if path.name not in _KEPT]
    return [*rest, folder / REPORT] if rest and (folder / REPORT).is_file() else rest


def _page(run: CellRun, why: str) -> str:
    return (
        '<!doctype html><html lang="en"><meta charset="utf-8"><title>pruned</title>\n'
        f"<p>Run {run.number}, {escape(run.cell)}, was valid. Its history, logs and report were "
        f"removed: {escape(why)}.</p>\n<pre>{escape(run.command)}</pre>\n</html>\n"
    )
