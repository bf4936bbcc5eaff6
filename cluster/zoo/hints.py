"""Bugs of hinted handoff: hints that are lost, forgotten, or are in the way of others."""

from __future__ import annotations

from typing import Any

from dynamesis.cluster.core.node.node import Node
from dynamesis.cluster.core.node.parts import Parts
from dynamesis.cluster.core.protocol.messages import Answer, Key
from dynamesis.cluster.core.protocol.storage_reader import Damaged
from dynamesis.cluster.core.replication.hints import Hints
from dynamesis.cluster.core.runtime.runtime import Failure
from dynamesis.cluster.core.storage.record_table import Record
from dynamesis.cluster.core.storage.row_keys import Row, hint_row, split_hint


class _DeletedWhenSent(Hints):
    def is_kept(self, answer: Answer | Failure) -> bool:
        return True


class HintEarlyDelete(Node):
    """A hint is deleted when it was sent, whether or not it arrived."""

    parts = Parts(hints=_DeletedWhenSent)


class _NeverRecovered(Hints):
    def recover(self) -> None:
        pass


class HintsForgotten(Node):
    """The hints of an earlier life lie in the store and are never looked at."""

    parts = Parts(hints=_NeverRecovered)


class HintKeyCollision(Node):
    """One hint a key, for any target: that for one target replaces that for another."""

    def hint_changed(self, row: Row, old: Record | None, new: Record | None) -> None:
        super().hint_changed(row, old, new)
        target, key = split_hint(row)
        for other in self.hints.targets(key):
            if new is not None and other != target:
                self.hints.records.remove(hint_row(other, key), lambda code: None)


class HintToGhost(Node):
    """Where hints go was looked up when there were other members, and is kept."""

    def hint_destinations(self, target: str, key: Key) -> tuple[str, ...]:
        return (target,) if self.detector.healthy(target) else ()


class _InTurn(Hints):
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._blocked: dict[str, None] = {}

    def send(self, target: str, key: Key, to: tuple[str, ...]) -> None:
        try:
            self.records.get(hint_row(target, key))
        except Damaged:
            self._blocked[target] = None
        if target not in self._blocked:
            super().send(target, key, to)


class TornHint(Node):
    """A hint that cannot be read is tried again and again, and those behind it wait."""

    parts = Parts(hints=_InTurn)


class DecommissionDropsHints(Node):
    """A node that leaves throws its hints away instead of handing them off."""

    def hint_destinations(self, target: str, key: Key) -> tuple[str, ...]:
        if self.placement is None or self.params.node in self.view.layout.members:
            return super().hint_destinations(target, key)
        self.hints.records.remove(hint_row(target, key), lambda code: None)
        return ()
