"""Runs a campaign with everything around it: its names, folder, logs, signals, reports."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from dynamesis.harness.campaign.journal import Journal
from dynamesis.harness.campaign.matrix import Cell
from dynamesis.harness.campaign.results import RESULTS, collect, earlier, newest_zoo, news
from dynamesis.harness.campaign.scheduler import Scheduler
from dynamesis.harness.campaign.spec import Campaign, read
from dynamesis.harness.campaign.view import view
from dynamesis.harness.campaign.worker_pool import worker_pool
from dynamesis.harness.processes.signals import ending
from dynamesis.harness.report.campaign import index, junit, summary
from dynamesis.harness.report.nightly import nightly
from dynamesis.harness.results.logs import logging_to
from dynamesis.harness.results.results import Folder
from dynamesis.harness.results.yaml_document import YamlError
from dynamesis.harness.run.progress_view import Mode
from dynamesis.harness.run.progress_view import console as console_of
from dynamesis.harness.usage.exits import ENVIRONMENT, INVALID, UNKNOWN, VALID, UsageError
from dynamesis.harness.usage.values import one_of, results_folder

CAMPAIGNS, JOURNAL, LOG = "campaigns", "runs.jsonl", "campaign.log"
INDEX, SUMMARY, JUNIT = "index.html", "summary.md", "junit.xml"
NIGHTLY = "nightly.json"

_CODES = {"invalid": INVALID, "error": ENVIRONMENT, "unknown": UNKNOWN, "valid": VALID}


def run_campaign(
    file: Path,
    only: str | None,
    store: Path,
    jobs: int,
    resume: bool,
    also: Path | None,
    mode: Mode = Mode.AUTO,
) -> int:
    """The exit code of the worst verdict. Raises UsageError, EnvironmentFailed."""
    campaign = _chosen(read_campaign(file), only)
    folder = _folder(store / CAMPAIGNS, campaign.name, resume)
    journal = Journal(folder / JOURNAL)
    _unchanged(file, campaign, journal)
    console = console_of(mode)
    if mode is not Mode.QUIET:
        console.print(f"campaign {campaign.name}, {len(campaign.cells)} tests, in {folder.path}")
        for cell, reason in campaign.skipped.items():
            console.print(f"skipped   {cell.name}: {reason}")
    started = str(folder.peek_json(RESULTS).get("start") or _now())
    with logging_to(folder / LOG, workers=True), worker_pool(jobs) as pool:
        shown = view(console, mode=mode)
        scheduler = Scheduler(campaign, folder.path, journal, pool)
        scheduler.on_run = lambda run: shown.show(run, scheduler)
        with interrupting(scheduler.interrupt), shown:
            scheduler.run()
    stopped = scheduler.interrupted
    results = collect(campaign, journal.runs, started, scheduler.elapsed(), stopped)
    _save(folder, results, also)
    console.print(conclusion((folder / SUMMARY).read_text(encoding="utf-8"), mode))
    console.print(f"folder  {folder.path}")
    if stopped:
        console.print("interrupted; go on with the same command and --resume")
    return _CODES[results["verdict"]]


def conclusion(summary: str, mode: Mode) -> str:
    """What is printed of a summary in Markdown: all, or quietly its title."""
    return summary if mode is not Mode.QUIET else summary.splitlines()[0].lstrip("# ")


def read_campaign(file: Path) -> Campaign:
    """The campaign in a file. Raises UsageError."""
    try:
        return read(file.read_text(encoding="utf-8"), str(file))
    except (OSError, UnicodeDecodeError) as failure:
        raise UsageError(f"{file} cannot be read ({failure})") from failure
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


def _folder(root: Path, name: str, resume: bool) -> Folder:
    if resume:
        latest = root / name / "latest"
        if not latest.exists():
            raise UsageError(f"--resume: there is no campaign {name} in {root}; leave --resume out")
        return Folder(root / name / latest.readlink())
    return results_folder(root, name)


def _unchanged(file: Path, campaign: Campaign, journal: Journal) -> None:
    """What was run under the name of a cell must be what would be run now."""
    wanted = {cell.name: {"test", *campaign.spec(cell).arguments()} for cell in campaign.cells}
    for run in journal.runs:
        if not run.rerun and set(run.arguments) != wanted.get(run.cell, set(run.arguments)):
            raise UsageError(
                f"--resume: {file} has changed: {run.cell} was run as "
                f"{' '.join(run.arguments)}; leave --resume out to begin anew"
            )


def _save(folder: Folder, results: Mapping[str, Any], also: Path | None) -> None:
    nights = earlier(folder.path)
    new = news(results, nights[-1] if nights else None)
    site = nightly(results, new, nights, newest_zoo(folder.path.parent.parent))
    folder.save_json(RESULTS, results)
    folder.save_json(NIGHTLY, site)
    folder.save(SUMMARY, summary(results, new, site["compared"], site))
    folder.save(INDEX, index(results, new, site["compared"], site))
    folder.save(JUNIT, junit(results))
    if also is not None:
        also.write_text(junit(results), encoding="utf-8")


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
