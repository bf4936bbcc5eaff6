"""Schedules whose verdict on a sound node was once wrong: they are valid."""

from __future__ import annotations

import pytest
from dynamesis.checkers.verdict import Verdict
from dynamesis.harness.simulation.play import play
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
