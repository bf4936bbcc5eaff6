"""`python verify.py FOLDER`: walk every page of the LMDB database in FOLDER.

LMDB trusts its file: a damaged page can end the process that reads it. So a file that was
not closed cleanly is walked by a process whose end does no harm: all rows of all tables,
and then what a compacting copy visits, the list of free pages included. Rows have
checksums of their own and are not looked into. Prints what is wrong; exit code 0: nothing,
1: the file is damaged, 2: it could not be looked at. Anything else is how damage killed it.
"""

from __future__ import annotations

import os
import sys

import lmdb


def main(folder: str) -> int:
    try:
        with lmdb.open(
            folder, readonly=True, lock=False, max_dbs=16, create=False, lib_version=1
        ) as env:
            _walk(env)
    except (lmdb.MemoryError, lmdb.ReadonlyError, OSError) as error:
        print(error)
        return 2
    except (lmdb.Error, ValueError) as error:
        print(error)
        return 1
    return 0


def _walk(env: lmdb.Environment) -> None:
    with env.begin(buffers=True) as txn:
        tables = [bytes(name) for name in txn.cursor().iternext(keys=True, values=False)]
    for table in tables:
        database = env.open_db(table, create=False)
        with env.begin(database, buffers=True) as txn:
            left = txn.stat(database)["entries"]
            for _ in txn.cursor():
                left -= 1
                if left < 0:
                    raise ValueError(f"{table.decode()}: there are more rows than it counts")
        if left:
            raise ValueError(f"{table.decode()}: {left} rows are not to be found")
    with open(os.devnull, "wb") as nowhere:
        env.copyfd(nowhere.fileno(), compact=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
