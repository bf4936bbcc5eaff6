"""Makes one campaign of what its shards have left: `dynamesis merge FOLDER...`.

The folders may come from anywhere: of what is in them only paths relative to them are used. What
they have is copied, so that the merged campaign is whole without them, under numbers of its own. A
shard that is missing, was interrupted or died is named, and the verdict is then at best unknown;
folders that are not parts of the same campaign are refused."""

from __future__ import annotations

import math
import os
import re
import shlex
import shutil
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import msgspec
from dynamesis.harness.campaign.journal import JOURNAL, CellRun, Journal, read_runs
from dynamesis.harness.campaign.plan import PLAN, Plan, read_plan
from dynamesis.harness.campaign.results import RESULTS, collect
from dynamesis.harness.campaign.run_campaign import (
    CAMPAIGNS,
    CODES,
    SUMMARY,
    conclusion,
    save_results,
)
from dynamesis.harness.campaign.shard import WHOLE, Shard
from dynamesis.harness.campaign.spec import Campaign
from dynamesis.harness.report.campaign import junit as junit_of
from dynamesis.harness.results.documents import JsonObject
from dynamesis.harness.results.results import DamagedFolder, Folder
from dynamesis.harness.run.progress_view import Mode
from dynamesis.harness.run.progress_view import console as console_of
from dynamesis.harness.usage.exits import UsageError
from dynamesis.harness.usage.values import results_folder, write_file

#: folders below one that is given in which a shard is looked for: STORE/campaigns/NAME/TIME, and
#: above it what an archive was unpacked into
_DEPTH = 5
_LATEST = "latest"
COMPLETE, INTERRUPTED, DIED, MISSING = "complete", "interrupted", "died", "missing"


@dataclass(frozen=True)
class _End:
    """What is read of a shard's campaign.json."""

    seconds: float = 0.0
    interrupted: bool = False
    ended_by: str | None = None
    verdict: str = ""


@dataclass(frozen=True)
class Part:
    """What one shard has left. `results`: its campaign.json, {} if it has none."""

    path: Path
    plan: Plan
    runs: Sequence[CellRun]
    results: JsonObject

    @property
    def state(self) -> str:
        """How it ended: without campaign.json it died."""
        if not self.results:
            return DIED
        return INTERRUPTED if self.results.get("interrupted") else COMPLETE

    @property
    def title(self) -> str:
        return f"{self.path} (shard {self.plan.shard})"


def run_merge(
    folders: Sequence[Path], store: Path, junit: Path | None, mode: Mode = Mode.AUTO
) -> int:
    """The exit code of the worst verdict, at best 3 when a shard is not complete. Raises
    UsageError, EnvironmentFailed."""
    console = console_of(mode)
    parts, empty = find(folders)
    parts = same_campaign(parts)
    folder = results_folder(store / CAMPAIGNS, parts[0].plan.name)
    results = merge(parts, folder)
    save_results(folder, results)
    console.print(conclusion((folder / SUMMARY).read_text(encoding="utf-8"), mode))
    for path in empty:
        console.print(f"{path}: nothing of a campaign is in it")
    console.print(f"folder  {folder.path}")
    if junit is not None:
        write_file("--junit", junit, junit_of(results))
    return CODES[results["verdict"]]


def find(folders: Iterable[Path]) -> tuple[list[Part], list[Path]]:
    """The shards in these folders, or below them, and the folders in which there is none. Raises
    UsageError for a folder that is not there, or damaged, and when there is no shard at all."""
    found: dict[Path, None] = {}
    empty = []
    given = list(folders)
    for path in given:
        if not path.is_dir():
            raise UsageError(f"{path}: there is no such folder; name folders of campaigns")
        below = list(_below(path, _DEPTH))
        found |= dict.fromkeys(each.resolve() for each in below)
        empty += [] if below else [path]
    try:
        parts = [_part(path, given) for path in found]
    except DamagedFolder as damaged:
        raise UsageError(str(damaged)) from damaged
    if not parts:
        where = ", ".join(map(str, empty))
        raise UsageError(
            f"{where}: no {PLAN} is there or below, so no campaign was begun in it; name "
            "folders that `dynamesis campaign --shard` wrote"
        )
    return parts, empty


def _below(path: Path, depth: int) -> list[Path]:
    """The folders of campaigns. A link `latest` beside what it leads to, or what an archive has
    made of it, is passed over."""
    if (path / PLAN).is_file():
        return [path]
    if depth == 0:
        return []
    inner = sorted(each for each in path.iterdir() if each.is_dir() and not each.is_symlink())
    others = [each for each in inner if each.name != _LATEST]
    return [campaign for each in others or inner for campaign in _below(each, depth - 1)]


def _part(path: Path, given: Sequence[Path]) -> Part:
    plan = read_plan(Folder(path))
    assert plan is not None
    shown = next((each for each in given if each.resolve() == path), path)
    return Part(shown, plan, read_runs(path / JOURNAL), _sound(Folder(path).peek_json(RESULTS)))


def _sound(results: JsonObject) -> JsonObject:
    """What a campaign.json has; {} for one that no campaign has written whole."""
    try:
        end = msgspec.convert(results, _End)
    except msgspec.ValidationError:
        return {}
    return results if math.isfinite(end.seconds) and end.seconds >= 0 else {}


def same_campaign(parts: Iterable[Part]) -> list[Part]:
    """The parts in the order of their shards. Raises UsageError, which names them, when two are not
    parts of the same campaign, or are the same part."""
    first, *others = ordered = sorted(parts, key=lambda part: part.plan.shard)
    _whole_beside_shards(ordered)
    for other in others:
        for what, of in _ALIKE.items():
            if of(first.plan) != of(other.plan):
                raise UsageError(
                    f"{other.title} is not of the same campaign as {first.title}: {what} "
                    f"{of(other.plan)}, not {of(first.plan)}; name the shards of one"
                )
    by_shard: dict[Shard, Part] = {}
    for part in ordered:
        if (other := by_shard.setdefault(part.plan.shard, part)) is not part:
            raise UsageError(
                f"{other.path} and {part.path} are both shard {part.plan.shard}; leave one out"
            )
    for part in ordered:
        _runs_of_its_own(part)
    return ordered


def _whole_beside_shards(parts: Sequence[Part]) -> None:
    """Raises UsageError for a campaign that was merged into the store of its shards, or was run
    there without --shard: its runs are the shards' own, or others of the same tests."""
    whole = [part for part in parts if part.plan.shard == WHOLE]
    shards = [part for part in parts if part.plan.shard != WHOLE]
    if whole and shards:
        raise UsageError(
            f"{whole[0].path} is a whole campaign (merged, or run without --shard), and "
            f"{shards[0].title} a part of one; name the folders of the shards, or merge into "
            f"another store"
        )


#: what the plans of all shards have in common
_ALIKE: dict[str, Callable[[Plan], Any]] = {
    "its name is": lambda plan: plan.name,
    "it was run by dynamesis": lambda plan: plan.version,
    "the number of shards is": lambda plan: plan.shard.of,
    "its --only is": lambda plan: plan.only,
    "its number of tests is": lambda plan: len(plan.cells),
    "the hash of its tests is": lambda plan: plan.tests[:12],
}


def _runs_of_its_own(part: Part) -> None:
    """Raises UsageError for a run of a cell that is another shard's, and for a number that two
    runs have, since they then have one folder; and for one whose files are elsewhere."""
    mine = {cell.name for cell in part.plan.mine()}
    counts = Counter(run.number for run in part.runs)
    for run in part.runs:
        if counts[run.number] > 1:
            raise UsageError(
                f"{part.title}: {counts[run.number]} runs in {JOURNAL} have the number "
                f"{run.number}; leave one of their lines"
            )
        for path in (run.output, run.folder or run.output):
            if not _is_below(Path(path), _store(Path(), run.number)):
                raise UsageError(
                    f"{part.title}: run {run.number} is in {path}, not in its own folder, "
                    f"{_store(Path(), run.number)}; leave it out"
                )
        if run.cell not in mine:
            raise UsageError(
                f"{part.title}: run {run.number} is of {run.cell}, not of this shard; leave it out"
            )


def _is_below(path: Path, folder: Path) -> bool:
    return folder in path.parents and ".." not in path.parts


def merge(parts: Sequence[Part], folder: Folder) -> JsonObject:
    """Copy the runs of all parts into a new folder; returns the content of campaign.json. It has
    the keys of any campaign's, and `shards`: a row for each, with its `state`, and the cells that
    it did not run."""
    plan = parts[0].plan
    runs = _copied(parts, folder)
    campaign = Campaign(plan.name, plan.time_limit, 0.0, {}, plan.cells, plan.budget, plan.skipped)
    shards = [_row(shard, parts, plan) for shard in _all(plan)]
    omitted = {cell: _why(row) for row in shards for cell in row["not_run"]}
    lacking = any(row["state"] != COMPLETE for row in shards)
    start = min(part.plan.start for part in parts)
    seconds = max((float(part.results.get("seconds", 0.0)) for part in parts), default=0.0)
    seconds = max([seconds, *(run.at for run in runs)])
    results = collect(campaign, runs, start, seconds, lacking, omitted)
    merged = replace(plan, shard=WHOLE, start=start, folder=str(folder.path.resolve()))
    merged.save(folder)
    return results | {"shard": None, "shards": shards, "ended_by": _ended_by(shards)}


def _all(plan: Plan) -> list[Shard]:
    return [Shard(number, plan.shard.of) for number in range(1, plan.shard.of + 1)]


def _row(shard: Shard, parts: Sequence[Part], plan: Plan) -> JsonObject:
    """What campaign.json has of a shard."""
    part = next((each for each in parts if each.plan.shard == shard), None)
    cells = [cell.name for cell in plan.mine(shard)]
    done = {run.cell for run in part.runs} if part else set()
    left = [cell for cell in cells if cell not in done]
    ended_by = part.results.get("ended_by") if part else None
    return {
        "shard": str(shard),
        "state": part.state if part else MISSING if cells else COMPLETE,
        "verdict": part.results.get("verdict") if part else None,
        "ended_by": ended_by,
        "host": part.plan.host if part else None,
        "start": part.plan.start if part else None,
        "seconds": part.results.get("seconds") if part else None,
        "tests": len(cells),
        "not_run": left,
    }


def _ended_by(shards: Sequence[JsonObject]) -> str | None:
    """What of a budget was used up, and by which shards; None if nothing was."""
    ended = [f"shard {row['shard']}: {row['ended_by']}" for row in shards if row["ended_by"]]
    return "; ".join(ended) or None


def _why(row: JsonObject) -> str:
    """Why a cell of a shard was not run."""
    if row["state"] == COMPLETE:
        return f"shard {row['shard']}: {row['ended_by'] or 'it was not run'}"
    verb = {MISSING: "is missing", DIED: "died", INTERRUPTED: "was interrupted"}[row["state"]]
    return f"shard {row['shard']} {verb}"


def _copied(parts: Sequence[Part], folder: Folder) -> list[CellRun]:
    """The runs of all parts, numbered in the order in which they ended, first runs before reruns of
    the same time, with their files in the new folder."""
    both = [(run, part) for part in parts for run in part.runs]
    both.sort(key=lambda pair: (pair[0].at, pair[1].plan.shard))
    journal = Journal(folder / JOURNAL)
    numbers = {(part.plan.shard, run.number): n for n, (run, part) in enumerate(both, 1)}
    for run, part in both:
        number = numbers[part.plan.shard, run.number]
        _copy(_store(part.path, run.number), _store(folder.path, number))
        renamed = _renamed(run, number, folder)

        def schedule(text: str, part: Part = part) -> str:
            return _elsewhere(text, part, folder, numbers)

        arguments = tuple(map(schedule, run.arguments))
        command = _worded(run.command, schedule)
        journal.add(replace(renamed, arguments=arguments, command=command))
    return journal.runs


def _store(campaign: Path, number: int) -> Path:
    return campaign / "runs" / f"{number:04}"


def _renamed(run: CellRun, number: int, folder: Folder) -> CellRun:
    """The run under its new number; without a folder if there was none to copy."""

    def moved(path: str) -> str:
        _, _, *rest = Path(path).parts
        return str(Path("runs", f"{number:04}", *rest))

    there = moved(run.folder) if run.folder is not None else None
    if there is not None and not (folder / there).is_dir():
        there = None
    return replace(run, number=number, folder=there, output=moved(run.output))


def _elsewhere(text: str, part: Part, folder: Folder, numbers: dict[tuple[Shard, int], int]) -> str:
    """An argument, or a command, that names a file of the shard's runs, with the one that was made
    of it."""
    if not part.plan.folder:
        return text

    def place(match: re.Match[str]) -> str:
        number = numbers.get((part.plan.shard, int(match[1])))
        return match[0] if number is None else f"{_store(folder.path.resolve(), number)}/"

    return re.sub(re.escape(part.plan.folder) + r"/runs/([0-9]+)/", place, text)


def _worded(command: str, change: Callable[[str], str]) -> str:
    """A command for a shell with each of its words changed: what is written into a word may need
    other quotes than what was there."""
    try:
        return shlex.join(map(change, shlex.split(command)))
    except ValueError:  # not written by this version: its quotes do not close
        return change(command)


def _copy(old: Path, new: Path) -> None:
    """A second name for each file where that can be had, else a copy. Nothing that a test has left
    is written to again: what changes is replaced."""
    if old.is_dir():
        shutil.copytree(old, new, symlinks=True, copy_function=_link, dirs_exist_ok=True)


def _link(source: str, target: str) -> None:
    try:
        os.link(source, target, follow_symlinks=False)
    except OSError:
        shutil.copy2(source, target, follow_symlinks=False)
