"""Runs one schedule in the simulated world and judges it.

One small schedule has too little evidence for a verdict of its own: 30 operations are below the
floor, and a fault of half a second may hit nothing. The verdict on a swarm rests on all its
schedules together. So a schedule counts as valid where nothing but its size keeps it from that;
what went wrong in its course (a nemesis or a heal that failed, a node that died, a read that did
not come back) keeps it unknown.
"""

from __future__ import annotations

import traceback
from collections.abc import Mapping
from dataclasses import dataclass, field

from dynamesis.checkers.history.op import JsonObject
from dynamesis.checkers.verdict import NOTHING_INFERRED, NOTHING_SUCCEEDED, Verdict
from dynamesis.harness.processes.standstill import NeverEnds
from dynamesis.harness.simulation.schedules.schedule import SimulatedSchedule
from dynamesis.harness.simulation.schedules.text import load
from dynamesis.harness.simulation.schedules.tweaks import tweaks_of
from dynamesis.harness.targets.system import EnvironmentFailed, blamed
from dynamesis.harness.usage.exits import UsageError
from dynamesis.harness.worlds.simulated.run import SimulatedTest, judge, simulate

#: The checker that judges evidence.
_EVIDENCE = "evidence"
#: What the checker of a model has to object to a history of which only the size is wrong.
_SMALL = frozenset((NOTHING_SUCCEEDED, NOTHING_INFERRED))


@dataclass(frozen=True)
class Played:
    """What became of a schedule.

    anomalies: by name, how many
    reasons: why the verdict is unknown
    operations, acknowledged, writes, faults, effective: of the load: how many were tried and how
        many acknowledged, the writes among these, the faults, and how many took effect
    situations: by name, how often it was reached
    """

    verdict: Verdict
    anomalies: Mapping[str, int] = field(default_factory=dict)
    reasons: tuple[str, ...] = ()
    operations: int = 0
    acknowledged: int = 0
    writes: int = 0
    faults: int = 0
    effective: int = 0
    situations: Mapping[str, int] = field(default_factory=dict)


def run(schedule: SimulatedSchedule, story: bool = False) -> SimulatedTest:
    """The schedule, from boot to stop. Raises UsageError where it makes no sense."""
    tweaks = tweaks_of(schedule.tweaks)
    return simulate(schedule.options, load=schedule.load, story=story, tweaks=tweaks)


def play(schedule: SimulatedSchedule) -> Played:
    """Runs and judges. Raises UsageError where the schedule makes no sense, and what code of a
    user's own raises; what else fails is an unknown verdict."""
    try:
        return outcome(judge(run(schedule)))
    except NeverEnds as endless:
        return Played(Verdict.UNKNOWN, reasons=(str(endless),))
    except EnvironmentFailed as failure:
        return Played(Verdict.UNKNOWN, reasons=(f"it did not run: {failure}",))
    except UsageError:
        raise
    except Exception as failure:
        if blamed(failure) is not None:
            raise
        last = traceback.extract_tb(failure.__traceback__)[-1]
        where = f"{last.filename}:{last.lineno}"
        return Played(Verdict.UNKNOWN, reasons=(f"the simulation failed at {where}: {failure!r}",))


def outcome(results: JsonObject) -> Played:
    """What results.json amounts to, within a swarm."""
    figures = results.get("evidence") or {}
    faults = figures.get("faults", ())
    verdict, reasons = Verdict.of_json(results["valid"]), _reasons(results)
    if verdict is Verdict.UNKNOWN and _only_small(results, figures):
        verdict, reasons = Verdict.VALID, ()
    return Played(
        verdict,
        results["anomalies"],
        reasons if verdict is Verdict.UNKNOWN else (),
        figures.get("tried", 0),
        figures.get("acknowledged", 0),
        figures.get("writes", 0),
        len(faults),
        sum(fault["took_effect"] is True for fault in faults),
        results.get("stats", {}).get("situations") or {},
    )


def _only_small(results: JsonObject, figures: JsonObject) -> bool:
    open_ = {
        name
        for name, each in results["checkers"].items()
        if each["valid"] == "unknown" and not {*each.get("reasons", ())} <= _SMALL
    }
    reads = figures.get("final_reads", {})
    harmed = figures.get("nemesis_failed") or figures.get("heal_failed") or figures.get("died")
    return (
        open_ <= {_EVIDENCE}
        and not harmed
        and reads.get("asked", 0) > 0
        and reads.get("answered") == reads.get("asked")
    )


def _reasons(results: JsonObject) -> tuple[str, ...]:
    every = (each.get("reasons", ()) for each in results["checkers"].values())
    return tuple(dict.fromkeys(reason for reasons in every for reason in reasons))


def replay(text: str, name: str = "the schedule") -> JsonObject:
    """The results, as in results.json, of a schedule in YAML (harness.simulation.schedules.text):
    for tests that hold what a swarm once found. Raises UsageError."""
    return judge(run(load(text, name).schedule))
