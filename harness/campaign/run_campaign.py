"""Runs a campaign with everything around it: its names, folder, logs, signals, reports."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from dynamesis.harness.campaign.budget import from_flags, in_words
from dynamesis.harness.campaign.journal import JOURNAL, CellRun, Journal
from dynamesis.harness.campaign.matrix import Cell
from dynamesis.harness.campaign.plan import Plan, read_plan
from dynamesis.harness.campaign.prune import Room, enough_of, taken
from dynamesis.harness.campaign.results import NOT_RUN, RESULTS, collect, earlier, newest_zoo, news
from dynamesis.harness.campaign.scheduler import Scheduler
from dynamesis.harness.campaign.shard import WHOLE, Shard
from dynamesis.harness.campaign.spec import Campaign, read
from dynamesis.harness.campaign.view import view
from dynamesis.harness.campaign.worker_pool import Pool, worker_pool
from dynamesis.harness.processes.signals import ending
from dynamesis.harness.report.campaign import index, junit, summary
from dynamesis.harness.report.nightly import nightly
from dynamesis.harness.report.words import counted
from dynamesis.harness.results.logs import logging_to
from dynamesis.harness.results.results import DamagedFolder, Folder, write_whole
from dynamesis.harness.results.yaml_document import YamlError
from dynamesis.harness.run.progress_view import Mode
from dynamesis.harness.run.progress_view import console as console_of
from dynamesis.harness.usage.exits import ENVIRONMENT, INVALID, UNKNOWN, VALID, UsageError
from dynamesis.harness.usage.values import one_of, results_folder
from rich.console import Console

CAMPAIGNS, LOG = "campaigns", "campaign.log"
INDEX, SUMMARY, JUNIT = "index.html", "summary.md", "junit.xml"
NIGHTLY = "nightly.json"

#: the exit code of each verdict; "not run" is that of a shard which has no cells
CODES = {
    "invalid": INVALID,
    "error": ENVIRONMENT,
    "unknown": UNKNOWN,
    "valid": VALID,
    NOT_RUN: VALID,
}


@dataclass(frozen=True)
class CampaignOptions:
    """How a campaign is to be run. `only`, `shard` and `budget` as the flags have them;
    `overrides`: options that all its tests have, whatever their configuration; `junit`: a second
    place for it; `dry`: show what would be run, and run nothing."""

    only: str | None = None
    shard: str | None = None
    budget: tuple[str, ...] = ()
    overrides: Mapping[str, Any] = field(default_factory=dict)
    jobs: int = 1
    resume: bool = False
    junit: Path | None = None
    dry: bool = False


def run_campaign(
    file: Path,
    store: Path,
    wanted: CampaignOptions,
    mode: Mode = Mode.AUTO,
    pool: Callable[[], AbstractContextManager[Pool]] | None = None,
) -> int:
    """The exit code of the worst verdict. `pool` runs the tests, so many processes of this machine
    as there are jobs when absent. Raises UsageError, EnvironmentFailed."""
    shard = WHOLE if wanted.shard is None else Shard.parse(wanted.shard)
    read = _chosen(read_campaign(file, wanted.overrides), wanted.only)
    whole = replace(read, budget=from_flags(read.budget, wanted.budget))
    campaign = dealt(whole, shard)
    console = console_of(mode)
    if wanted.dry:
        show(campaign, shard, store / CAMPAIGNS / campaign.name, console.print)
        return VALID
    folder = _folder(store / CAMPAIGNS, campaign.name, wanted.resume, shard)
    journal = _journal(folder)
    _unchanged(file, campaign, journal)
    if mode is not Mode.QUIET:
        _announce(campaign, shard, folder, console.print)
    plan = _plan(folder, whole, shard, wanted.only, file)
    begin = (lambda: worker_pool(wanted.jobs)) if pool is None else pool
    scheduler = _run(campaign, folder, journal, begin, console, mode)
    stopped, omitted = scheduler.interrupted, scheduler.omitted()
    results = collect(campaign, journal.runs, plan.start, scheduler.elapsed(), stopped, omitted)
    results |= {
        "shard": None if wanted.shard is None else str(shard),
        "ended_by": scheduler.ended_by,
    }
    if not campaign.cells and not campaign.skipped and not stopped:
        results["verdict"] = NOT_RUN  # a shard beyond the last cell
    save_results(folder, results, wanted.junit)
    console.print(conclusion((folder / SUMMARY).read_text(encoding="utf-8"), mode))
    console.print(f"folder  {folder.path}")
    if stopped:
        console.print("interrupted; continue with the same command and --resume")
    return CODES[results["verdict"]]


def _announce(
    campaign: Campaign, shard: Shard, folder: Folder, show: Callable[[str], None]
) -> None:
    part = "" if shard == WHOLE else f", shard {shard}"
    show(
        f"campaign {campaign.name}{part}, {counted(len(campaign.cells), 'test')}, in {folder.path}"
    )
    for cell, reason in campaign.skipped.items():
        show(f"skipped   {cell.name}: {reason}")


def _run(
    campaign: Campaign,
    folder: Folder,
    journal: Journal,
    begin: Callable[[], AbstractContextManager[Pool]],
    console: Console,
    mode: Mode,
) -> Scheduler:
    """The scheduler, when everything has been run, or nothing more may be."""
    with logging_to(folder / LOG, workers=True), begin() as pool:
        shown = view(console, mode=mode)
        scheduler = Scheduler(campaign, folder.path, journal, pool)
        room = _room(campaign, folder)
        if room is not None:
            scheduler.room = room.make

        def ended(run: CellRun | None) -> None:
            if run is not None and room is not None and run.folder is not None:
                room.add(folder / run.folder)
            shown.show(run, scheduler)

        scheduler.on_run = ended
        with interrupting(scheduler.interrupt), shown:
            scheduler.run()
        if room is not None:
            room.make()
    return scheduler


def _room(campaign: Campaign, folder: Folder) -> Room | None:
    limit = campaign.budget.bytes
    return None if limit is None else Room(folder.path.parent, limit)


def dealt(campaign: Campaign, shard: Shard) -> Campaign:
    """The part of a campaign that a shard runs."""
    skipped = {cell: campaign.skipped[cell] for cell in shard.deal(campaign.skipped)}
    budget = campaign.budget.share(shard.number, shard.of)
    return replace(campaign, cells=shard.deal(campaign.cells), skipped=skipped, budget=budget)


def show(campaign: Campaign, shard: Shard, root: Path, line: Callable[[str], None]) -> None:
    """What would be run, in that order, and pruned."""
    tests = counted(len(campaign.cells), "test")
    line(f"campaign {campaign.name}, shard {shard}: {tests} would be run")
    for cell in campaign.cells:
        line(f"run       {cell.name}")
    for cell, reason in campaign.skipped.items():
        line(f"skipped   {cell.name}: {reason}")
    limit, used = campaign.budget.bytes, taken(root) if root.is_dir() else 0
    if limit is not None:
        line(f"store     {root}: {in_words(used)} of {in_words(limit)}")
    if limit is not None and used >= limit:
        for old in enough_of(root, used - limit + 1):
            line(f"prune     {in_words(old.bytes)}  {old.folder}")


def _journal(folder: Folder) -> Journal:
    try:
        return Journal(folder / JOURNAL)
    except DamagedFolder as damaged:
        raise UsageError(f"--resume: {damaged}") from damaged


def _plan(folder: Folder, whole: Campaign, shard: Shard, only: str | None, file: Path) -> Plan:
    """The plan of this folder, written before anything is run. What continues has begun when the
    first part of it did."""
    with suppress(DamagedFolder):
        if (found := read_plan(folder)) is not None:
            return found
    started = str(folder.peek_json(RESULTS).get("start") or _now())
    place = str(folder.path.resolve())
    plan = Plan.of(whole, shard, started, only=only, file=file.name, folder=place)
    plan.save(folder)
    return plan


def conclusion(summary: str, mode: Mode) -> str:
    """What is printed of a summary in Markdown: all, or quietly its title."""
    return summary if mode is not Mode.QUIET else summary.splitlines()[0].lstrip("# ")


def read_campaign(file: Path, overrides: Mapping[str, Any] | None = None) -> Campaign:
    """The campaign in a file, with options that all its tests have. Raises UsageError."""
    try:
        return read(file.read_text(encoding="utf-8"), str(file), overrides or {})
    except (OSError, UnicodeDecodeError) as failure:
        raise UsageError(f"{file} cannot be read ({failure}); name a campaign's file") from failure
    except YamlError as malformed:
        raise UsageError(str(malformed)) from malformed


def _chosen(campaign: Campaign, only: str | None) -> Campaign:
    """The campaign with those cells alone that have, on each axis that is named, one of
    the words."""
    if only is None:
        return campaign
    every = (*campaign.cells, *campaign.skipped)
    axes = {
        axis: {str(getattr(cell, axis)) for cell in every}
        for axis in ("workload", "nemesis", "config", "seed")
    }
    words = [word.strip() for word in only.split(",")]
    for word in words:
        one_of("--only", word, {each for values in axes.values() for each in values})
    named = {axis: values & set(words) for axis, values in axes.items()}

    def wanted(cell: Cell) -> bool:
        return all(str(getattr(cell, axis)) in some for axis, some in named.items() if some)

    cells = tuple(filter(wanted, campaign.cells))
    skipped = {cell: why for cell, why in campaign.skipped.items() if wanted(cell)}
    if not cells:
        why = next((f"{cell.name}: {why}" for cell, why in skipped.items()), "")
        raise UsageError(f"--only: {why or f'no test of this campaign is {only}'}")
    return replace(campaign, cells=cells, skipped=skipped)


def _folder(root: Path, name: str, resume: bool, shard: Shard) -> Folder:
    if not resume:
        return results_folder(root, name)
    folders = (path for path in (root / name).glob("*/") if not path.is_symlink())
    for path in sorted(folders, key=lambda path: path.name, reverse=True):
        try:
            plan = read_plan(Folder(path))
        except DamagedFolder:
            continue
        if (WHOLE if plan is None else plan.shard) == shard:
            return Folder(path)
    what = name if shard == WHOLE else f"{name}, shard {shard},"
    raise UsageError(f"--resume: there is no campaign {what} in {root}; leave --resume out")


def _unchanged(file: Path, campaign: Campaign, journal: Journal) -> None:
    """What was run under the name of a cell must be what would be run now."""
    wanted = {cell.name: {"test", *campaign.spec(cell).arguments()} for cell in campaign.cells}
    for run in journal.runs:
        if not run.rerun and set(run.arguments) != wanted.get(run.cell, set(run.arguments)):
            raise UsageError(
                f"--resume: {file} has changed: {run.cell} was run as "
                f"{' '.join(run.arguments)}; leave --resume out to begin anew"
            )


def save_results(folder: Folder, results: Mapping[str, Any], also: Path | None) -> None:
    """Everything that is written of a campaign when it has ended; JUnit XML into `also` too."""
    nights = earlier(folder.path)
    new = news(results, nights[-1] if nights else None)
    site = nightly(results, new, nights, newest_zoo(folder.path.parent.parent))
    folder.save_json(RESULTS, results)
    folder.save_json(NIGHTLY, site)
    folder.save(SUMMARY, summary(results, new, site["compared"], site))
    folder.save(INDEX, index(results, new, site["compared"], site))
    folder.save(JUNIT, junit(results))
    if also is not None:
        write_whole(also, junit(results))


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")


@contextmanager
def interrupting(interrupt: Callable[[], None]) -> Iterator[None]:
    """SIGINT, SIGTERM and SIGHUP mean `interrupt`."""
    before = {number: signal.signal(number, lambda *_: interrupt()) for number in ending()}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
