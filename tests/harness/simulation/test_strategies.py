"""Ways of drawing schedules: what each leaves out."""

from __future__ import annotations

import pytest
from dynamesis.harness.simulation.schedules.draw import SwarmScope, draw
from dynamesis.harness.simulation.schedules.schedule import SimulatedSchedule
from dynamesis.harness.simulation.schedules.strategies import (
    PRIORITIES,
    RANDOM,
    STRATEGIES,
    SWARM,
    Strategy,
)
from dynamesis.harness.simulation.swarm import play_seed

SEEDS = range(1, 41)


def params(schedule: SimulatedSchedule) -> int:
    """How many parameters of nodes are not the default."""
    return len(schedule.spec.param)


@pytest.mark.parametrize("name", STRATEGIES)
def test_the_same_seed_gives_the_same_schedule(name: str) -> None:
    first, second = (draw(7, SwarmScope(), STRATEGIES[name]) for _ in range(2))
    assert first == second


def test_swarms_are_what_is_drawn_without_a_strategy() -> None:
    for seed in SEEDS:
        assert draw(seed) == draw(seed, SwarmScope(), SWARM)


def test_only_swarms_have_schedules_without_most_features() -> None:
    swarm, random = (
        [params(draw(s, SwarmScope(), each)) for s in SEEDS] for each in (SWARM, RANDOM)
    )
    assert min(swarm) == 1
    assert min(random) > 1
    assert sum(random) > 2 * sum(swarm)


def test_links_have_priorities_where_the_strategy_is_that() -> None:
    def prior(strategy: str) -> int:
        drawn = (draw(seed, SwarmScope(), STRATEGIES[strategy]).tweaks for seed in SEEDS)
        return sum(tweaks.get("priorities", 0) > 0 for tweaks in drawn)

    assert prior("random") == 0 < prior("swarm") < prior("priorities")


@pytest.mark.parametrize("strategy", [RANDOM, PRIORITIES])
def test_a_clean_node_is_valid_by_any_strategy(strategy: Strategy) -> None:
    for seed in range(1, 6):
        outcome = play_seed(seed, SwarmScope(), strategy)
        assert outcome.played.verdict.value == "valid", (seed, outcome.played)
