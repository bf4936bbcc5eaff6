"""Bugs of admission: work that does not yield to what is more urgent."""

from __future__ import annotations

from dynamesis.cluster.core.node.node import Node
from dynamesis.cluster.core.node.parts import Parts
from dynamesis.cluster.core.runtime.admission import PER_SLICE, Admission
from dynamesis.cluster.core.storage.trees import Trees

_WITHOUT_END = 1 << 20


class _Boundless(Admission):
    @property
    def window(self) -> int:
        return self.slices * PER_SLICE

    @property
    def pause(self) -> float:
        return 0.0

    def adjust(self) -> None:
        self.slices = _WITHOUT_END


class _WithoutPause(Trees):
    def scan_on(self, delay: float) -> None:
        self.runtime.soon(self.scan_slice)


class Unthrottled(Node):
    """Background work takes all that there is, however long the readers wait."""

    parts = Parts(admission=_Boundless, trees=_WithoutPause)

    def start(self, intact: bool) -> None:
        super().start(intact)
        self.runtime.every(1.0, self.trees.rebuild)
