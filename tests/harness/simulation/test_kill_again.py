"""What only shows where a node ends again in the first moments of a life."""

from __future__ import annotations

import pytest
from dynamesis.harness.simulation.play import replay

_PUT = (
    "- {{at: {at:.2f}, client: {c}, put: k{key}, id: '{c}.{i}', value: {v}, basis: null, node: n1}}"
)


def schedule(again: list[int], bug: str = "") -> str:
    """Blind puts of three keys at one node that acknowledges from memory and is killed."""
    times = [(number, 0.05 + 0.02 * number) for number in range(88)]
    puts = [
        _PUT.format(at=at, c=number % 4, key=number // 4 % 3, i=number // 4, v=number)
        for number, at in times
    ]
    planted = f", bug: [{bug}]" if bug else ""
    return "\n".join(
        [
            "test: {world: simulated, workload: blind, seed: 5, nodes: 3, n: 3, r: 2, w: 2,",
            "  time_limit: 2, concurrency: 4, keys: 3,",
            f"  param: [partitions=16, durability=buffered, buffer_interval=2]{planted}}}",
            "operations:",
            *puts,
            "faults:",
            f"- {{start: 0.3, stop: 0.5, member: kill.again, nodes: [n1], again_ms: {again}}}",
        ]
    )


@pytest.mark.parametrize("again", [[3, 3, 3], [30, 30]])
def test_a_name_that_each_life_begins_with_is_given_twice(again: list[int]) -> None:
    found = replay(schedule(again, "lazy-epoch"))
    assert found["anomalies"].get("duplicate-dot")
    assert replay(schedule(again))["anomalies"] == {}


def test_one_kill_is_not_enough() -> None:
    assert replay(schedule([], "lazy-epoch"))["anomalies"] == {}
