"""Schedules are written to files of a few lines, and read again as they were."""

from __future__ import annotations

from dataclasses import replace

import pytest
from dynamesis.checkers.history.op import Op
from dynamesis.harness.generators.given import Given
from dynamesis.harness.simulation.schedules.draw import draw
from dynamesis.harness.simulation.schedules.text import dump, load
from dynamesis.harness.usage.exits import UsageError

OPERATIONS = (
    Given(100_000_000, 0, Op(f="get", key="k: 0")),
    Given(123_456_789, 0, Op(f="put", key="k", id="0.0", value={"a": [1, None]}, basis=None), 0),
    Given(200_000_001, 1, Op(f="delete", key="k", id="1.0", basis=None)),
    Given(300_000_000, 1, Op(f="get", key="k", node="n2", options={"r": 1})),
)


@pytest.mark.parametrize("seed", range(40))
def test_there_and_back(seed: int) -> None:
    drawn = draw(seed)
    given = replace(drawn, operations=OPERATIONS)
    for schedule in (drawn, given):
        read = load(dump(schedule, ("lost-write",), "sim-x"), "f.yaml")
        assert read.schedule.faults == schedule.faults
        assert read.schedule.tweaks == schedule.tweaks
        assert read.schedule.operations == schedule.operations
        assert replace(read.schedule.spec, nemesis=None) == schedule.spec
        assert (read.anomalies, read.token) == (("lost-write",), "sim-x")


HEAD = "test: {workload: register, seed: 1, concurrency: 2}\n"


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("", "f.yaml: empty"),
        ("faults: []\n", "no key 'test'"),
        ("test: {workload: nothing}\n", "nothing"),
        ("test: {nodes: x}\n", "line 1"),
        (HEAD + "operations:\n- {at: 0, client: 2, get: k}\n", "line 3: client: 2"),
        (HEAD + "operations:\n- {at: 0, client: 0}\n", "an operation needs"),
        (HEAD + "operations:\n- {client: 0, get: k}\n", "no 'at'"),
        (HEAD + "operations:\n- {at: -1, client: 0, get: k}\n", "line 3: at: -1"),
        (HEAD + "operations:\n- {at: 0, client: 0, put: k, id: a, basis: 0}\n", "basis"),
        (HEAD + "tweaks: {speed: 1}\n", "speed"),
        (HEAD + "more: 1\n", "no such key"),
        (HEAD + "faults:\n- {start: 0, member: cut.nothing}\n", "line 3"),
    ],
)
def test_what_makes_no_sense_is_named_with_its_place(text: str, wrong: str) -> None:
    with pytest.raises(UsageError, match=wrong):
        load(text, "f.yaml")
