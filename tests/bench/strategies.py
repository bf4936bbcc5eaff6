"""Ways of drawing schedules, compared on all planted bugs: `python tests/bench/strategies.py`.

Each bug gets schedules of the same seeds by each strategy (harness/simulation/schedules/
strategies.py), as `dynamesis zoo --simulate` gives them, until one shows it or its time is over;
nothing is shrunk. Prints for each bug the seconds of one core and the schedules that it took; then
for each strategy how many were caught, and the median of the seconds, where a bug that escaped
took longer than any.

`--seconds 60`, `--seed 1`, `--jobs 1`, `--only NAME,...`.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from functools import lru_cache, partial
from statistics import median

from dynamesis.harness.simulation.schedules.draw import SwarmScope
from dynamesis.harness.simulation.schedules.strategies import STRATEGIES
from dynamesis.harness.simulation.swarm import SeedOutcome, play_seed, spread
from dynamesis.harness.zoo.chosen import chosen
from dynamesis.harness.zoo.plan import Specimen
from dynamesis.harness.zoo.simulated import hunt
from dynamesis.harness.zoo.simulated_results import Catch

NEVER = float("inf")


@lru_cache(maxsize=8192)
def clean(seed: int, strategy: str) -> SeedOutcome:
    """The pair of many bugs is played once."""
    return play_seed(seed, SwarmScope(), STRATEGIES[strategy])


def play(seed: int, wanted: SwarmScope, strategy: str) -> SeedOutcome:
    """One schedule by a strategy."""
    if not wanted.bug:
        return clean(seed, strategy)
    return play_seed(seed, wanted, STRATEGIES[strategy])


def hunts(specimen: Specimen, seed: int, seconds: float) -> dict[str, Catch]:
    """What each strategy makes of one bug."""
    return {
        name: hunt(specimen, seed, seconds, partial(play, strategy=name)) for name in STRATEGIES
    }


def spent(catch: Catch) -> float:
    """s of one core until it was caught."""
    return NEVER if catch.seed is None else catch.seconds


def report(found: Sequence[dict[str, Catch]]) -> Iterator[str]:
    """A line a strategy."""
    for name in STRATEGIES:
        took = [spent(each[name]) for each in found]
        caught = sum(seconds < NEVER for seconds in took)
        alarms = sum(len(each[name].alarms) for each in found)
        yield (
            f"{name:12}{caught} of {len(took)} caught, median {median(took):.1f} s, "
            f"{sum(seconds <= 5 for seconds in took)} within 5 s; {alarms} invalid pairs"
        )


def main() -> None:
    """Hunt all bugs by all strategies, and print what came of it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--only")
    asked = parser.parse_args()
    specimens = chosen(asked.only, blind=True)
    print(f"{'bug':26}" + "".join(f"{f'{name}: s':>15}{'schedules':>11}" for name in STRATEGIES))
    found = []
    work = partial(hunts, seed=asked.seed, seconds=asked.seconds)
    for specimen, caught in zip(
        specimens, spread(work, iter(specimens), asked.jobs, lambda: True), strict=True
    ):
        found.append(caught)
        cells = (
            f"{'-' if each.seed is None else f'{each.seconds:.1f}':>15}{each.tried:>11}"
            for each in caught.values()
        )
        print(f"{specimen.name:26}" + "".join(cells), flush=True)
    print(*report(found), sep="\n")


if __name__ == "__main__":
    main()
