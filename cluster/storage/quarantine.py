"""A database that is damaged beyond its rows is put aside, not used and not deleted.

The node then comes up with an empty one. That is safe because an empty store draws a new
incarnation (cluster.core.versions.identity), and it heals because anti-entropy brings back what
the other replicas hold.
"""

from __future__ import annotations

from itertools import count
from pathlib import Path

from dynamesis.cluster.storage import ENGINES
from dynamesis.cluster.storage.base import Engine, StorageDamaged

_DATABASE = "data.mdb"
_ASIDE = _DATABASE + ".damaged-"


def open_engine(name: str, folder: Path, map_size: int) -> tuple[Engine, str | None]:
    """The engine called `name`, and why its former database was put aside, if it was.
    Raises StorageFailed."""
    try:
        return ENGINES[name](folder, map_size), None
    except StorageDamaged as damage:
        aside = _free(folder)
        (folder / _DATABASE).rename(aside)
        (folder / "lock.mdb").unlink(missing_ok=True)
        return ENGINES[name](folder, map_size), f"{damage}; it is now {aside.name}"


def _free(folder: Path) -> Path:
    """A name that no database was put aside under: of some an operator may have disposed."""
    taken = put_aside(folder)
    return next(folder / name for n in count(1) if (name := f"{_ASIDE}{n}") not in taken)


def put_aside(folder: Path) -> list[str]:
    """The databases that were put aside in `folder`, ever."""
    return sorted(file.name for file in folder.glob(_ASIDE + "*"))
