"""Operations that a model does not understand: never ignored, and so never valid.

A model declares the fs that it knows. An operation of a client with another f may have done
anything to the state that is judged: nothing found is then a proof, and nothing is evidence.
So it is with a process that has a name instead of a number: models judge the operations of
numbered clients, and what a named one read or wrote must not be left out in silence. Events
of the nemesis and of the harness are not operations of clients.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
from dynamesis.checkers.explain.describe import counted
from dynamesis.checkers.history.codes import NEMESIS
from dynamesis.checkers.history.columns import History
from dynamesis.checkers.history.pairing import INVOKE, OK
from dynamesis.checkers.history.spelling import freeze

#: micro-operations are what a transaction did; the f of the whole is one of these, or absent
_TXN = frozenset({"txn", "read", "write", "append", "r", "w", ""})
_SET = frozenset({"add", "read"})

#: model -> the fs of clients that it knows
FS: dict[str, frozenset[str]] = {
    "dynamo": frozenset({"put", "get", "delete", "dump"}),
    "list-append": _TXN,
    "rw-register": _TXN,
    "long-fork": _TXN,
    "register": frozenset({"read", "r", "write", "w"}),
    "cas-register": frozenset({"read", "r", "write", "w", "cas"}),
    "kv": frozenset({"get", "put", "append"}),
    "mutex": frozenset({"acquire", "release"}),
    "set": _SET,
    "set-full": _SET,
    "queue": frozenset({"enqueue", "dequeue", "drain"}),
    "counter": _SET,
    "bank": frozenset({"read", "transfer"}),
    "unique-ids": frozenset({"generate"}),
    "echo": frozenset({"echo"}),
}

#: reasons of one kind that are spelled out; the last one counts the rest
_LISTED = 10


def not_understood(h: History, model: str) -> list[str]:
    """Why this model cannot judge the history: its fs that are not known, and its clients that
    have no number. Empty where it can."""
    known = FS[model]
    if model == "dynamo" and (nameless := _without_version(h)) is not None:
        return [nameless]
    named = [] if model == "dynamo" else limited(_named_clients(h, known))
    return [*limited(_strange_fs(h, model, known)), *named]


def _without_version(h: History) -> str | None:
    """Writes that name no version: a history of a store without contexts."""
    rows = np.flatnonzero(h.rows("put", "delete") & (h.kind == INVOKE) & (h.id < 0))
    if not len(rows):
        return None
    return (
        f"index {rows[0]}, field id: model dynamo expects the version that a write makes, got "
        "none; model kv judges puts and gets without versions"
    )


def _strange_fs(h: History, model: str, known: frozenset[str]) -> Iterator[str]:
    rows = np.flatnonzero(h.process >= 0)
    numbers, first = np.unique(h.f[rows], return_index=True)
    expected = ", ".join(sorted(f for f in known if f))
    for at, number in sorted(zip(rows[first].tolist(), numbers.tolist(), strict=True)):
        if h.fs[number] not in known:
            count = int(np.count_nonzero((h.f[rows] == number) & (h.kind[rows] == INVOKE)))
            yield (
                f"index {at}, field f: model {model} knows {expected}, and not "
                f"{h.fs[number] or 'none'} ({counted(count, 'operation')}), which may "
                "have done anything"
            )


def _named_clients(h: History, known: frozenset[str]) -> Iterator[str]:
    named = (h.process < NEMESIS) & (h.kind == INVOKE) & h.rows(*known)
    numbers, first = np.unique(h.process[named], return_index=True)
    rows = np.flatnonzero(named)[first]
    for at, number in sorted(zip(rows.tolist(), numbers.tolist(), strict=True)):
        yield (
            f"index {at}, field process: expected the number of a client, got "
            f"{h.name_of(number)}, whose operations are not judged"
        )


def altered(h: History, *fs: str) -> list[str]:
    """The acknowledgements of these operations that name another value than was asked for:
    which of the two took effect is not known."""
    rows = np.flatnonzero((h.kind == INVOKE) & (h.process >= 0) & h.rows(*fs) & (h.pair >= 0))
    ends = h.pair[rows]
    suspect = (h.kind[ends] == OK) & (h.value[ends] >= 0) & (h.value[ends] != h.value[rows])
    found = []
    for row, end in zip(rows[suspect].tolist(), ends[suspect].tolist(), strict=True):
        asked, done = h.value_of(row), h.value_of(end)
        if done is not None and freeze(asked) != freeze(done):
            found.append(
                f"index {end}, field value: expected {h.spelled(asked)}, as in the invocation at "
                f"index {row}, got {h.spelled(done)}"
            )
    return limited(found)


def limited(reasons: Iterable[str]) -> list[str]:
    """The first of many reasons of one kind, and how many more there are."""
    every = list(reasons)
    more = len(every) - _LISTED
    return every[:_LISTED] + ([f"and {more} more of that kind"] if more > 0 else [])
