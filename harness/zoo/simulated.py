"""Every planted bug under a swarm in virtual time that knows nothing of it.

Each bug gets the schedules of the same seeds, one after the other on one core, until one is
invalid or its time is over; that one is shrunk, and its pair, the same schedule without the bug,
must not be invalid.
"""

from __future__ import annotations

import json
import shlex
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

from dynamesis.checkers.verdict import Verdict
from dynamesis.harness.results.documents import JsonObject
from dynamesis.harness.run.progress_view import Mode, console
from dynamesis.harness.simulation.minimal import minimal
from dynamesis.harness.simulation.play import play
from dynamesis.harness.simulation.saved import save_schedule
from dynamesis.harness.simulation.schedules.draw import SwarmScope, draw
from dynamesis.harness.simulation.schedules.schedule import SimulatedSchedule
from dynamesis.harness.simulation.schedules.text import Written
from dynamesis.harness.simulation.schedules.token import encode
from dynamesis.harness.simulation.swarm import play_seed, spread
from dynamesis.harness.usage.exits import INVALID, VALID
from dynamesis.harness.usage.values import results_folder
from dynamesis.harness.zoo.plan import Specimen
from dynamesis.harness.zoo.results import RESULTS

#: s of one core that a bug may take to be caught, and the folder and the summary of a run
SIMULATED = 60.0
_FOLDER, _SUMMARY = "zoo-simulated", "zoo.md"


@dataclass(frozen=True)
class Catch:
    """What became of one bug. `seed`: of the schedule that showed it, None: none did; `tried`: how
    many schedules; `seconds`: of one core until then; `small`: the schedule, shrunk; `shrinking`: s
    that this took; `pair`: the verdict on the same schedule without the bug."""

    name: str
    seed: int | None
    tried: int
    seconds: float
    anomalies: tuple[str, ...] = ()
    small: Written | None = None
    shrinking: float = 0.0
    pair: Verdict | None = None


def hunt(specimen: Specimen, first: int, seconds: float) -> Catch:
    """Plays schedules from the seed `first` on, until one shows the bug."""
    wanted, spent, seed = SwarmScope(bug=(specimen.name,)), 0.0, first
    while spent < seconds:
        outcome = play_seed(seed, wanted)
        spent += outcome.seconds
        if outcome.played.verdict is Verdict.INVALID:
            tried = seed - first + 1
            return _caught(specimen, seed, tried, spent, tuple(outcome.played.anomalies))
        seed += 1
    return Catch(specimen.name, None, seed - first, spent)


def _caught(
    specimen: Specimen, seed: int, tried: int, spent: float, anomalies: tuple[str, ...]
) -> Catch:
    """The catch with its schedule shrunk, by an anomaly that is expected of it where there is
    one."""
    wanted = SwarmScope(bug=(specimen.name,))
    schedule = draw(seed, wanted)
    named = [name for name in anomalies if name in specimen.anomalies] or list(anomalies)
    small = minimal(schedule, named[0])
    written = Written(small.schedule, small.anomalies, encode(seed, wanted))
    pair = play(_clean(schedule)).verdict
    return Catch(specimen.name, seed, tried, spent, anomalies, written, small.seconds, pair)


def _clean(schedule: SimulatedSchedule) -> SimulatedSchedule:
    return replace(schedule, spec=replace(schedule.spec, bug=()))


def run_simulated_zoo(
    specimens: Sequence[Specimen],
    seed: int,
    jobs: int,
    store: Path,
    json_file: Path | None,
    markdown: Path | None,
    arguments: Sequence[str],
    mode: Mode = Mode.AUTO,
) -> int:
    """0 when all bugs were caught without a false alarm, else 1. Raises UsageError,
    EnvironmentFailed."""
    folder, screen = results_folder(store / "campaigns", _FOLDER), console(mode)
    began, started = time.monotonic(), datetime.now(UTC).isoformat(timespec="milliseconds")
    catches: list[Catch] = []
    for catch in _catches(specimens, seed, jobs):
        catches.append(catch)
        if catch.small is not None:
            save_schedule(folder / catch.name, catch.small)
        if mode is not Mode.QUIET:
            screen.print(_line(catch))
    about = {
        "start": started,
        "seconds": round(time.monotonic() - began, 1),
        "command": shlex.join(["dynamesis", *arguments]),
        "folder": str(folder.path),
    }
    results = collected(specimens, catches, **about)
    text, page = json.dumps(results, indent=2) + "\n", "\n".join(_page(results)) + "\n"
    folder.save(RESULTS, text)
    folder.save(_SUMMARY, page)
    for file, content in ((json_file, text), (markdown, page)):
        if file is not None:
            file.write_text(content, encoding="utf-8")
    screen.print(page if mode is not Mode.QUIET else _head(results))
    screen.print(f"folder  {folder.path}")
    return VALID if results["all_caught"] and not results["false_alarms"] else INVALID


def _catches(specimens: Sequence[Specimen], seed: int, jobs: int) -> Iterator[Catch]:
    work = partial(hunt, first=seed, seconds=SIMULATED)
    return spread(work, iter(specimens), min(jobs, len(specimens)), lambda: True)


def collected(specimens: Iterable[Specimen], catches: Iterable[Catch], **about: Any) -> JsonObject:
    """The content of zoo.json. `times`: s of one core until each bug was caught."""
    bugs = [_bug(*each) for each in zip(specimens, catches, strict=True)]
    alarms = [bug for bug in bugs if bug["pair"] == "invalid"]
    caught = [bug for bug in bugs if bug["caught"]]
    return {
        "mode": "simulated",
        "time_limit": f"{SIMULATED:g}s",
        **about,
        "all_caught": len(caught) == len(bugs) > 0,
        "false_alarms": len(alarms),
        "median": _median(bug["seconds"] for bug in caught),
        "operations": _median(bug["operations"] for bug in caught),
        "faults": _median(bug["faults"] for bug in caught),
        "bugs": bugs,
    }


def _bug(specimen: Specimen, catch: Catch) -> JsonObject:
    schedule = None if catch.small is None else catch.small.schedule
    return {
        "name": specimen.name,
        "mechanism": specimen.mechanism,
        "expected": list(specimen.anomalies),
        "caught": catch.seed is not None,
        "seconds": round(catch.seconds, 2),
        "schedules": catch.tried,
        "anomalies": list(catch.anomalies),
        "seed": catch.seed,
        "token": None if catch.small is None else catch.small.token,
        "operations": None if schedule is None else len(schedule.operations or ()),
        "faults": None if schedule is None else schedule.fault_count,
        "nodes": None if schedule is None else schedule.spec.nodes,
        "shrinking": round(catch.shrinking, 2),
        "pair": None if catch.pair is None else catch.pair.value,
    }


def _median(values: Iterable[float]) -> float | None:
    listed = list(values)
    return round(median(listed), 2) if listed else None


def _line(catch: Catch) -> str:
    if catch.small is None:
        return f"escaped {catch.seconds:6.1f} s  {catch.name}: {catch.tried} schedules"
    schedule = catch.small.schedule
    return (
        f"caught  {catch.seconds:6.1f} s  {catch.name}: {', '.join(catch.anomalies)}, in schedule "
        f"{catch.tried}; {len(schedule.operations or ())} operations, {schedule.fault_count} faults"
    )


def _head(results: Mapping[str, Any]) -> str:
    bugs = results["bugs"]
    caught = sum(bug["caught"] for bug in bugs)
    return f"{caught} of {len(bugs)} caught, {results['false_alarms']} false alarms"


def _page(results: Mapping[str, Any]) -> Iterator[str]:
    """The summary in Markdown."""
    yield f"# The zoo, simulated: {_head(results)}"
    yield ""
    yield (
        f"Median of those caught: {results['median']} s of one core, {results['operations']} "
        f"operations and {results['faults']} faults when shrunk."
    )
    yield f"Again: `{results['command']}`"
    yield ""
    yield "| bug | caught | s | schedules | by | operations | faults | nodes | pair |"
    yield "|---|---|---|---|---|---|---|---|---|"
    for bug in results["bugs"]:
        names = ("seconds", "schedules")
        cells = [bug["name"], "yes" if bug["caught"] else "no", *(bug[each] for each in names)]
        cells += [", ".join(bug["anomalies"])]
        cells += ["" if bug[n] is None else bug[n] for n in ("operations", "faults", "nodes")]
        cells.append(bug["pair"] or "")
        yield "| " + " | ".join(map(str, cells)) + " |"
