"""What a hunt makes of its runs, in a world of its own that answers immediately."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml
from dynamesis.harness.failures.folder import FailureFolder
from dynamesis.harness.failures.interval import Rate
from dynamesis.harness.hunt.draws import Draws
from dynamesis.harness.hunt.hunt import Hunter
from dynamesis.harness.hunt.run_hunt import verdict
from dynamesis.harness.hunt.runs import HuntBudget, HuntRuns
from dynamesis.harness.hunt.trials import INVALID, UNKNOWN, VALID, Trial, TrialOutcome
from dynamesis.harness.worlds.test_spec import TestSpec

#: what is broken in a store: from the members of the faults to the anomaly, if any
Store = Callable[[set[str]], str | None]
DRAWN = [{"start": at / 10, "member": member} for at, member in enumerate(
    ["cut.one", "kill.one", "pause.one", "wipe.one", "link.slow"])]  # fmt: skip


class Scripted:
    """A world whose store breaks by what faults there are."""

    name = "processes"
    deterministic = False
    free = True

    def __init__(self, store: Store) -> None:
        self.store = store
        self.schedules: list[list[str]] = []
        self.lines: list[tuple[str, str]] = []
        self._ended: list[TrialOutcome] = []

    def begin(self, number: int, trial: Trial) -> None:
        faults = DRAWN if trial.schedule is None else yaml.safe_load(trial.schedule)["faults"]
        self.schedules.append([each["member"] for each in faults])
        anomaly = self.store(set(self.schedules[-1]))
        if anomaly in (None, UNKNOWN):
            why = {"checkers": {"evidence": {"reasons": ["no fault took effect"]}}}
            shown = why if anomaly else {"checkers": {}}
            self._ended.append(TrialOutcome(number, anomaly or VALID, 0.1, shown))
            return
        why = f"{number}.1 of k{number} shows {anomaly}."
        found: dict[str, Any] = {"name": anomaly, "why": why}
        results = {"anomalies": {anomaly: 1}, "checkers": {"all": {"anomalies": [found]}}}
        self._ended.append(TrialOutcome(number, INVALID, 0.1, results))

    def ended(self, timeout: float) -> list[TrialOutcome]:
        ended, self._ended = self._ended[:1], self._ended[1:]
        return ended

    def faults(self, outcome: TrialOutcome) -> str:
        return yaml.safe_dump({"faults": DRAWN})

    def stop(self) -> None:
        """Nothing runs."""


def hunt(folder: Path, store: Store, runs: int) -> tuple[Hunter, Scripted]:
    world = Scripted(store)
    hunter = Hunter(
        FailureFolder(folder),
        Draws((TestSpec(seed=1),), 7),
        {"processes": world},
        {"processes": 1},
        HuntRuns(HuntBudget(runs=runs), lambda number: None),
    )
    hunter.say = lambda verdict, line: world.lines.append((verdict, line))
    hunter.run()
    return hunter, world


def lost(faults: set[str]) -> str | None:
    return "lost-write" if {"kill.one", "wipe.one"} <= faults else None


def test_a_failure_is_shrunk_and_met_again_as_itself(tmp_path: Path) -> None:
    hunter, _ = hunt(tmp_path, lost, 60)
    [failure] = FailureFolder(tmp_path).all()
    assert [each["member"] for each in failure.faults] == ["kill.one", "wipe.one"]
    assert failure.rate == Rate(5, 5)
    assert failure.struck == hunter.struck[failure.name] > 10
    assert verdict(hunter) == INVALID


def test_what_was_not_replayed_has_no_rate(tmp_path: Path) -> None:
    """The next hunt shrinks it."""
    hunter, world = hunt(tmp_path, lost, 1)
    [failure] = FailureFolder(tmp_path).all()
    assert failure.rate is None
    assert not hunter.replayed
    assert not [line for _, line in world.lines if line.startswith("replay")]


def test_each_bug_is_an_entry_of_its_own(tmp_path: Path) -> None:
    count = 0

    def two(faults: set[str]) -> str | None:
        nonlocal count
        count += len(faults) == len(DRAWN)
        return lost(faults) if count % 2 else ("stuck" if "cut.one" in faults else None)

    hunt(tmp_path, two, 200)
    failures = {each.anomalies[0]: each for each in FailureFolder(tmp_path).all()}
    assert set(failures) == {"lost-write", "stuck"}
    assert [each["member"] for each in failures["stuck"].faults] == ["cut.one"]


def test_what_fails_no_more_takes_the_schedule_of_the_next_strike(tmp_path: Path) -> None:
    hunt(tmp_path, lost, 60)
    [before] = FailureFolder(tmp_path).all()
    _, world = hunt(tmp_path, lambda faults: "lost-write" if "link.slow" in faults else None, 60)
    [after] = FailureFolder(tmp_path).all()
    assert world.schedules[:5] == [["kill.one", "wipe.one"]] * 5  # known failures come first
    assert after.name == before.name
    assert [each["member"] for each in after.faults] == ["link.slow"]
    assert after.rate == Rate(5, 5)
    assert after.struck > before.struck


def test_nothing_found_is_valid_only_if_all_was(tmp_path: Path) -> None:
    hunter, _ = hunt(tmp_path, lambda faults: None, 4)
    assert verdict(hunter) == VALID
    hunter, world = hunt(tmp_path, lambda faults: UNKNOWN, 4)
    assert verdict(hunter) == UNKNOWN
    assert [each for each, _ in world.lines] == [UNKNOWN] * 4
    first = world.lines[0][1]
    assert first.startswith("unknown   no fault took effect: dynamesis test ")
    assert "--world=processes" not in first  # the default is not spelled
    assert "--seed=" in first
    assert FailureFolder(tmp_path).all() == []


def test_a_seed_draws_the_same_tests_and_each_combination_in_turn() -> None:
    combinations = tuple(TestSpec(keys=keys) for keys in range(1, 6))
    drawn = [each.spec for each in Draws(combinations, 3).round(1, "processes", 2)]
    assert drawn == [each.spec for each in Draws(combinations, 3).round(1, "processes", 2)]
    assert [sorted(each.keys for each in part) for part in (drawn[:5], drawn[5:])] == [
        [1, 2, 3, 4, 5]
    ] * 2
    assert len({each.seed for each in drawn}) == 10
    other = [each.spec for each in Draws(combinations, 3).round(2, "processes", 2)]
    assert {each.seed for each in drawn}.isdisjoint(each.seed for each in other)
