"""Storage engines by name; `base` has what each of them promises."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from dynamesis.cluster.storage.base import Engine


def _lmdb(folder: Path, map_size: int) -> Engine:
    from dynamesis.cluster.storage.lmdb import LmdbEngine

    return LmdbEngine(folder, map_size)


def _memory(folder: Path, map_size: int) -> Engine:
    from dynamesis.cluster.storage.memory import MemoryEngine

    return MemoryEngine(folder, map_size)


#: name -> open(folder, map_size in bytes). Raises StorageFailed (cluster.storage.base).
ENGINES: dict[str, Callable[[Path, int], Engine]] = {"lmdb": _lmdb, "memory": _memory}
