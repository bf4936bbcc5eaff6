"""Histories of several objects, each of which is judged by itself.

Operations name their thing by the field `key`, or, as jepsen.independent writes them, by
values [key, value]. Each key is a history of its own: what one of them shows proves nothing
about another. Indices stay those of the whole, so that a part is the whole with the other
keys' events given to the harness. Where some operations name a key and others do not, what
the others touched is not known, and so is the verdict.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np
from dynamesis.checkers.history.codes import HARNESS, NameTable
from dynamesis.checkers.history.columns import History
from dynamesis.checkers.history.op import raw
from dynamesis.checkers.history.pairing import INVOKE, OK, Bools, Ints
from dynamesis.checkers.history.spelling import freeze
from dynamesis.checkers.models.sets import capped
from dynamesis.checkers.verdict import CheckerResult, Verdict, judge

Check = Callable[[History], CheckerResult]

#: operations that promise nothing
_READS = ("read", "r", "dequeue", "drain")


def each_key(check: Check, h: History, transactions: bool = False) -> CheckerResult:
    """The verdict on every key together; on the whole, if nothing names a key. `transactions`:
    values are lists of micro-operations, and so are pairs only where the first is none."""
    mixed = unkeyed(h)
    if mixed is not None:
        return judge((), [mixed])
    crossed: list[int] = []
    parts = list(
        _by_field(h) if np.any(h.key[_clients(h)] >= 0) else _by_value(h, transactions, crossed)
    )
    if not parts:
        return _whole(check(h), h, crossed)
    verdicts = {key: check(part) for key, part in parts}
    empty = {
        key for key, part in parts if verdicts[key].verdict is Verdict.UNKNOWN and _is_empty(part)
    }
    if len(empty) == len(parts):
        empty = set()
    found = [replace(a, key=key) for key, v in verdicts.items() for a in v.anomalies]
    judged = [(key, v) for key, v in verdicts.items() if key not in empty]
    reasons = [f"key {key}: {reason}" for key, v in judged for reason in v.reasons]
    result = capped(found, reasons, {"by_key": {key: v.details for key, v in verdicts.items()}})
    return replace(
        result, more=sum((Counter(v.more) for v in verdicts.values()), Counter(result.more))
    )


def _whole(found: CheckerResult, h: History, crossed: list[int]) -> CheckerResult:
    """The verdict on operations that name no keys; unknown at best where values look as if they
    did, and an answer is of another key than was asked for."""
    if not crossed:
        return found
    reason = other_key(h, crossed[0])
    return judge(found.anomalies, [*found.reasons, reason], found.details, found.more)


def other_key(h: History, end: int) -> str:
    """Why a completion whose value has another key than its invocation cannot be judged."""
    asked, answered = (h.spelled(h.value_of(row)) for row in (int(h.pair[end]), end))
    return (
        f"index {end}, field value: expected an answer about the key of {asked}, the invocation at "
        f"index {h.pair[end]}, got {answered}"
    )


def unkeyed(h: History) -> str | None:
    """Why keys cannot be separated: some operations of clients have the field `key`, and
    others have not. None where all have or none has."""
    asked = np.flatnonzero(_clients(h) & (h.kind == INVOKE))
    bare = asked[h.key[asked] < 0]
    if not len(bare) or len(bare) == len(asked):
        return None
    return f"index {bare[0]}, field key: expected a key, as other operations have one, got none"


def _clients(h: History) -> Bools:
    clients: Bools = h.process >= 0
    return clients


def _is_empty(part: History) -> bool:
    """Whether nothing was acknowledged in a key, and no read showed anything (0 of a sum)."""
    ok = np.flatnonzero(_clients(part) & (part.kind == OK))
    reads = part.rows(*_READS)[ok]
    return bool(np.all(reads)) and all(part.value_of(row) in (None, [], 0) for row in ok.tolist())


def _by_field(h: History) -> Iterator[tuple[str, History]]:
    """Key by key, by the field `key`."""
    yield from _split(h, np.where(_clients(h), h.key_of, -1), list(h.keys), {})


def _by_value(h: History, transactions: bool, crossed: list[int]) -> Iterator[tuple[str, History]]:
    """Key by key, with the values of that key; nothing if values are not pairs, nor where answers
    are of another key than was asked for, whose rows are added to `crossed`. A read that showed
    null has the key of its invocation."""
    clients = _clients(h)
    if not np.any(clients) or np.any(h.value[clients] < 0):
        return
    pairs: dict[int, Any] = {}
    for number in np.unique(h.value[clients]).tolist():
        pair = pairs[number] = h.decode(number)
        if pair is not None and not _is_pair(pair, transactions):
            return
    null = {number for number, pair in pairs.items() if pair is None}
    keys, values = NameTable(), NameTable()
    key_of, inner = np.full((2, len(h.values) + 1), -1, np.int64)
    for number in pairs.keys() - null:
        key, value = pairs[number]
        key_of[number] = keys[freeze(key)]
        inner[number] = -1 if value is None else values[bytes(raw(value))]
    key = np.where(clients, key_of[h.value], -1)
    ends = clients & (h.kind != INVOKE) & (h.pair >= 0)
    key = np.where(ends & (key < 0), key[h.pair], key)
    crossed += np.flatnonzero(ends & (key[h.pair] >= 0) & (key != key[h.pair])).tolist()
    if crossed or np.any(clients & (key < 0)):
        return
    names = [name if isinstance(name, str) else h.spelled(name) for name in keys.all()]
    yield from _split(h, key, names, {"value": inner[h.value], "values": values.all()})


def _is_pair(value: Any, transactions: bool) -> bool:
    if not isinstance(value, list) or len(value) != 2:
        return False
    return not (transactions and isinstance(value[0], list))


def _split(
    h: History, key: Ints, names: list[str], columns: dict[str, Any]
) -> Iterator[tuple[str, History]]:
    clients = _clients(h)
    for number in np.unique(key[clients]).tolist():
        others = clients & (key != number)
        process = np.where(others, HARNESS, h.process)
        yield names[number], replace(h, process=process, **columns)
