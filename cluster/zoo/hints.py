"""Bugs of hinted handoff."""

from __future__ import annotations

from cluster.core.kernel import Failure
from cluster.core.messages import Answer
from cluster.core.node import Node
from cluster.core.rows import hint_row


def hint_early_delete(node: Node) -> None:
    """A hint is deleted when it was sent, whether or not it arrived."""

    def kept(answer: Answer | Failure) -> bool:
        return True

    node.hints.is_kept = kept  # type: ignore[method-assign]


def hints_forgotten(node: Node) -> None:
    """The hints of an earlier life lie in the store and are never looked at."""
    node.hints.recover = lambda: None  # type: ignore[method-assign]


def decommission_drops_hints(node: Node) -> None:
    """A node that leaves throws its hints away instead of handing them off."""
    destination = node.hints.destination

    def drop(target: str, key: bytes) -> str | None:
        if node.placement is None or node.params.node in node.view.layout.members:
            return destination(target, key)
        hints = node.hints
        hints.records.remove(hint_row(target, key), lambda code: None)
        return None

    node.hints.destination = drop
