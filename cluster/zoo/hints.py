"""Bugs of hinted handoff."""

from __future__ import annotations

from typing import Any

from dynamesis.cluster.core.node.node import Node
from dynamesis.cluster.core.protocol.messages import Answer, State
from dynamesis.cluster.core.protocol.storage_reader import Damaged
from dynamesis.cluster.core.runtime.runtime import Failure
from dynamesis.cluster.core.storage.row_keys import hint_row, split_hint


def hint_early_delete(node: Node) -> None:
    """A hint is deleted when it was sent, whether or not it arrived."""

    def kept(answer: Answer | Failure) -> bool:
        return True

    node.hints.is_kept = kept  # type: ignore[method-assign]


def hints_forgotten(node: Node) -> None:
    """The hints of an earlier life lie in the store and are never looked at."""
    node.hints.recover = lambda: None  # type: ignore[method-assign]


def hint_key_collision(node: Node) -> None:
    """One hint a key, for whomever: that for one target replaces that for another."""
    records = node.hints.records
    merge = records.merge

    def replace(row: bytes, *rest: Any) -> State | None:
        target, key = split_hint(row)
        for other in node.hints.targets(key):
            if other != target:
                records.remove(hint_row(other, key), lambda code: None)
        return merge(row, *rest)

    records.merge = replace  # type: ignore[assignment, method-assign]


def hint_to_ghost(node: Node) -> None:
    """Where hints go was looked up when there were other members, and is kept."""

    def cached(target: str, key: bytes) -> tuple[str, ...]:
        return (target,) if node.detector.healthy(target) else ()

    node.hints.destinations = cached


def torn_hint(node: Node) -> None:
    """A hint that cannot be read is tried again and again, and those behind it wait."""
    hints = node.hints
    send = hints._send
    blocked: dict[str, None] = {}

    def in_turn(target: str, key: bytes, to: tuple[str, ...]) -> None:
        try:
            hints.records.get(hint_row(target, key))
        except Damaged:
            blocked[target] = None
        if target not in blocked:
            send(target, key, to)

    hints._send = in_turn  # type: ignore[method-assign]


def decommission_drops_hints(node: Node) -> None:
    """A node that leaves throws its hints away instead of handing them off."""
    destinations = node.hints.destinations

    def drop(target: str, key: bytes) -> tuple[str, ...]:
        if node.placement is None or node.params.node in node.view.layout.members:
            return destinations(target, key)
        hints = node.hints
        hints.records.remove(hint_row(target, key), lambda code: None)
        return ()

    node.hints.destinations = drop
