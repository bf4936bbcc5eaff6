"""A deadline is put off as long as what is waited for becomes less: in virtual time."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from dynamesis.harness.run.quiesce import QuiesceOutcome, until_quiet
from dynamesis.harness.worlds.simulated.run import VirtualTime

from tests.harness.fakes import FakeSystem

DEADLINE = 20.0


def _waited(hints: Callable[[float], float]) -> QuiesceOutcome:
    """For a cluster whose nodes hold so many hints after so many s."""
    system, outcomes = FakeSystem(), list[QuiesceOutcome]()
    with VirtualTime() as time:
        began = time.loop.time()
        system.statuses = lambda node: {
            "hints": max(0, int(hints(time.loop.time() - began))), "transfers": 0, "exchanges": {}
        }  # fmt: skip

        async def wait() -> None:
            outcomes.append(await until_quiet(system, None, None, DEADLINE))

        time.run(wait())
    [outcome] = outcomes
    return outcome


def test_a_slow_disk_may_take_its_time_for_many_hints() -> None:
    outcome = _waited(lambda passed: 60 - passed)
    assert outcome.quiet
    assert outcome.seconds == pytest.approx(59, abs=1)


@pytest.mark.parametrize(
    ("hints", "until"),
    [
        (lambda passed: 60, DEADLINE),  # nothing is handed off
        (lambda passed: 60 + passed, DEADLINE),  # more than is handed off comes
        (lambda passed: 60 - min(30, passed), 3 * DEADLINE),  # half of it is not
        (lambda passed: 6000 - 20 * passed, DEADLINE),  # less than a tenth
        (lambda passed: 6000 * 0.98**passed, 4 * DEADLINE),  # it has to end some time
    ],
)
def test_the_wait_ends_where_hardly_anything_is_done(
    hints: Callable[[float], float], until: float
) -> None:
    outcome = _waited(hints)
    assert not outcome.quiet
    assert outcome.seconds == pytest.approx(until, abs=1)
