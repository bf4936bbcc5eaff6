"""The durable engine: LMDB, a copy-on-write B+ tree in one memory-mapped file.

A commit writes changed pages, syncs, then writes and syncs the page that points at them,
so a crash at any instant leaves the last committed tree, with nothing to replay. The
library's own 1.0 format is taken because its keys may be 1,978 bytes long (0.9: 511).
Measured against rocksdict in the same process: a 64 MiB commit holds up the loop's thread
for 2 ms, there 225 ms, because LMDB gives up the interpreter lock while it syncs.

A damaged page can end the process that reads it. A file that is not just as a clean close
left it is therefore walked by another process first (verify.py).
"""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

import lmdb
from dynamesis.cluster.core.protocol.events import Table, Write
from dynamesis.cluster.storage.base import (
    TABLES,
    ReadError,
    StorageDamaged,
    StorageFailed,
    seal,
    unseal,
)

_FORMAT = 1
_DATABASE = "data.mdb"
#: what a clean close leaves: the size and time of the file
_CLEAN = "clean"
_VERIFY = Path(__file__).with_name("verify.py")
#: rows, and bytes, that one read transaction of a scan takes
_PAGE_ROWS = 256
_PAGE_BYTES = 1 << 20


class LmdbEngine:
    blocking = True
    durable = True

    def __init__(self, folder: Path, map_size: int) -> None:
        """Open or create the database in `folder`; `map_size` (bytes) is the address space
        to begin with, doubled whenever it is full. Raises StorageFailed; StorageDamaged, if
        that is why."""
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._lock_file = _lock(folder)
        except OSError as error:
            raise StorageFailed(f"cannot use the folder {folder}: {error}") from error
        self._folder = folder
        try:
            _check(folder)
            (folder / _CLEAN).unlink(missing_ok=True)
            self._env = lmdb.open(
                str(folder),
                map_size=map_size,
                max_dbs=len(TABLES),
                max_spare_txns=1,
                meminit=False,
                lib_version=_FORMAT,
            )
            self._tables = {table: self._env.open_db(table.encode()) for table in TABLES}
        except (lmdb.Error, StorageFailed) as error:
            os.close(self._lock_file)
            kind = StorageDamaged if isinstance(error, _DAMAGE) else StorageFailed
            raise kind(f"cannot open the database in {folder}: {error}") from error
        # The map must not move under a reader; nothing else here needs a lock.
        self._map_lock = threading.Lock()

    def get(self, table: Table, key: bytes) -> bytes | None:
        try:
            with self._map_lock, self._env.begin(self._tables[table]) as txn:
                row = txn.get(key)
        except lmdb.BadValsizeError:
            return None  # a key that could never be stored
        except lmdb.Error as error:
            raise ReadError(f"{table}: {key!r} cannot be read: {error}") from error
        return None if row is None else unseal(table, key, row)

    def scan(
        self, table: Table, prefix: bytes = b"", after: bytes | None = None
    ) -> Iterator[tuple[bytes, bytes]]:
        while page := self._page(table, prefix, after):
            for key, row in page:
                yield key, unseal(table, key, row)
            after = page[-1][0]

    def commit(self, writes: Sequence[Write]) -> None:
        puts: dict[Table, dict[bytes, bytes]] = {}
        deletes: dict[Table, list[bytes]] = {}
        for (table, key), value in {(w.table, w.key): w.value for w in writes}.items():
            if value is None:
                deletes.setdefault(table, []).append(key)
            else:
                puts.setdefault(table, {})[key] = seal(table, key, value)
        try:
            while not self._try_commit(puts, deletes):
                self._grow()
        except (lmdb.Error, OSError) as error:
            raise StorageFailed(f"{len(writes)} rows were not stored: {error}") from error

    def close(self) -> None:
        self._env.close()
        (self._folder / _CLEAN).write_text(_state(self._folder / _DATABASE), encoding="ascii")
        os.close(self._lock_file)

    def _page(self, table: Table, prefix: bytes, after: bytes | None) -> list[tuple[bytes, bytes]]:
        """A stretch of rows in a transaction of its own: a long one would keep every page
        that commits free from being used again."""
        page: list[tuple[bytes, bytes]] = []
        size = 0
        start = prefix if after is None or after < prefix else after + b"\0"
        try:
            with self._map_lock, self._env.begin(self._tables[table]) as txn:
                cursor = txn.cursor()
                more = cursor.set_range(start) if start else cursor.first()
                while more and cursor.key().startswith(prefix):
                    page.append(cursor.item())
                    size += len(page[-1][1])
                    more = len(page) < _PAGE_ROWS and size < _PAGE_BYTES and cursor.next()
        except lmdb.Error as error:
            raise ReadError(f"{table}: cannot be read after {start!r}: {error}") from error
        return page

    def _try_commit(
        self, puts: dict[Table, dict[bytes, bytes]], deletes: dict[Table, list[bytes]]
    ) -> bool:
        """One transaction; False if the map is too small for it."""
        try:
            with self._env.begin(write=True) as txn:
                for table, rows in puts.items():
                    txn.cursor(self._tables[table]).putmulti(rows.items())
                for table, keys in deletes.items():
                    for key in keys:
                        txn.delete(key, db=self._tables[table])
        except lmdb.MapFullError:
            return False
        return True

    def _grow(self) -> None:
        with self._map_lock:
            self._env.set_mapsize(2 * self._env.info()["map_size"])


_DAMAGE = (
    StorageDamaged,
    lmdb.CorruptedError,
    lmdb.InvalidError,
    lmdb.PageNotFoundError,
    lmdb.PanicError,
    lmdb.VersionMismatchError,
)


def _state(file: Path) -> str:
    stat = file.stat()
    return f"{stat.st_size} {stat.st_mtime_ns}"


def _check(folder: Path) -> None:
    """Walk the database, unless it is as a clean close left it. Raises StorageFailed."""
    file, clean = folder / _DATABASE, folder / _CLEAN
    if not file.exists():
        return
    if clean.is_file() and clean.read_bytes() == _state(file).encode():
        return
    if not file.stat().st_size:
        raise StorageDamaged("the file is empty")
    walk = subprocess.run(
        [sys.executable, "-P", str(_VERIFY), str(folder)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        encoding="utf-8",
        check=False,
    )
    if walk.returncode == 2:
        raise StorageFailed(walk.stdout.strip())
    if walk.returncode:
        raise StorageDamaged(walk.stdout.strip() or f"reading it ended with {walk.returncode}")


def _lock(folder: Path) -> int:
    """Hold the folder for this process: two nodes on one database would stamp the same
    dots. The kernel lets go when the process ends, however it ends."""
    descriptor = os.open(folder / "in-use", os.O_RDWR | os.O_CREAT, 0o644)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        raise StorageFailed(f"the database in {folder} is in use by another process") from None
    return descriptor
