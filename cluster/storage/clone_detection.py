"""Distinguishes the storage that the last life of a node left from a copy of it.

Each life of a node makes a small file anew beside its database, and writes down in the
database which file that is: inode and time of change. No program can set the latter, so the
file of a copied, restored or cloned folder is another one. A database that was put back
alone names the file of an earlier life. (An older folder under its own old name is not a
copy: nothing has been written elsewhere under its incarnation.)
"""

from __future__ import annotations

import os
from pathlib import Path

from dynamesis.cluster.core.protocol.events import Write
from dynamesis.cluster.core.protocol.storage_reader import ReadFailed
from dynamesis.cluster.storage.base import Engine, StorageFailed

_FILE = "life"
_ROW = b"witness"


def renew(engine: Engine, folder: Path) -> bool:
    """Whether the storage is as the last life left it; from now on it is this life's.
    Raises StorageFailed."""
    if not engine.durable:
        return False  # there was nothing to leave
    file = folder / _FILE
    try:
        intact = engine.get("meta", _ROW) == _named(file)
    except ReadFailed:
        intact = False
    try:
        fresh = folder / (_FILE + ".new")
        fresh.unlink(missing_ok=True)  # one that a killed life left, whatever it is
        fresh.write_bytes(b"")
        os.replace(fresh, file)
    except OSError as error:
        raise StorageFailed(f"cannot write {file}: {error}") from error
    engine.commit([Write("meta", _ROW, _named(file))])
    return intact


def _named(file: Path) -> bytes:
    """What distinguishes this file from any other there ever was; empty if there is none."""
    try:
        found = file.stat()
    except OSError:
        return b""
    return f"{found.st_ino} {found.st_ctime_ns}".encode()
