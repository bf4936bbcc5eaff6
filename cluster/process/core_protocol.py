"""What the shell of a node needs of its core: events go in, effects come out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from dynamesis.cluster.core.protocol.events import Effect, Event
from dynamesis.cluster.core.protocol.params import Params
from dynamesis.cluster.core.protocol.storage_reader import Reader


class Core(Protocol):
    """What cluster.core.node.node.Node is to the shell."""

    @property
    def value_bytes(self) -> int:
        """Bytes of values in progress."""

    def handle(self, now: float, event: Event, wall: int) -> list[Effect]: ...


MakeCore = Callable[[Params, Reader, int], Core]
