"""Nothing leaves a node before it is durable there (cluster.core.versions.identity): what a crash
takes back would be named again, and two writes of one name are one write lost.

Held for every message of schedules whose disks are slow or lose what is not synced.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import msgspec
import pytest
from dynamesis.cluster.core.storage.record_table import Record
from dynamesis.harness.simulation.play import run
from dynamesis.harness.simulation.schedules.draw import SwarmScope, draw
from dynamesis.harness.worlds.simulated.network import Sighting

#: a batch that fails may be stored in part: no disk of these fails one
SWARM = SwarmScope(None, ("disk.lost-writes", "disk.power", "kill", "cut"), ())


@pytest.mark.parametrize("first", [7, 17, 27, 37])
def test_no_message_names_what_its_sender_has_not_stored(first: int) -> None:
    assert sum(map(_judged, range(first, first + 10))) > 200


def _judged(seed: int) -> int:
    """Holds the schedule of a seed to it; how many names were looked at."""
    drawn = draw(seed, SWARM)
    kept = [each for each in drawn.spec.param if not each.startswith("durability")]
    schedule = replace(
        drawn,
        spec=replace(drawn.spec, param=tuple(kept), storage="lmdb"),
        tweaks={"fsync": [0.01, 0.15], "points": {"hints-late": 0.5}},
    )
    stored: dict[str, int] = {}
    judged = 0
    for each in run(schedule, story=True).messages:
        if each.what == "stored":
            for record in _records(each):
                for actor, entry in record.state.items():
                    stored[actor] = max(entry.n, stored.get(actor, 0))
        elif each.what == "sent":
            state = getattr(each.content, "state", None) or {}
            for actor, entry in state.items():
                if actor.startswith(f"{each.source}:"):
                    judged += 1
                    assert entry.n <= stored.get(actor, 0), each
    return judged


def _records(stored: Sighting) -> Iterator[Record]:
    for write in stored.content:
        if write.table != "meta" and write.value is not None:
            yield msgspec.msgpack.decode(write.value, type=Record)
