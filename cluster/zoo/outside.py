"""A bug of one's own: FILE.py:NAME, a subclass of `Node` or a function that takes one node.

A function receives a freshly built node and may replace what it likes of it. The file is
loaded under a name of its own, so that it can shadow no module.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

from dynamesis.cluster.core.node.node import Node
from dynamesis.cluster.core.protocol.params import Params
from dynamesis.cluster.core.protocol.storage_reader import Reader


def load(spec: str) -> type[Node]:
    """The node with the bug that `spec` names. Raises ValueError with what is wrong."""
    file, _, name = spec.rpartition(":")
    path = Path(file)
    if path.suffix != ".py" or not name.isidentifier():
        raise ValueError(f"{spec!r} is not of the form FILE.py:NAME")
    module = _execute(path)
    bug = getattr(module, name, None)
    if isinstance(bug, type) and issubclass(bug, Node):
        return bug
    if callable(bug) and not isinstance(bug, type):
        return changed_by(bug)
    here = [key for key, value in vars(module).items() if _is_bug(module, key, value)]
    raise ValueError(
        f"{path}: {name!r} is neither a subclass of Node nor a function of one; there are: "
        f"{', '.join(here) or 'none'}"
    )


def changed_by(change: Callable[[Node], None]) -> type[Node]:
    """A node that `change` is applied to as soon as it is built."""

    class Changed(Node):
        def __init__(self, params: Params, store: Reader, entropy: int) -> None:
            super().__init__(params, store, entropy)
            change(self)

    return Changed


def _execute(path: Path) -> ModuleType:
    if not path.is_file():
        raise ValueError(f"{path}: no such file")
    found = importlib.util.spec_from_file_location(f"_dynamesis_bug_{path.stem}", path)
    if found is None or found.loader is None:
        raise ValueError(f"{path}: cannot be loaded as Python")
    module = importlib.util.module_from_spec(found)
    try:
        found.loader.exec_module(module)
    except Exception as error:
        raise ValueError(f"{path}: cannot be loaded: {error!r}") from error
    return module


def _is_bug(module: ModuleType, key: str, value: object) -> bool:
    own = getattr(value, "__module__", None) == module.__name__
    fits = issubclass(value, Node) if isinstance(value, type) else callable(value)
    return own and fits and not key.startswith("_")
