"""A load has the rate that was asked for: nothing is lost between what is drawn and what begins."""

from __future__ import annotations

import pytest
from dynamesis.harness import generators as gen
from dynamesis.harness.generators import Rng
from dynamesis.harness.generators.simulate import invocations, quick
from dynamesis.harness.generators.timing import Gap, Paced
from dynamesis.workloads import WORKLOADS
from dynamesis.workloads.script.settings import Setting
from dynamesis.workloads.script.shared import Share

RATE = 10_000
KEYS = ("a", "b", "c")


def drawn(rng: Rng, mean: int, seconds: float) -> list[int]:
    """When operations are due whose clumps of 2.5 on average are a Poisson process, ns."""
    found, due = [], 0
    while due < seconds * 1e9:
        found.append(due)
        together, rng = rng.chance(0.6)
        gap, rng = rng.exponential(mean / 0.4)
        due += 0 if together else round(gap)
    return found


@pytest.mark.parametrize("share", [Share(), Share(0, 2), Share(1, 2)])
@pytest.mark.parametrize("endless", [False, True])
def test_every_operation_that_is_drawn_begins_when_it_is_due(share: Share, endless: bool) -> None:
    rng, seconds = share.stream(Rng(7).split("rate")), 0.1 * share.drivers
    source = gen.repeat(gen.invoke("a"))
    load = gen.time_limit(
        seconds, gen.clients(gen.rate(RATE / share.drivers, source, rng, "clumped", endless))
    )
    times = [op.time for op in invocations(quick(load, concurrency=64))]
    assert times == drawn(rng, round(1e9 * share.drivers / RATE), seconds)


@pytest.mark.parametrize("drivers", [1, 2])
def test_a_workload_begins_what_its_rate_draws(drivers: int) -> None:
    workload, seconds, begun, due = WORKLOADS["register"], 0.1, 0, 0
    for number in range(drivers):
        share = Share(number, drivers)
        load = workload.generator(Rng(7), KEYS, RATE / drivers, None, Setting(clients=64), share)
        begun += len(invocations(quick(gen.time_limit(seconds, load), concurrency=64)))
        rng = share.stream(Rng(7).split("rate"))
        due += len(drawn(rng, round(1e9 * drivers / RATE), seconds))
    assert begun == due


@pytest.mark.parametrize("gap", ["fixed", "uniform", "exponential", "clumped"])
def test_gaps_have_the_mean_that_was_asked_for(gap: Gap) -> None:
    """Of clumped ones the deviation is twice the mean: of the mean of so many, 1.4%."""
    count, total, source, rng = 20_000, 0, gen.lift(gen.repeat(gen.invoke("a"))), Rng(3)
    for _ in range(count):
        each, rng = Paced(source, round(1e9 / RATE), gap, rng)._gap()
        total += each
    assert total / count == pytest.approx(1e9 / RATE, rel=0.03)
