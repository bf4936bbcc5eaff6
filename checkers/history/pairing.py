"""Which completion belongs to which invocation.

A client process has one operation open at a time, so that its completion is simply the
process's next event. The harness may have several open (it dumps replicas side by
side); there an operation is identified by its f, key and replica too.
"""

from __future__ import annotations

from typing import Any, NewType

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.signedinteger[Any]]
Bools = npt.NDArray[np.bool_]

#: the number of an event in its history, which is its index
Row = NewType("Row", int)

INVOKE, OK, FAIL, INFO = range(4)


def threads(process: Ints, f: Ints, key: Ints, replica: Ints) -> Ints:
    """A number for each row such that one thread has one operation open at most."""
    thread = process.copy()
    names: dict[tuple[int, ...], int] = {}
    rows = np.flatnonzero(process < 0)
    named = zip(*(column[rows].tolist() for column in (process, f, key, replica)), strict=True)
    thread[rows] = [-1 - names.setdefault(name, len(names)) for name in named]
    return thread


def previous(thread: Ints, chosen: Bools | None = None) -> Ints:
    """The row of the same thread's event before each row, -1 for its first. Of some events only,
    where they are `chosen`: the last one of these."""
    order = in_order(thread)
    last, following = order[:-1], order[1:]
    if chosen is not None:
        # where none is chosen yet, it is row 0 of another thread, or one that is not chosen
        last = order[np.maximum.accumulate(np.where(chosen[last], np.arange(len(last)), 0))]
    before = np.full(len(thread), -1, np.int64)
    same = thread[following] == thread[last]
    if chosen is not None:
        same &= chosen[last]
    before[following[same]] = last[same]
    return before


def in_order(numbers: Ints) -> Ints:
    """The rows number by number, those of each in order. Numbers of 16 bits are sorted in linear
    time."""
    low, high = (int(numbers.min()), int(numbers.max())) if len(numbers) else (0, 0)
    if high - low < 1 << 16:
        numbers = (numbers - low).astype(np.uint16)
    return np.argsort(numbers, kind="stable")


def pair(kind: Ints, before: Ints) -> Ints:
    """The row of the other half of each operation, -1 where there is none. `before`: the row of the
    same thread's event before each (`previous`)."""
    follows = (before >= 0) & (kind != INVOKE)
    follows[follows] = kind[before[follows]] == INVOKE
    other = np.full(len(kind), -1, np.int64)
    other[follows] = before[follows]
    other[before[follows]] = np.flatnonzero(follows)
    return other
