"""Every planted bug under a swarm in virtual time that knows nothing of it.

Each bug gets the schedules of the same seeds, one after the other on one core, until one is
invalid whose pair, the same schedule without the bug, is valid, or its time is over. That one is
shrunk. A schedule whose pair is not valid shows nothing of the bug; an invalid pair is a false
alarm.
"""

from __future__ import annotations

import json
import shlex
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from functools import lru_cache, partial
from pathlib import Path

from dynamesis.checkers.verdict import Verdict
from dynamesis.harness.campaign.view import clock
from dynamesis.harness.results.documents import JsonObject
from dynamesis.harness.results.results import Folder
from dynamesis.harness.run.progress_view import Mode, console
from dynamesis.harness.simulation.minimal import minimal
from dynamesis.harness.simulation.saved import save_schedule
from dynamesis.harness.simulation.schedules.draw import SwarmScope, draw
from dynamesis.harness.simulation.schedules.text import Written
from dynamesis.harness.simulation.schedules.token import encode
from dynamesis.harness.simulation.swarm import SeedOutcome, Unfinished, play_seed, spread
from dynamesis.harness.usage.exits import INVALID, UNKNOWN, VALID
from dynamesis.harness.usage.values import results_folder, write_files
from dynamesis.harness.zoo.plan import Specimen
from dynamesis.harness.zoo.results import RESULTS
from dynamesis.harness.zoo.simulated_results import (
    SIMULATED,
    Catch,
    collected,
    head,
    line,
    markdown,
)

#: The folder of a run, and its summary.
_FOLDER, _SUMMARY = "zoo-simulated", "zoo.md"

#: Runs that shrinking may take.
_RUNS = 120

#: Plays the schedule of a seed with these bugs.
Player = Callable[[int, SwarmScope], SeedOutcome]


def hunt(specimen: Specimen, first: int, seconds: float, player: Player = play_seed) -> Catch:
    """Plays schedules from the seed `first` on, until one shows the bug. A schedule that has begun
    in time counts."""
    wanted, spent, seed = SwarmScope(bug=(specimen.bug,)), 0.0, first
    alarms: list[int] = []
    unclear: list[int] = []
    while spent < seconds:
        outcome = player(seed, wanted)
        spent += outcome.seconds
        if outcome.played.verdict is Verdict.INVALID:
            pair = player(seed, SwarmScope())
            spent += pair.seconds
            if pair.played.verdict is Verdict.VALID:
                named = tuple(outcome.played.anomalies)
                tried = seed - first + 1
                return Catch(
                    specimen.name, seed, tried, spent, named, tuple(alarms), tuple(unclear),
                    drawn=outcome.played.operations,
                )  # fmt: skip
            (alarms if pair.played.verdict is Verdict.INVALID else unclear).append(seed)
        seed += 1
    return Catch(specimen.name, None, seed - first, spent, (), tuple(alarms), tuple(unclear))


def shrunk(specimen: Specimen, catch: Catch) -> Catch:
    """With its schedule shrunk, by an anomaly that is expected of the bug where it shows one."""
    if catch.seed is None:
        return catch
    wanted, began = SwarmScope(bug=(specimen.bug,)), time.process_time()
    named = [name for name in catch.anomalies if name in specimen.anomalies]
    small = minimal(draw(catch.seed, wanted), (named or list(catch.anomalies))[0], _RUNS)
    written = Written(small.schedule, small.anomalies, encode(catch.seed, wanted))
    seconds = time.process_time() - began
    return Catch(**{**vars(catch), "small": written, "shrinking": seconds})


@lru_cache(maxsize=4096)
def _pair(seed: int) -> SeedOutcome:
    return play_seed(seed, SwarmScope())


def _player(seed: int, wanted: SwarmScope) -> SeedOutcome:
    """As play_seed; a schedule without a bug, the pair of many, is played once in a process."""
    return play_seed(seed, wanted) if wanted.bug else _pair(seed)


def _work(specimen: Specimen, first: int, seconds: float) -> Catch:
    return shrunk(specimen, hunt(specimen, first, seconds, _player))


def run_simulated_zoo(
    specimens: Sequence[Specimen],
    seed: int,
    jobs: int,
    store: Path,
    json_file: Path | None,
    markdown_file: Path | None,
    arguments: Sequence[str],
    mode: Mode = Mode.AUTO,
) -> int:
    """0 when all bugs were caught without a false alarm, else 1; 3 when it was interrupted before
    any escaped. The files are written anew after each bug. Raises UsageError,
    EnvironmentFailed."""
    folder, screen = results_folder(store / "campaigns", _FOLDER), console(mode)
    began, started = time.monotonic(), datetime.now(UTC).isoformat(timespec="milliseconds")
    catches: list[Catch] = []

    def save() -> JsonObject:
        """What is known so far, in all files."""
        about = {
            "start": started,
            "seconds": round(time.monotonic() - began, 1),
            "command": shlex.join(["dynamesis", *arguments]),
            "folder": str(folder.path),
        }
        results = collected(specimens, catches, **about)
        _save(results, folder, json_file, markdown_file)
        return results

    results = save()
    try:
        for catch in _catches(specimens, seed, jobs):
            catches.append(catch)
            results = save()  # before its folder, which takes a while, and may be interrupted
            if catch.small is not None:
                save_schedule(folder / catch.name, catch.small)
            if mode is not Mode.QUIET:
                passed = time.monotonic() - began
                screen.print(f"{line(catch)}  ({_how_far(len(catches), len(specimens), passed)})")
    except KeyboardInterrupt as stopped:
        for specimen, seconds in stopped.tasks if isinstance(stopped, Unfinished) else ():
            screen.print(f"unfinished: {specimen.name}, after {seconds:.1f} s {stopped}".rstrip())
        screen.print("stopped; what was hunted until now is kept")
    screen.print(markdown(results) if mode is not Mode.QUIET else head(results))
    screen.print(f"folder  {folder.path}")
    return _code(results)


def _save(
    results: JsonObject, folder: Folder, json_file: Path | None, markdown_file: Path | None
) -> None:
    text, page = json.dumps(results, indent=2) + "\n", markdown(results)
    folder.save(RESULTS, text)
    folder.save(_SUMMARY, page)
    write_files(("--json", json_file, text), ("--markdown", markdown_file, page))


def _code(results: JsonObject) -> int:
    """INVALID for a false alarm or a bug that escaped, also before an interruption."""
    escaped = any(not bug["caught"] for bug in results["bugs"])
    if results["false_alarms"] or escaped:
        return INVALID
    return UNKNOWN if results["interrupted"] else VALID


def _how_far(done: int, of: int, seconds: float) -> str:
    """`12 of 53, about 3:20 left`, if the others take as long as those so far."""
    left = f", about {clock(seconds / done * (of - done))} left" if done < of else ""
    return f"{done} of {of}{left}"


def _catches(specimens: Sequence[Specimen], seed: int, jobs: int) -> Iterator[Catch]:
    work = partial(_work, first=seed, seconds=SIMULATED)
    return spread(work, iter(specimens), min(jobs, len(specimens)), lambda: True, gaps=True)
