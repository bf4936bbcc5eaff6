"""A million keys, one of them different: what an exchange moves, and what a boot blocks."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from dynamesis.cluster.core.protocol.events import Write
from dynamesis.cluster.core.protocol.messages import Entry, Version
from dynamesis.cluster.core.ring.ring import partition_of
from dynamesis.cluster.core.storage.record_table import Record, _encode
from dynamesis.cluster.core.storage.row_keys import object_row
from dynamesis.cluster.core.versions import clock
from dynamesis.cluster.storage.memory import MemoryEngine
from simulator import Simulator
from test_trees import metered

KEYS = 1_000_000


def rows() -> list[tuple[bytes, bytes]]:
    found = []
    for i in range(KEYS):
        key = b"user/%d/profile" % i
        state = {"n1:abc:1": Entry(1, ((1, Version(b"%d" % i)),))}
        record = Record(state, None, clock.digest(state))
        found.append((object_row(partition_of(key, 64), key), _encode(record)))
    return sorted(found)


@pytest.mark.nightly
@pytest.mark.timeout(900)
def test_one_key_of_a_million_costs_less_than_a_hundred_kib() -> None:
    sim = Simulator(members=2, n=2, anti_entropy_interval=1e6)
    content = rows()
    for name in sim.names:
        sim.crash(name)
        engine = MemoryEngine(Path(), 0)
        for start in range(0, KEYS, 10_000):
            engine.commit([Write("objects", *pair) for pair in content[start : start + 10_000]])
        sim.stores[name] = engine  # type: ignore[assignment]
    lost, _ = content[KEYS // 3]
    sim.stores["n1"].commit((Write("objects", lost, None),))
    for name in sim.names:
        sim.boot(name)
    longest = 0.0
    feed = sim.feed

    def timed(name: str, event: object) -> None:
        nonlocal longest
        began = time.perf_counter()
        feed(name, event)  # type: ignore[arg-type]
        longest = max(longest, time.perf_counter() - began)

    sim.feed = timed  # type: ignore[method-assign]
    sim.until(lambda: all(node.trees.complete for node in sim.nodes.values()), 600)
    frames = metered(sim)
    sim.nodes["n1"].anti_entropy.begin_all()
    sim.until(lambda: sim.stores["n1"].get("objects", lost) is not None)
    print(f"{sum(frames)} bytes in {len(frames)} frames; longest slice {longest * 1e3:.1f} ms")
    assert sum(frames) < 100 << 10
