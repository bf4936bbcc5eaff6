"""Runs the zoo with everything around it: its bugs, folder, logs, signals, results."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from dynamesis.harness.campaign.journal import JOURNAL, Journal
from dynamesis.harness.campaign.results import RESULTS as CAMPAIGN
from dynamesis.harness.campaign.results import collect as campaign_results
from dynamesis.harness.campaign.results import news
from dynamesis.harness.campaign.run_campaign import (
    CAMPAIGNS,
    INDEX,
    conclusion,
    interrupting,
)
from dynamesis.harness.campaign.scheduler import Scheduler
from dynamesis.harness.campaign.spec import Campaign
from dynamesis.harness.campaign.view import view
from dynamesis.harness.campaign.worker_pool import worker_pool
from dynamesis.harness.report.campaign import index
from dynamesis.harness.report.nightly import nightly
from dynamesis.harness.report.words import counted
from dynamesis.harness.results.logs import logging_to
from dynamesis.harness.run.progress_view import Mode
from dynamesis.harness.run.progress_view import console as console_of
from dynamesis.harness.usage.exits import ENVIRONMENT, INVALID, VALID
from dynamesis.harness.usage.values import results_folder, write_files
from dynamesis.harness.zoo.chosen import chosen
from dynamesis.harness.zoo.page import ended, markdown
from dynamesis.harness.zoo.plan import Specimen, needed, storm, suited
from dynamesis.harness.zoo.results import RESULTS, collect, finish

LOG, SUMMARY = "zoo.log", "zoo.md"


@dataclass(frozen=True)
class Visit:
    """What was asked for. `limit`: how long each load lasts, which is so many `seconds`."""

    only: str | None
    seeds: range
    stormy: bool
    limit: str
    seconds: float

    def campaign(self, specimens: Sequence[Specimen]) -> Campaign:
        if self.stormy:
            return storm(specimens, self.seeds.start, self.limit, self.seconds)
        return suited(specimens, self.seeds, self.limit, self.seconds)


def run_zoo(
    visit: Visit,
    jobs: int,
    store: Path,
    json: Path | None,
    also: Path | None,
    arguments: Sequence[str],
    mode: Mode = Mode.AUTO,
) -> int:
    """0 when all bugs were caught without a false alarm, else 1; 4 when tests without any bug
    could not be run. Raises UsageError, EnvironmentFailed."""
    specimens = chosen(visit.only, visit.stormy)
    campaign = visit.campaign(specimens)
    folder = results_folder(store / CAMPAIGNS, campaign.name)
    journal = Journal(folder / JOURNAL)
    console = console_of(mode)
    if mode is not Mode.QUIET:
        console.print(
            f"{counted(len(specimens), 'bug')}, at most {counted(len(campaign.cells), 'test')}, "
            f"in {folder.path}"
        )
    started = datetime.now(UTC).isoformat(timespec="milliseconds")
    with logging_to(folder / LOG, workers=True), worker_pool(jobs) as pool:
        shown = view(console, ended, mode=mode)
        scheduler = Scheduler(campaign, folder.path, journal, pool)
        scheduler.on_run = lambda run: shown.show(run, scheduler)
        if visit.stormy:
            scheduler.wanted = lambda cell: needed(cell, campaign.cells, journal.runs)
        with interrupting(scheduler.interrupt), shown:
            scheduler.run()
    tests = campaign_results(
        campaign, journal.runs, started, scheduler.elapsed(), scheduler.interrupted
    )
    about = {name: tests[name] for name in ("start", "seconds", "interrupted")}
    about["command"] = shlex.join(["dynamesis", *arguments])
    results = collect(specimens, campaign, journal.runs, visit.stormy, **about)
    finish(tests, campaign, results)
    folder.save_json(CAMPAIGN, tests)
    new = news(tests, None)
    folder.save(INDEX, index(tests, new, site=nightly(tests, new, zoo=results)))
    folder.save_json(RESULTS, results)
    folder.save(SUMMARY, markdown(results))
    console.print(conclusion((folder / SUMMARY).read_text(encoding="utf-8"), mode))
    console.print(f"folder  {folder.path}")
    figures, page = [(folder / name).read_text(encoding="utf-8") for name in (RESULTS, SUMMARY)]
    write_files(("--json", json, figures), ("--markdown", also, page))
    return _code(results)


def _code(results: Mapping[str, Any]) -> int:
    if results["clean_failed"]:
        return ENVIRONMENT
    return VALID if results["all_caught"] and not results["false_alarms"] else INVALID
