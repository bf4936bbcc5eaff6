"""What every history must be before it can be judged.

A malformed history is never valid: each rule here names the row, the field, and what
was expected instead. All rules are array arithmetic; the first breach in order of rows
is the one reported.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from dynamesis.checkers.history.codes import ABSENT
from dynamesis.checkers.history.columns import History
from dynamesis.checkers.history.pairing import INFO, INVOKE, OK, Bools, Ints, previous, threads

WRITES = ("put", "delete")


class Problem(NamedTuple):
    """Row, field, and what was expected."""

    row: int
    field: str
    message: str


def first_problem(
    history: History, indices: Ints | None = None, before: Ints | None = None
) -> Problem | None:
    """The first breach of the rules; None for a well-formed history. `indices` is what
    each row claimed as its index; None for a history of another tool, whose puts and gets need
    not be those of model dynamo if none of them names a version. `before`: the row of the same
    thread's event before each row, where that is known."""
    before = history.before if before is None else before
    if before is None:
        h = history
        before = previous(threads(h.process, h.f, h.key, h.replica))
    found = [*_indexing(indices), *_pairing(history, before), *_bases(history)]
    if indices is not None or _names_versions(history):
        found += _fields(history)
    return min(found, key=lambda problem: problem.row, default=None)


def _names_versions(h: History) -> bool:
    """Whether anything in a history is of model dynamo: a version, a context, siblings, a dump."""
    own = (h.id >= 0) | (h.basis != ABSENT) | h.shown | h.rows("dump")
    return bool(np.any(own))


def first(bad: Bools, field: str, message: str) -> Iterator[Problem]:
    """The problem of the first of these rows, if any."""
    rows = np.flatnonzero(bad)
    if len(rows):
        yield Problem(int(rows[0]), field, message)


def _indexing(indices: Ints | None) -> Iterator[Problem]:
    if indices is None:
        return
    for problem in first(indices != np.arange(len(indices)), "index", ""):
        row = problem.row
        message = f"expected {row} (indices count from 0 without gaps), got {indices[row]}"
        yield problem._replace(message=message)


def _pairing(h: History, before: Ints) -> Iterator[Problem]:
    open_before = (before >= 0) & (h.kind[before] == INVOKE)
    second = (h.kind == INVOKE) & open_before
    for problem in first(second, "process", ""):
        name, opened = h.name_of(int(h.process[problem.row])), int(before[problem.row])
        yield problem._replace(
            message=f"expected the completion of index {opened} first: process {name} "
            "has two invocations open"
        )
    alone = (h.kind != INVOKE) & (h.pair < 0) & ~((h.process < 0) & (h.kind == INFO))
    yield from first(alone, "process", "expected an open invocation of this process to complete")
    for column, field in ((h.f, "f"), (h.key, "key"), (h.id, "id")):
        yield from _changed(h, column, field)


def _changed(h: History, column: Ints, field: str) -> Iterator[Problem]:
    """A completion may leave out key or id, but not differ from its invocation in them."""
    ends = (h.kind != INVOKE) & (h.pair >= 0) & (column >= 0)
    ends &= column != column[h.pair]
    yield from first(ends, field, "expected the same as in the invocation")


def _bases(h: History) -> Iterator[Problem]:
    based = h.basis >= 0
    yield from first(
        based & (h.basis >= np.arange(len(h))), "basis", "expected the index of an earlier event"
    )
    named = np.where(based, np.minimum(h.basis, len(h) - 1), 0)
    gives_context = (h.kind == OK) & h.rows(*WRITES, "get")
    if len(h):
        yield from first(
            based & ~gives_context[named],
            "basis",
            "expected the index of an ok get, put or delete: only these hand out a context",
        )


def _fields(h: History) -> Iterator[Problem]:
    writes, reads = h.rows(*WRITES), h.rows("get", "dump")
    invoked, ok = h.kind == INVOKE, h.kind == OK
    yield from first(invoked & (writes | reads) & (h.key < 0), "key", "expected a key, got none")
    yield from first(invoked & writes & (h.id < 0), "id", "expected a version id, got none")
    yield from first(
        invoked & writes & (h.basis == ABSENT),
        "basis",
        "expected the index of a completion, or null for a blind write",
    )
    yield from first(ok & reads & ~h.shown, "siblings", "expected a list of siblings, got none")
    dumps = invoked & h.rows("dump")
    yield from first(dumps & (h.replica < 0), "replica", "expected a node id, got none")
    yield from _twice_written(h, invoked & writes & (h.id >= 0))


def _twice_written(h: History, written: Bools) -> Iterator[Problem]:
    rows = np.flatnonzero(written)
    if not len(rows) or np.bincount(h.id[rows]).max() == 1:
        return
    _, earliest = np.unique(h.id[rows], return_index=True)
    again = np.delete(rows, earliest)
    if len(again):
        row = int(again.min())
        yield Problem(
            row, "id", f"expected an id of its own, got {h.ids[h.id[row]]!r} for a second time"
        )
