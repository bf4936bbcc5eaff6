"""What may differ between two worlds of one seed: how long things take, and what is rare."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

#: The points at which a world may be made to do what is rare, and what that is.
POINTS: dict[str, str] = {
    "batch-late": "a batch is synced later than others",
    "timer-late": "a node's timer fires late",
    "timer-early": "a node's timer fires early",
    "message-held": "a message is held back, while those of other connections pass",
}


@dataclass(frozen=True)
class Tweaks:
    """How a world behaves apart from its faults.

    latency, fsync: s that a message is under way, and that a disk takes to sync: least and most
    buggify: by point (POINTS), the chance of what is rare, each time it could be
    delay: s by which what is rare is late at most
    priorities: None, or how many times in a test the order of the nodes is drawn anew in which
        messages of some nodes overtake those of others (after PCT)
    """

    latency: tuple[float, float] = (0.0002, 0.002)
    fsync: tuple[float, float] = (0.0001, 0.001)
    buggify: Mapping[str, float] = field(default_factory=dict)
    delay: float = 0.3
    priorities: int | None = None
