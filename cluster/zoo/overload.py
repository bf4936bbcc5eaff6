"""Bugs of overload: who has to wait for whom?"""

from __future__ import annotations

from dynamesis.cluster.core.node.node import Node

_WITHOUT_END = 1 << 20


def unthrottled(node: Node) -> None:
    """Background work takes all that there is, however long the readers wait."""
    admission, trees = node.admission, node.trees

    def adjust() -> None:
        admission.slices = _WITHOUT_END
        trees.rebuild()

    admission.adjust = adjust  # type: ignore[method-assign]
    trees._later = lambda delay: node.runtime.soon(trees._slice)  # type: ignore[method-assign]
