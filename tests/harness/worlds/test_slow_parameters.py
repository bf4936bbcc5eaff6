"""A sound cluster with slow parameters, or few partitions, is waited for as long as it takes."""

from __future__ import annotations

import pytest
from dynamesis.checkers.history.op import JsonObject
from dynamesis.harness.nemesis.membership import _has_settled
from dynamesis.harness.targets.dynamo.target import DynamoTarget
from dynamesis.harness.targets.reports import MembershipView
from dynamesis.harness.worlds.simulated.run import judge, simulate
from simulations import options, with_faults

JOINS: JsonObject = {"start": 0.3, "member": "membership.join", "joins": 1}
JOINS |= {"leaves": 0, "removes": 0, "among": ["n2"], "keep": 3}
KILLED: JsonObject = {"start": 0.3, "stop": 1.0, "member": "kill.one", "nodes": ["n2"]}


@pytest.mark.parametrize(
    ("fault", "params"),
    [
        (JOINS, ("gossip_interval=60",)),
        (JOINS, ("partitions=5",)),
        (KILLED, ("handoff_interval=60", "anti_entropy_interval=0")),
    ],
    ids=["news comes seldom", "no partition for each", "hints are handed off seldom"],
)
def test_a_sound_cluster_is_no_less_so(fault: JsonObject, params: tuple[str, ...]) -> None:
    results = judge(simulate(with_faults([fault], param=params, nodes=5, keys=20)))
    assert results["valid"] is True, results


def test_a_newcomer_that_is_to_own_nothing_is_named() -> None:
    results = judge(simulate(with_faults([JOINS], param=("weights={n6: 0.0001}",), nodes=5)))
    assert results["valid"] == "unknown"
    assert "n6 owned no partition (weights)" in str(results)


@pytest.mark.parametrize(
    ("params", "expected"),
    [
        ((), 0.0),
        (("gossip_interval=2", "handoff_interval=1"), 0.0),  # as swarms draw them
        (("gossip_interval=3",), 3.0),
        (("handoff_interval=11",), 20.0),
        (("handoff_interval=86400",), 600.0),
    ],
)
def test_only_slower_parameters_make_a_test_wait_longer(
    params: tuple[str, ...], expected: float
) -> None:
    target = options(param=params).target
    assert isinstance(target, DynamoTarget)
    assert target.slower == expected


@pytest.mark.parametrize(
    ("owned", "expected"),
    [
        ({"n1": 8, "n2": 8, "n3": 0}, False),  # it is to own a part
        ({"n1": 1, "n2": 1, "n3": 0}, True),  # there are two
        ({"n1": 1, "n2": 0, "n3": 1}, True),
        ({}, False),
    ],
)
def test_a_newcomer_without_partitions_has_settled_where_there_are_too_few(
    owned: dict[str, int], expected: bool
) -> None:
    view = MembershipView(version=2, members=("n1", "n2", "n3"), settled=True, owned=owned)
    assert _has_settled(view, ["n3"], []) is expected
