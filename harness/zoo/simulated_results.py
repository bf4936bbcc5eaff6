"""What swarms in virtual time have made of the bugs: zoo.json, and the table of it in Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

from dynamesis.harness.report.words import counted
from dynamesis.harness.results.documents import JsonObject
from dynamesis.harness.simulation.schedules.text import Written
from dynamesis.harness.zoo.plan import Specimen

#: s of one core that a bug may take to be caught
SIMULATED = 60.0
#: s; a catch within this is one that a developer waits for
_SOON = 5.0


@dataclass(frozen=True)
class Catch:
    """What became of one bug.

    seed: of the schedule that showed it; None: none did
    tried: how many schedules
    seconds: of one core until then, with the pairs
    alarms: seeds of schedules that were invalid without the bug too
    unclear: seeds of those whose pair was unknown
    small: the schedule, shrunk
    shrinking: s of one core that this took
    drawn: how many operations the schedule had, which is what the small one has where only those
        that the workload draws show the bug
    """

    name: str
    seed: int | None
    tried: int
    seconds: float
    anomalies: tuple[str, ...] = ()
    alarms: tuple[int, ...] = ()
    unclear: tuple[int, ...] = ()
    small: Written | None = None
    shrinking: float = 0.0
    drawn: int = 0

    @property
    def operations(self) -> int | None:
        """Of the small schedule."""
        if self.small is None:
            return None
        given = self.small.schedule.operations
        return self.drawn if given is None else len(given)


def collected(specimens: Iterable[Specimen], catches: Iterable[Catch], **about: Any) -> JsonObject:
    """The content of zoo.json. `seconds` of each bug and their `median`: of one core until it was
    caught; `false_alarms`: seeds of schedules that were invalid without a bug; `left`: the bugs
    that were not hunted yet, after the others, and `interrupted` where there are any."""
    listed, every = list(catches), list(specimens)
    made = {catch.name: catch for catch in listed}
    left = [each.name for each in every if each.name not in made]
    bugs = [_bug(each, made[each.name]) for each in every if each.name in made]
    caught = [bug for bug in bugs if bug["caught"]]
    alarms = sorted({seed for catch in listed for seed in catch.alarms})
    return {
        "mode": "simulated",
        "time_limit": f"{SIMULATED:g}s",
        **about,
        "interrupted": bool(left),
        "left": left,
        "all_caught": len(caught) == len(every) > 0,
        "false_alarms": len(alarms),
        "alarms": alarms,
        "median": _median(bug["seconds"] for bug in caught),
        "worst": max((bug["seconds"] for bug in caught), default=None),
        "soon": sum(bug["seconds"] <= _SOON for bug in caught),
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
        "shown": [] if catch.small is None else list(catch.small.anomalies),
        "operations": catch.operations,
        "faults": None if schedule is None else schedule.fault_count,
        "nodes": None if schedule is None else schedule.spec.nodes,
        "shrinking": round(catch.shrinking, 2),
        "pair": None if catch.seed is None else "valid",
        "alarms": list(catch.alarms),
        "unclear": list(catch.unclear),
    }


def _median(values: Iterable[float | None]) -> float | None:
    listed = [value for value in values if value is not None]
    return round(median(listed), 2) if listed else None


def line(catch: Catch) -> str:
    """What is shown of a bug as soon as it is known."""
    if catch.small is None:
        return f"escaped {catch.seconds:6.1f} s  {catch.name}: {counted(catch.tried, 'schedule')}"
    schedule = catch.small.schedule
    return (
        f"caught  {catch.seconds:6.1f} s  {catch.name}: {', '.join(catch.anomalies)}, in schedule "
        f"{catch.tried}; {counted(catch.operations or 0, 'operation')}, "
        f"{counted(schedule.fault_count, 'fault')}"
    )


def head(results: Mapping[str, Any]) -> str:
    """The result in one line."""
    bugs = results["bugs"]
    caught = sum(bug["caught"] for bug in bugs)
    stopped = f", interrupted with {len(results['left'])} left" if results["left"] else ""
    alarms = counted(results["false_alarms"], "false alarm")
    return f"{caught} of {len(bugs)} caught, {alarms}{stopped}"


def markdown(results: Mapping[str, Any]) -> str:
    """The summary."""
    return "\n".join(_markdown(results)) + "\n"


def _markdown(results: Mapping[str, Any]) -> Iterator[str]:
    yield f"# The zoo, simulated: {head(results)}"
    yield ""
    if results["operations"] is not None:
        yield (
            f"Median of those caught: {results['median']} s of one core ({results['soon']} within "
            f"{_SOON:g} s, the slowest after {results['worst']} s), "
            f"{counted(results['operations'], 'operation')} and "
            f"{counted(results['faults'], 'fault')} when shrunk."
        )
    escaped = [bug["name"] for bug in results["bugs"] if not bug["caught"]]
    if escaped:
        yield f"Escaped {results['time_limit']} of one core: {', '.join(escaped)}."
    if results["left"]:
        yield f"Not hunted: {', '.join(results['left'])}."
    if results["alarms"]:
        yield f"Invalid without a bug: seeds {', '.join(map(str, results['alarms']))}."
    yield f"Again: `{results['command']}`"
    yield ""
    yield from _table(results["bugs"])


def _table(bugs: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    yield "| bug | caught | s | schedules | by | operations | faults | nodes |"
    yield "|---|---|---|---|---|---|---|---|"
    for bug in bugs:
        by = ", ".join(bug["anomalies"])
        cells = [bug["name"], "yes" if bug["caught"] else "no", bug["seconds"], bug["schedules"]]
        cells += [by, *("" if bug[n] is None else bug[n] for n in ("operations", "faults"))]
        cells.append("" if bug["nodes"] is None else bug["nodes"])
        yield "| " + " | ".join(map(str, cells)) + " |"
