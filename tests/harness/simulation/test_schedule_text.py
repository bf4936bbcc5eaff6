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
        (HEAD + "tweaks: {latency: 5}\n", "line 2: tweaks: latency is 5; it must be"),
        (HEAD + "tweaks: {latency: [a, b]}\n", "line 2: tweaks: latency is"),
        (HEAD + "tweaks: {fsync: [.nan, .inf]}\n", "line 2: tweaks: fsync is"),
        (HEAD + "tweaks: {points: 3}\n", "line 2: tweaks: points is 3; it must be"),
        (HEAD + "tweaks: {points: {batch-late: often}}\n", "line 2: tweaks: batch-late is often"),
        (HEAD + "tweaks: {priorities: true}\n", "line 2: tweaks: priorities is True"),
        (HEAD + "tweaks:\n", "line 2: tweaks: should be a mapping"),
        (HEAD + "? [a]\n: 1\n", "line 2: no such key here; allowed"),
        ("test: {workload: register, nodes: 2}\n", "line 1: test: --n: 3 copies need"),
        ("test: {workload: register, world: processes}\n", "line 1: world: 'processes'"),
        (HEAD + "operations:\n- {at: 0, client: 0, f: cas, key: k}\n", "line 3: f: 'cas'"),
        (HEAD + "operations:\n- {at: 0, client: 0, f: get}\n", "line 3: .*no 'key'"),
        (HEAD + "operations:\n- {at: 0, client: 0, get: ''}\n", "line 3: get: ''"),
        (HEAD + "operations:\n- {at: 0, client: 0, get: [k]}\n", "line 3: get: "),
        (HEAD + "operations:\n- {at: 0, client: 0, put: k}\n", "line 3: .*no 'id'"),
        (HEAD + "operations:\n- {at: 0, client: 0, put: k, id: a, basis: 0}\n", "the first"),
        (HEAD + "operations:\n- {at: 0, client: 0, put: k, id: a, value: 2020-01-01}\n", "plain"),
        (HEAD + "operations:\n- {at: 0, client: 0, put: k, id: a, value: {1: 2}}\n", "line 3: val"),
        (
            HEAD + "operations:\n- {at: 0, client: 0, put: k, id: a, value: [{1: 2}]}\n",
            "plain",
        ),
        (HEAD + 'operations:\n- {at: 0, client: 0, get: "\\ud800"}\n', "line 3: get: .*missing"),
        (HEAD + 'operations:\n- {at: 0, client: 0, put: k, id: "\\udfff"}\n', "line 3: id: "),
        (HEAD + "operations:\n- {at: 0, client: 0, get: k, options: {1: 2}}\n", "options: .*plain"),
        (HEAD + "operations:\n- {at: 0, client: 0, get: k, options: 5}\n", "line 3: options: 5"),
        (HEAD + "operations:\n- {at: 0, client: 0, get: k, options: {r: x}}\n", "options: r: 'x'"),
        (HEAD + "operations:\n- {at: 0, client: 0, get: k, options: {timeout: x}}\n", "timeout"),
        (HEAD + "operations:\n" + "- {at: 0, client: 0, put: k, id: a}\n" * 2, "line 4: .*another"),
        (HEAD + "more: 1\n", "no such key"),
        (HEAD + "faults:\n- {start: 0, member: cut.nothing}\n", "line 3"),
    ],
)
def test_what_makes_no_sense_is_named_with_its_place(text: str, wrong: str) -> None:
    with pytest.raises(UsageError, match=wrong):
        load(text, "f.yaml")
