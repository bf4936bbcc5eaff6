"""Bugs from outside: `FILE.py:NAME`, a function of the same form as those of this package.

It receives a freshly built node and replaces a method of it, and nothing more. The file is
loaded under a name of its own, so that it can shadow no module.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

from dynamesis.cluster.core.node.node import Node


def load(spec: str) -> Callable[[Node], None]:
    """The function that `spec` names. Raises ValueError that says what is wrong."""
    file, _, name = spec.rpartition(":")
    path = Path(file)
    if path.suffix != ".py" or not name.isidentifier():
        raise ValueError(f"{spec!r} is not of the form FILE.py:NAME")
    module = _execute(path)
    function = getattr(module, name, None)
    if callable(function):
        return function  # type: ignore[no-any-return]
    here = [key for key, value in vars(module).items() if _is_bug(module, key, value)]
    raise ValueError(f"{path}: no function {name!r}; there are: {', '.join(here) or 'none'}")


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
    return callable(value) and own and not key.startswith("_")
