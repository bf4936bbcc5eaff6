"""Hints take no more room than `max_hint_bytes`, however they come about."""

from __future__ import annotations

import pytest
from dynamesis.cluster.core.protocol.messages import Refusal
from simulator import Simulator


@pytest.mark.parametrize("limit", [1, 700, 3000, 20_000])
@pytest.mark.parametrize("down", [1, 3])
def test_hints_never_outgrow_their_limit(limit: int, down: int) -> None:
    """With all primaries down a fallback stamps the write in the hint itself: that had no limit,
    and a copy was kept as long as there was any room at all."""
    sim = Simulator(max_hint_bytes=limit, anti_entropy_interval=0)
    sim.run(1)
    key = b"k"
    for name in _primaries(sim, key)[:down]:
        sim.crash(name)
    up = [name for name in sim.names if name in sim.nodes]
    sim.run(3)
    replies = []
    for i in range(12):
        replies.append(sim.put(up[i % len(up)], key, b"%d" % i + b"x" * 400, w=1))
        sim.run(0.1)
        assert all(sim.nodes[name].hints.bytes <= limit for name in up)
    refused = [reply for reply in replies if isinstance(reply, Refusal)]
    assert any(sim.nodes[name].hints.kept for name in up) == (limit > 1000)
    if down == 3:
        assert bool(refused) == (limit < 20_000)
        assert {reply.code for reply in refused} <= {"overloaded"}
    else:
        assert not refused  # two primaries have it


def _primaries(sim: Simulator, key: bytes) -> tuple[str, ...]:
    view = sim.nodes["n1"].view
    return tuple(view.primaries(view.partition(key)))
