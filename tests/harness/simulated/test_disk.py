"""The disk of a simulated node fails as a real one does."""

from __future__ import annotations

import pytest
from dynamesis.cluster.core.protocol.events import Write
from dynamesis.cluster.core.protocol.storage_reader import Damaged
from dynamesis.harness.worlds.simulated.disk import SimulatedDisk


@pytest.mark.parametrize("before", ["bit-flip", "read-error"])
def test_bits_flip_in_a_row_that_cannot_be_read_already(before: str) -> None:
    """Found by simulate (seed 5297): the second fault failed, and the schedule was unknown."""
    disk = SimulatedDisk(durable=True)
    disk.commit([Write("objects", b"k", b"value")])
    disk.inject(before)
    disk.inject("bit-flip")
    disk.inject("none")
    with pytest.raises(Damaged):
        disk.get("objects", b"k")
