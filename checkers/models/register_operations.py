"""The operations of registers as columns: which key, which value, when.

Keys and values become numbers; the value that a register holds at first is -1. Operations
that certainly had no effect are left out: writes that failed, reads that did not succeed, and
writes of unknown outcome whose value was never read.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from dynamesis.checkers.graph.causality import NEVER
from dynamesis.checkers.history.codes import NameTable
from dynamesis.checkers.history.columns import History
from dynamesis.checkers.history.op import canonical
from dynamesis.checkers.history.pairing import FAIL, INFO, INVOKE, OK, Bools, Ints
from dynamesis.checkers.history.spelling import freeze
from dynamesis.checkers.models.independent import other_key

WRITES = ("write", "w")


@dataclass(frozen=True, eq=False)
class Operations:
    """The reads and writes that count, one row each: `key` and `value` as numbers (value -1:
    the initial one), begin and end (rows; NEVER for a write of unknown outcome)."""

    row: Ints
    write: Bools
    key: Ints
    value: Ints
    begin: Ints
    end: Ints
    keys: list[Any]

    def only(self, chosen: Any) -> Operations:
        columns = ("row", "write", "key", "value", "begin", "end")
        return replace(self, **{name: getattr(self, name)[chosen] for name in columns})


def keyed(h: History, initial: Any) -> tuple[Ints, Ints, list[Any]] | str:
    """Key and value of each row as numbers, -1 for the initial value. Without a key field,
    values that are all pairs are [key, value]; else there is one register. A reason where some
    operations name a key and others do not."""
    clients = h.process >= 0
    if np.any(h.key[clients] >= 0):
        key, value, names = h.key_of, _plain_values(h, initial), list(h.keys)
    else:
        used = np.unique(h.value[clients & (h.value >= 0)]).tolist()
        decoded = {i: h.decode(i) for i in used}
        pairs = {i: v for i, v in decoded.items() if v is not None}
        if not pairs or not all(isinstance(v, list) and len(v) == 2 for v in pairs.values()):
            return np.zeros(len(h), np.int64), _plain_values(h, initial), ["register"]
        key, value, names = _paired_values(h, pairs, initial)
        ends = clients & (h.kind != INVOKE) & (h.pair >= 0) & (key >= 0) & (key[h.pair] >= 0)
        crossed = np.flatnonzero(ends & (key != key[h.pair]))
        if len(crossed):
            return other_key(h, int(crossed[0]))
    write = h.rows(*WRITES)
    counts = (write & (h.kind == INVOKE)) | (~write & (h.kind == OK))
    nameless = np.flatnonzero(clients & (key < 0) & counts)
    if len(nameless):
        return f"index {nameless[0]}, field key: expected a key, as other operations have one"
    return key, value, names


def _plain_values(h: History, initial: Any) -> Ints:
    """The number of each row's value, -1 for the initial one; where that is not nil, nil gets
    a number like any other value."""
    value = h.same_value
    if initial is None:
        return value
    at = _number_of(h, initial)
    nil = len(h.values)
    return np.where(value < 0, nil, np.where(value == at, -1, value))


def _number_of(h: History, wanted: Any) -> int:
    """The number that `same_value` gives to a value, -2 if nothing in the history equals it."""
    text = canonical(wanted)
    for number in np.unique(h.same_value[h.same_value >= 0]).tolist():
        raw = h.values[number]
        plain = raw.isdigit() or (raw[:1] == b'"' and b"\\" not in raw)
        if raw == text or (not plain and canonical(h.decode(number)) == text):
            return int(number)
    return -2


def _paired_values(h: History, pairs: dict[int, Any], initial: Any) -> tuple[Ints, Ints, list[Any]]:
    """Keys and values of rows whose values are [key, value]."""
    keys, values = NameTable(), NameTable()
    first = freeze(initial)
    table = np.full((len(h.values) + 1, 2), -1, np.int64)
    for i, (k, v) in pairs.items():
        frozen = freeze(v)
        table[i] = keys[freeze(k)], -1 if frozen == first else values[frozen]
    both = table[h.value]
    return both[:, 0], both[:, 1], [h.spelled(k) if _odd(k) else k for k in keys.all()]


def _odd(key: Any) -> bool:
    return not isinstance(key, str | int)


def operations_of(
    h: History, key: Ints, value: Ints, names: list[Any]
) -> tuple[Operations, list[str]]:
    """The operations that count, and why they cannot be judged: a value is written twice."""
    row = np.flatnonzero((h.kind == INVOKE) & (h.process >= 0))
    pair = h.pair[row]
    status = np.where(pair >= 0, h.kind[pair], INFO)
    write = h.rows(*WRITES)[row]
    named = np.where(write, row, pair)
    end = np.where(status == OK, pair, NEVER)
    counts = np.where(write, status != FAIL, status == OK)
    every = Operations(row, write, key[named], value[named], row, end, names)
    ops = every.only(counts)
    reasons = []
    writes = ops.only(ops.write)
    both = writes.key * (int(value.max(initial=0)) + 2) + writes.value
    values, times = np.unique(both, return_counts=True)
    if np.any(times > 1) or np.any(writes.value < 0):
        at = int(writes.row[np.isin(both, values[times > 1]) | (writes.value < 0)][-1])
        reasons.append(
            f"index {at} writes {h.spelled(h.value_of(at))}, which another write writes too, or "
            "which is the initial value: a read of it does not name its write, and zones cannot "
            "judge"
        )
    unread = ops.write & (ops.end == NEVER) & ~_is_read(ops, value)
    return ops.only(~unread), reasons


def code(key: Ints, value: Ints, span: int) -> Ints:
    """Key and value as one number; `span`: the largest number of a value, plus 2."""
    return key * span + value + 1


def _is_read(ops: Operations, value: Ints) -> Bools:
    span = int(value.max(initial=0)) + 2
    both = code(ops.key, ops.value, span)
    return np.isin(both, both[~ops.write])
