"""A bug of one's own: FILE.py:NAME, a subclass of `Node` or a function that takes one node.

A function receives a freshly built node and may replace what it likes of it. The file is
loaded under a name of its own, so that it can shadow no module.
"""

from __future__ import annotations

from collections.abc import Callable

from dynamesis.cluster.core.node.node import Node
from dynamesis.cluster.core.protocol.params import Params
from dynamesis.cluster.core.protocol.storage_reader import Reader
from dynamesis.cluster.plugins.objects import load_object


def load(spec: str) -> type[Node]:
    """The node with the bug that `spec` names. Raises ValueError with what is wrong."""
    bug = load_object(spec, _is_bug, "a subclass of Node or a function of one")
    if isinstance(bug, type) and issubclass(bug, Node):
        return bug
    assert callable(bug)
    return changed_by(bug)


def changed_by(change: Callable[[Node], None]) -> type[Node]:
    """A node that `change` is applied to as soon as it is built."""

    class Changed(Node):
        def __init__(self, params: Params, store: Reader, entropy: int) -> None:
            super().__init__(params, store, entropy)
            change(self)

    return Changed


def _is_bug(value: object) -> bool:
    return issubclass(value, Node) if isinstance(value, type) else callable(value)
