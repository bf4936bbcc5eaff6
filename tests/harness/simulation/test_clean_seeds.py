"""Schedules whose verdict on a sound node was once wrong: they are valid."""

from __future__ import annotations

import pytest
from dynamesis.checkers.verdict import Verdict
from dynamesis.harness.simulation.play import outcome, play, replay
from dynamesis.harness.simulation.schedules.draw import draw


@pytest.mark.parametrize(
    "seed",
    [
        151,  # impossible-ack: a primary that a request did not ask answered for one that it did
        206,  # unknown: a node came back under a name that the cluster was done with meanwhile
        801,  # unavailable: answers were held back at random, with no fault active
        955,  # divergence: keys were read before nodes had their links again
        958,  # unavailable: the same, with one copy of each key
        1072,  # crash of a node: an exchange between two replicas ended twice
        1344,  # unknown: the nodes of a link with a fault had left
        1608,  # divergence: what a read had repaired was still under way
    ],
)
def test_it_is_valid(seed: int) -> None:
    played = play(draw(seed))
    assert played.verdict is Verdict.VALID, (dict(played.anomalies), played.reasons)


FORGOTTEN = """
test: {world: simulated, workload: blind, seed: 5, nodes: 3, n: 3, r: 2, w: 2, time_limit: 4,
  concurrency: 1, param: [partitions=16]}
operations:
- {at: 0.1, client: 0, put: k0, id: '0.0', value: 1, basis: null, node: n1}
- {at: 0.4, client: 0, get: k0, node: n1}
- {at: 0.6, client: 0, delete: k0, id: '0.1', options: {w: 1, sloppy: false}, basis: 1, node: n1}
faults:
- {start: 0.5, stop: 1.2, member: cut.one, kind: refused, grudge: [[n1], [n2, n3]]}
- {start: 1.0, stop: 1.4, member: wipe.one, nodes: [n1]}
"""


def test_a_delete_that_one_node_had_is_gone_with_its_disk() -> None:
    """The kind of the former seed 61. No store can keep what a client wanted on one node only."""
    results = replay(FORGOTTEN)
    assert results["anomalies"] == {}
    assert results["checkers"]["final"]["valid"] is True


def test_a_schedule_without_writes_is_only_small() -> None:
    """Transactions of which none depends on another: the checker of the model has nothing to judge,
    as the one of evidence (found with seed 10241)."""
    reads = """
test: {world: simulated, workload: append, seed: 5, nodes: 3, time_limit: 2, concurrency: 1}
operations:
- {at: 0.1, client: 0, get: k0}
- {at: 0.4, client: 0, get: k0}
faults: []
"""
    results = replay(reads)
    assert results["valid"] == "unknown"
    assert outcome(results).verdict is Verdict.VALID
