"""What hints of no size take: the limit on their bytes bounds the memory of their index."""

from __future__ import annotations

import tracemalloc

import pytest
from dynamesis.cluster.core.protocol.messages import Key
from dynamesis.cluster.core.storage.record_table import Record
from dynamesis.cluster.core.storage.row_keys import hint_row
from simulator import Simulator


@pytest.mark.parametrize("length", [8, 1000])
def test_what_is_counted_covers_the_index(length: int) -> None:
    """It was 64 bytes a version: a gibibyte of hints of nothing took eight of memory."""
    hints = Simulator(3, seed=1).nodes["n1"].hints
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    for number in range(20_000):
        key = Key(str(number).zfill(length).encode())
        hints.changed(hint_row("n2", key), None, Record({}, "n1:a", number))
    taken = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()
    assert taken <= hints.bytes <= 4 * taken
