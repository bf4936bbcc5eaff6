"""The wait for nothing in progress, and what it records."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from itertools import count
from typing import Any

import pytest
from dynamesis.harness.run.quiesce import until_idle
from dynamesis.harness.targets.reports import IN_PROGRESS

from tests.harness.fakes import FakeSystem

ZERO = dict.fromkeys(IN_PROGRESS, 0)


def waited(status: Callable[[int], dict[str, Any] | None], deadline: float = 9) -> Any:
    """What comes of looks at nodes that all answer so, by the number of the look."""
    system, looks = FakeSystem(), count()

    def answer(node: str) -> dict[str, Any] | None:
        return status(next(looks) // len(system.nodes))

    system.statuses = answer
    return asyncio.run(until_idle(system, deadline, interval=0)), next(looks) // len(system.nodes)


def test_requests_in_flight_are_waited_for() -> None:
    least, looks = waited(lambda look: {**ZERO, "requests": max(0, 5 - look), "read_repairs": 1})
    assert looks == 6
    assert all(figures == ZERO for figures in least.values())


def test_what_comes_and_goes_is_not_left_over() -> None:
    """Answers to other nodes are under way at one look, a key is being compared at another."""
    least, looks = waited(
        lambda look: {**ZERO, "unsent": look % 2 * 90, "keys_in_progress": 1 - look % 2}
    )
    assert looks == 2
    assert all(figures == ZERO for figures in least.values())


def test_what_is_never_given_back_is_reported_at_the_deadline() -> None:
    least, _ = waited(lambda look: {**ZERO, "requests": 39 + look % 3, "owed": -1}, 0.1)
    assert all(figures == {**ZERO, "requests": 39, "owed": -1} for figures in least.values())


@pytest.mark.parametrize("status", [None, {"hints": 0}, {"requests": "many"}])
def test_what_does_not_report_it_is_not_waited_for(status: Any) -> None:
    least, looks = waited(lambda look: status)
    assert looks == 2
    assert all(figures == {} for figures in least.values())
