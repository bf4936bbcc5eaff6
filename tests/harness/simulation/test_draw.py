"""Schedules are drawn from seeds alone, small, and of every kind."""

from __future__ import annotations

from collections import Counter
from statistics import median

import pytest
from dynamesis.harness.simulation.schedules.draw import SwarmScope, draw
from dynamesis.harness.simulation.schedules.schedule import SimulatedSchedule
from dynamesis.harness.usage.exits import UsageError

SEEDS = range(150)


def test_a_seed_is_a_schedule() -> None:
    assert draw(11) == draw(11)
    assert draw(11) != draw(12)


def test_schedules_are_small_and_have_one_to_some_faults() -> None:
    drawn = [draw(seed) for seed in SEEDS]
    operations = [each.spec.rate * each.spec.time_limit for each in drawn]
    assert median(operations) >= 40
    assert median(each.fault_count for each in drawn) == 2
    assert max(each.spec.time_limit for each in drawn) <= 6


def test_a_swarm_leaves_features_out_and_misses_none() -> None:
    drawn = [draw(seed) for seed in range(400)]
    workloads = Counter(each.spec.workload for each in drawn)
    families = Counter(
        family
        for each in drawn
        for family in {(event.action.member or "").partition(".")[0] for event in each.faults}
    )
    assert len(workloads) == 13
    assert set(families) == {
        *("cut", "link", "kill", "pause", "wipe", "disk", "clock", "load", "membership")
    }
    assert all(count < 200 for count in families.values())


def test_what_has_one_copy_moves_while_something_else_is_wrong() -> None:
    """Of schedules with one copy of each key about half change the membership; most of these
    changes begin while another fault lasts."""
    drawn = [draw(seed) for seed in range(400)]
    one_copy = [each for each in drawn if each.spec.n == 1]
    changing = [each for each in one_copy if _changes(each)]
    assert len(changing) >= 0.45 * len(one_copy)
    beside = [each for each in changing if len(_changes(each)) < each.fault_count]
    within = [each for each in beside if any(_lasts_at(each, at) for at in _changes(each))]
    assert len(within) >= 0.6 * len(beside)


def _changes(schedule: SimulatedSchedule) -> list[int]:
    """When the membership changes, ms."""
    return [event.at for event in schedule.faults if event.f == "start-membership"]


def _lasts_at(schedule: SimulatedSchedule, at: int) -> bool:
    """Whether a fault lasts at this time."""
    lasting = 0
    for event in schedule.faults:
        if event.at <= at and not event.f.endswith("-membership"):
            lasting += 1 if event.f.startswith("start-") else -1
    return lasting > 0


def test_a_swarm_keeps_to_what_is_wanted() -> None:
    wanted = SwarmScope(("register", "blind"), ("kill", "cut.one"))
    for seed in range(60):
        drawn = draw(seed, wanted)
        assert drawn.spec.workload in ("register", "blind")
        members = [event.action.member or "" for event in drawn.faults]
        assert all(name == "cut.one" or name.startswith("kill.") for name in members)


def test_nothing_but_none_breaks_nothing() -> None:
    assert all(draw(seed, SwarmScope(nemeses=("none",))).faults == () for seed in range(20))


def test_what_is_planted_changes_nothing_else() -> None:
    clean, planted = draw(5), draw(5, SwarmScope(bug=("self-merge",)))
    assert planted.spec.bug == ("self-merge",)
    assert (clean.faults, clean.tweaks) == (planted.faults, planted.tweaks)
    assert clean.spec.param == planted.spec.param


def test_what_cannot_be_is_refused() -> None:
    with pytest.raises(UsageError, match="no-such"):
        draw(1, SwarmScope(("no-such",)))
