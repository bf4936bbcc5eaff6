"""Faults that were aimed at nodes which have left the cluster since they were drawn."""

from __future__ import annotations

import pytest
from dynamesis.harness.nemesis.faults import (
    ClockFault,
    FaultValue,
    KillFault,
    LoadFault,
    PauseFault,
    WipeFault,
)
from dynamesis.harness.nemesis.targets import present

NODES = ["n1", "n2", "n4", "n5"]  # n3 was removed


@pytest.mark.parametrize(
    "fault",
    [
        PauseFault(nodes=["n3"]),
        ClockFault(nodes=["n3"], kind="jump", settings={"offset_ms": 5000}),
        LoadFault(nodes=["n3"], kind="burst", settings={"puts": 200}),
    ],
    ids=lambda fault: fault.family,
)
def test_what_costs_no_data_is_done_to_the_next_node(fault: FaultValue) -> None:
    done = present(fault, NODES)
    assert done is not None
    assert done.nodes == ["n4"]  # type: ignore[attr-defined]


def test_as_many_nodes_as_were_aimed_at_if_there_are_so_many() -> None:
    assert present(PauseFault(nodes=["n5", "n6"]), NODES) == PauseFault(nodes=["n5", "n1"])
    assert present(PauseFault(nodes=["n1", "n3"]), ["n1"]) == PauseFault(nodes=["n1"])
    assert present(PauseFault(nodes=["n3"]), []) is None


@pytest.mark.parametrize("kind", [KillFault, WipeFault])
def test_no_other_node_loses_what_it_has(kind: type[KillFault] | type[WipeFault]) -> None:
    assert present(kind(nodes=["n3"]), NODES) is None
