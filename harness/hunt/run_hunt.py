"""Runs a hunt with everything around it: folders, workers, signals, what is shown and kept."""

from __future__ import annotations

import secrets
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from dynamesis.harness.campaign.run_campaign import interrupting, read_campaign
from dynamesis.harness.campaign.worker_pool import worker_pool
from dynamesis.harness.failures.failure import WORLDS
from dynamesis.harness.failures.folder import FailureFolder
from dynamesis.harness.hunt.checked import checked
from dynamesis.harness.hunt.draws import Draws
from dynamesis.harness.hunt.hunt import Hunter
from dynamesis.harness.hunt.runs import HuntBudget, HuntRuns
from dynamesis.harness.hunt.shrink import ShrinkLimits
from dynamesis.harness.hunt.simulated import simulated_world
from dynamesis.harness.hunt.trials import (
    ERROR,
    INVALID,
    UNKNOWN,
    VALID,
    VERDICTS,
    ProcessWorld,
    TrialWorld,
)
from dynamesis.harness.hunt.view import shown, so_far
from dynamesis.harness.report.words import counted, times
from dynamesis.harness.results.documents import JsonObject
from dynamesis.harness.results.logs import logging_to
from dynamesis.harness.results.results import Folder
from dynamesis.harness.run.progress_view import Mode
from dynamesis.harness.run.progress_view import console as console_of
from dynamesis.harness.targets.system import EnvironmentFailed
from dynamesis.harness.usage import exits
from dynamesis.harness.usage.exits import UsageError
from dynamesis.harness.usage.output import print_json
from dynamesis.harness.usage.values import results_folder
from dynamesis.harness.worlds.options import PROCESSES, SIMULATED

HUNTS, HUNT, LOG = "hunts", "hunt.json", "hunt.log"
CODES = {
    INVALID: exits.INVALID,
    ERROR: exits.ENVIRONMENT,
    UNKNOWN: exits.UNKNOWN,
    VALID: exits.VALID,
}


@dataclass(frozen=True)
class HuntOptions:
    """What a hunt is asked for. `simulated`: seeds of each combination in a round of simulation,
    for one on processes; `world`: the only one to use, if not both."""

    failures: Path = Path("failures")
    store: Path = Path("store")
    jobs: int = 1
    seed: int | None = None
    world: str | None = None
    simulated: int = 20
    budget: HuntBudget = field(default_factory=HuntBudget)
    limits: ShrinkLimits = field(default_factory=ShrinkLimits)


def run_hunt(file: Path, options: HuntOptions, json: bool, mode: Mode) -> int:
    """The exit code of the worst that was seen. Raises UsageError, EnvironmentFailed."""
    campaign = read_campaign(file)
    if not campaign.cells:
        why = next((f"{c.name}: {why}" for c, why in campaign.skipped.items()), "it has no tests")
        raise UsageError(f"CAMPAIGN: {file}: {why}")
    if options.world == SIMULATED and (never := Draws.of(campaign, 0).why_not_simulated):
        why = never.removeprefix("--world: ")
        raise UsageError(
            f"--world: no test of {campaign.name} can be simulated: {why}; leave --world out"
        )
    failures = failure_folder(options.failures)
    for kept in failures.files():
        checked(kept)  # one that cannot be used is named before anything runs
    seed = secrets.randbelow(2**32) if options.seed is None else options.seed
    folder = results_folder(options.store / HUNTS, campaign.name)
    console = console_of(mode)
    if mode is not Mode.QUIET:
        tests = counted(len(Draws.of(campaign, seed).combinations), "combination")
        console.print(
            f"hunt    {tests} of {campaign.name}, seed {seed}, failures in {options.failures}"
        )
    with worlds(folder, options.jobs, in_memory=True) as (known, runs):
        runs.budget = options.budget
        drawn = {name: _times(name, options) for name in known if options.world in (None, name)}
        hunter = Hunter(failures, Draws.of(campaign, seed), known, drawn, runs, options.limits)
        with interrupting(hunter.interrupt), shown(console, hunter, mode):
            try:
                hunter.run()
            finally:
                summary = summarised(hunter, campaign.name, seed)
                folder.save_json(HUNT, summary)
    if json:
        print_json(summary)
        return CODES[summary["verdict"]]
    console.print(f"{summary['verdict']}: {so_far(hunter)}")
    for each in summary["failures"]:
        console.print(f"  {each['file']}  met {times(each['struck'])} in this hunt")
    console.print(f"folder  {folder.path}")
    return CODES[summary["verdict"]]


def failure_folder(path: Path) -> FailureFolder:
    """The folder, made where it is not there: what a hunt finds after hours must have a place.
    Raises UsageError where that cannot be a folder, EnvironmentFailed where it takes no file."""
    if path.exists() and not path.is_dir():
        raise UsageError(f"--failures: {path} is not a folder; name one")
    try:
        path.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=path):
            pass
    except (NotADirectoryError, FileExistsError) as wrong:
        raise UsageError(f"--failures: {path}: {wrong.strerror}; name a folder") from wrong
    except OSError as failure:
        raise EnvironmentFailed(
            f"--failures: {path} takes no files: {failure.strerror}; name another folder"
        ) from failure
    return FailureFolder(path)


def _times(world: str, options: HuntOptions) -> int:
    return 1 if world == PROCESSES else options.simulated


@contextmanager
def worlds(
    folder: Folder, jobs: int, in_memory: bool
) -> Iterator[tuple[Mapping[str, TrialWorld], HuntRuns]]:
    """Every world, in their order, and the runs in them. What failed in simulation leaves a folder,
    but not where that is to be in memory, which is quicker."""
    root = folder / "runs"
    with ExitStack() as stack:
        stack.enter_context(logging_to(folder / LOG, workers=True))
        simulated = stack.enter_context(simulated_world(jobs, None if in_memory else root))
        pool = stack.enter_context(worker_pool(jobs))
        processes = ProcessWorld(pool, root)
        known: dict[str, TrialWorld] = {SIMULATED: simulated, PROCESSES: processes}
        yield {name: known[name] for name in WORLDS}, HuntRuns(HuntBudget(), processes.forget)


def summarised(hunter: Hunter, campaign: str, seed: int) -> JsonObject:
    """The content of hunt.json, and what --json prints."""
    runs = hunter.runs
    known = {each.name: each for each in hunter.failures.all()}
    named = [name for name in known if name in hunter.struck or name in hunter.replayed]
    rows = []
    for name in named:
        failure, replayed = known[name], hunter.replayed.get(name)
        rows.append(
            {
                "name": name,
                "file": str(hunter.failures.file(name)),
                "anomalies": list(failure.anomalies),
                "world": failure.world,
                "new": name in hunter.fresh,
                "struck": hunter.struck[name],
                "struck_in_all": failure.struck,
                "replayed": None if replayed is None else replayed.to_dict(),
            }
        )
    return {
        "campaign": campaign,
        "seed": seed,
        "ended": datetime.now(UTC).isoformat(timespec="seconds"),
        "seconds": round(runs.elapsed, 1),
        "interrupted": runs.interrupted,
        "verdict": verdict(hunter),
        "runs": {
            world: {each: runs.counts[world, each] for each in VERDICTS} for world in hunter.worlds
        },
        "failures": rows,
    }


def verdict(hunter: Hunter) -> str:
    """The worst of all runs; unknown if there was none."""
    seen = {each for (_, each), count in hunter.runs.counts.items() if count}
    return next((each for each in VERDICTS if each in seen), UNKNOWN)
