"""Transactions as columns: what the Elle-style models read out of a history.

An operation's value is a list of micro-operations [f, key, value]: ["append", 3, 1] or
["w", 3, 1], and ["r", 3, value]. What an ok transaction did is in its completion; of
one that failed, or whose outcome is not known, only its writes count, from its invocation.
A transaction of unknown outcome may have happened at any time after its invocation, or
never.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import chain, compress
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt
from dynamesis.checkers.graph.causality import NEVER
from dynamesis.checkers.history.codes import NameTable
from dynamesis.checkers.history.columns import History
from dynamesis.checkers.history.gc_pause import gc_paused
from dynamesis.checkers.history.pairing import FAIL, INFO, INVOKE, OK, Bools, Ints
from dynamesis.checkers.history.spelling import freeze, thaw

#: rows decoded at a time
_CHUNK = 20_000
#: an element or value that is not there: a read of nil
NIL = np.iinfo(np.int64).min


class NotTransactions(ValueError):
    """A history that is not one of this model; the message names index and field."""


@dataclass(frozen=True, eq=False)
class Txns:
    """Columns by transaction, in order of invocation; by micro-operation; and of the elements of
    the lists read."""

    history: History
    #: by transaction: the row of its invocation
    row: Ints
    #: the row of its completion, NEVER without
    ended: Ints
    #: OK, FAIL, INFO
    status: Ints
    process: Ints
    #: by micro-operation: its transaction
    txn: Ints
    key: Ints
    write: Bools
    #: a number; for reads of lists the length, -1 where unknown
    value: Ints
    #: whether what it read or wrote is known
    known: Bools
    #: where its elements begin: `elements[starts[i]:starts[i] + value[i]]`
    starts: Ints
    #: the lists read, one after the other
    elements: Ints
    keys: list[Any]
    #: the values by number, where they are not themselves integers
    names: list[Any] | None
    #: whether values are lists that are appended to
    lists: bool

    def __len__(self) -> int:
        return len(self.row)

    def name(self, value: int) -> Any:
        """A value as the history has it."""
        if value == NIL:
            return None
        return self.names[value] if self.names is not None else value

    def source(self, txn: int) -> int:
        """The row with most information about a transaction: its completion, if it has one."""
        return int(self.row[txn] if self.ended[txn] == NEVER else self.ended[txn])


@dataclass(frozen=True, eq=False)
class Writes:
    """What was written, each value once a key: the micro-operations, sorted by `code`, key and
    value as one number; and the values, sorted."""

    mops: Ints
    code: Ints
    values: Ints

    @classmethod
    def of(cls, t: Txns) -> Writes:
        """Raises NotTransactions when a value is written to a key twice, or nil is: a read of
        it would not show which write it saw."""
        mops = np.flatnonzero(t.write)
        nothing = mops[t.value[mops] == NIL]
        if len(nothing):
            index, key = t.source(int(t.txn[nothing[0]])), t.keys[t.key[nothing[0]]]
            raise NotTransactions(
                f"{t.history.path}, index {index}, field value: expected a value to be written "
                f"to key {_quoted(t.history, key)}, got nil"
            )
        values, dense = np.unique(t.value[mops], return_inverse=True)
        code = t.key[mops] * len(values) + dense
        by_code = np.argsort(code, kind="stable")
        mops, code = mops[by_code], code[by_code]
        twice = np.flatnonzero(code[1:] == code[:-1])
        if len(twice):
            mop = int(mops[twice[0] + 1])
            raise NotTransactions(
                f"{t.history.path}, index {t.source(int(t.txn[mop]))}, field value: expected each "
                f"value once, got {t.history.spelled(t.name(int(t.value[mop])))} written to key "
                f"{_quoted(t.history, t.keys[t.key[mop]])} twice"
            )
        return cls(mops, code, values)

    def __len__(self) -> int:
        return len(self.mops)

    def find(self, key: Ints, value: Ints) -> Ints:
        """The number of the write of each value to each key, -1 where there is none."""
        if not len(self):
            return np.full(len(key), -1, np.int64)
        dense = np.minimum(np.searchsorted(self.values, value), len(self.values) - 1)
        code = key * len(self.values) + dense
        at = np.minimum(np.searchsorted(self.code, code), len(self.code) - 1)
        same = (self.values[dense] == value) & (self.code[at] == code)
        return np.where(same, at, -1)


def _quoted(h: History, key: Any) -> str:
    """A key in a message: text in quotes, others as the history spells them."""
    return repr(key) if isinstance(key, str) else h.spelled(key)


def read_txns(h: History, writes: str, lists: bool) -> Txns:
    """Transactions of clients whose writes are called `writes`; reads give lists or single
    values. Raises NotTransactions."""
    row = np.flatnonzero((h.kind == INVOKE) & (h.process >= 0))
    pair = h.pair[row]
    status = np.where(pair >= 0, h.kind[pair], INFO).astype(np.int8)
    valued = np.where((status == OK) & (h.value[pair] >= 0), pair, row)
    _refuse_without_value(h, row, valued, status)
    with gc_paused():
        try:
            mops = _decode(h, valued, status == OK, writes, lists, _PlainValue)
        except _NotPlain:
            mops = _decode(h, valued, status == OK, writes, lists, _Named)
    ended = np.where(pair >= 0, pair, NEVER)
    columns = mops.columns
    return Txns(
        h, row, ended, status, h.process[row], columns["txn"], columns["key"], columns["write"],
        columns["value"], columns["known"], columns["starts"], columns["elements"],
        mops.keys, mops.names, lists,
    )  # fmt: skip


def _refuse_without_value(h: History, row: Ints, valued: Ints, status: Ints) -> None:
    """Raises NotTransactions where a transaction that may have happened has no value, or one that
    did has none in its completion and reads: what they did is not known."""
    missing = (h.value[valued] < 0) & (status != FAIL)
    blind = np.flatnonzero((status == OK) & h.filled[h.pair[row]] & ~missing)
    reads = [i for i in blind.tolist() if _reads(h.value_of(int(row[i])))]
    for i in [*np.flatnonzero(missing)[:1].tolist(), *reads[:1]]:
        index = int(h.pair[row[i]]) if status[i] == OK else int(row[i])
        raise NotTransactions(
            f"{h.path}, index {index}, field value: expected a list of micro-operations "
            "[f, key, value], there is no value"
        )


def _reads(value: Any) -> bool:
    return isinstance(value, list) and any(isinstance(m, list) and m[:1] == ["r"] for m in value)


class _NotPlain(Exception):
    """Values that are not integers, and so need names."""


class _PlainValue:
    """Values that are integers are their own numbers; nil is NIL."""

    names: list[Any] | None = None

    def numbers(self, values: list[Any]) -> Ints:
        kinds = set(map(type, values))
        if not kinds <= {int, type(None)}:
            raise _NotPlain
        if type(None) in kinds:
            if NIL in values:
                raise _NotPlain  # a legal value that is the number of nil
            values = [NIL if v is None else v for v in values]
            return self._array(values)
        found = self._array(values)
        if np.any(found == NIL):
            raise _NotPlain
        return found

    def _array(self, values: list[Any]) -> Ints:
        try:
            return np.fromiter(values, np.int64, len(values))
        except OverflowError:
            raise _NotPlain from None


class _Named:
    """Values of any kind, numbered in order of first use."""

    def __init__(self) -> None:
        self._numbers = NameTable()

    @property
    def names(self) -> list[Any]:
        return [thaw(name) for name in self._numbers.all()]

    def numbers(self, values: list[Any]) -> Ints:
        found = [NIL if v is None else self._numbers[freeze(v)] for v in values]
        return np.array(found, np.int64)


_decoder = msgspec.json.Decoder(list[list[tuple[str, Any, Any]]])
_loose = msgspec.json.Decoder(list[list[Any]])

#: name of a field of Txns -> its array
_Columns = dict[str, npt.NDArray[Any]]


@dataclass(frozen=True, eq=False)
class _Mops:
    """Micro-operations, with keys and values by number."""

    columns: _Columns
    keys: list[Any]
    names: list[Any] | None


def _decode(
    h: History,
    rows: Ints,
    ok: Bools,
    writes: str,
    lists: bool,
    make: Callable[[], _PlainValue | _Named],
) -> _Mops:
    values, keys = make(), NameTable()
    parts: dict[str, list[Any]] = {}
    for start in range(0, len(rows), _CHUNK):
        span = slice(start, start + _CHUNK)
        txns = _decode_chunk(h, rows[span])
        part = _chunk_columns(h, txns, rows[span], ok[span], writes, lists, values, keys)
        part["txn"] += start
        for name, column in part.items():
            parts.setdefault(name, []).append(column)
    empty = {"value": np.int64, "elements": np.int64, "txn": np.int64, "key": np.int64}
    # one by one, and what it was made of let go of: these are the largest arrays of all
    columns: _Columns = {
        name: np.concatenate(parts.pop(name)) if name in parts else np.empty(0, dtype)
        for name, dtype in (*empty.items(), ("write", np.bool_), ("known", np.bool_))
    }
    lengths = np.where(columns["write"] | (columns["value"] < 0) | (not lists), 0, columns["value"])
    columns["starts"] = np.cumsum(lengths) - lengths
    return _Mops(columns, [thaw(k) for k in keys.all()], values.names)


def _decode_chunk(h: History, rows: Ints) -> list[list[tuple[str, Any, Any]]]:
    raws = [h.values[v] if v >= 0 else b"[]" for v in h.value[rows].tolist()]
    try:
        return _decoder.decode(b"[" + b",".join(raws) + b"]")
    except (msgspec.DecodeError, RecursionError):
        return [_decode_one(h, *each) for each in zip(rows.tolist(), raws, strict=True)]


def _decode_one(h: History, row: int, raw: bytes) -> list[tuple[str, Any, Any]]:
    """One transaction. The invocation of a read may lack what it will show: ["r", key]."""
    try:
        if h.kind[row] == INVOKE:
            return _padded(_loose.decode(raw))
        (one,) = _decoder.decode(b"[" + raw + b"]")
        return one
    except (msgspec.DecodeError, RecursionError):
        raise NotTransactions(
            f"{h.path}, index {row}, field value: expected a list of micro-operations "
            f"[f, key, value], got {raw.decode()[:80]}"
        ) from None


def _padded(mops: list[list[Any]]) -> list[tuple[str, Any, Any]]:
    """Micro-operations of three parts. Raises msgspec.ValidationError."""
    filled = [[*mop, None] if len(mop) == 2 and mop[0] == "r" else mop for mop in mops]
    return msgspec.convert(filled, list[tuple[str, Any, Any]])


def _chunk_columns(
    h: History,
    txns: list[list[tuple[str, Any, Any]]],
    rows: Ints,
    ok: Bools,
    writes: str,
    lists: bool,
    values: _PlainValue | _Named,
    keys: NameTable,
) -> _Columns:
    counts = np.fromiter(map(len, txns), np.int64, len(txns))
    txn = np.repeat(np.arange(len(txns)), counts)
    mops = list(chain.from_iterable(txns))
    fs, mop_keys, mop_values = zip(*mops, strict=True) if mops else ((), (), ())
    write = np.array([f == writes for f in fs], np.bool_)
    strange = {f for f in set(fs) if f not in (writes, "r")}
    if strange:
        row = int(rows[txn[next(i for i, f in enumerate(fs) if f in strange)]])
        raise NotTransactions(
            f"{h.path}, index {row}, field value: expected micro-operations {writes!r} and 'r', "
            f"got {h.spelled(sorted(strange)[0])}"
        )
    key = np.array(_key_numbers(keys, mop_keys), np.int64)
    known = write | ok[txn]
    number = np.full(len(mops), -1, np.int64)
    number[write] = values.numbers(list(compress(mop_values, write.tolist())))
    reads = np.flatnonzero(~write & known)
    shown = list(compress(mop_values, (~write & known).tolist()))
    elements = np.empty(0, np.int64)
    if lists:
        kinds = set(map(type, shown))
        if not kinds <= {list, type(None)}:
            for i, v in zip(reads.tolist(), shown, strict=True):
                _must_be_list(h, rows, txn, i, v)
        if h.spelled.sets:
            for i, v in zip(reads.tolist(), shown, strict=True):
                _must_be_list(h, rows, txn, i, v)
        if type(None) in kinds:  # nil is the empty list
            shown = [() if v is None else v for v in shown]
        number[reads] = np.fromiter(map(len, shown), np.int64, len(shown))
        elements = _narrow(values.numbers(list(chain.from_iterable(shown))))
    else:
        number[reads] = values.numbers(shown)
    return {
        "txn": txn,
        "key": key,
        "write": write,
        "value": number,
        "known": known,
        "elements": elements,
    }


def _narrow(numbers: Ints) -> Ints:
    """The same in half the memory, where that holds them: elements are most of what there is."""
    if not len(numbers) or numbers.min() < -(1 << 31) or numbers.max() >= 1 << 31:
        return numbers
    return numbers.astype(np.int32)


def _key_numbers(keys: NameTable, named: Sequence[Any]) -> list[int]:
    plain = {int, str}
    return [keys[k] if k.__class__ in plain else keys[freeze(k)] for k in named]


def _must_be_list(h: History, rows: Ints, txn: Ints, mop: int, value: Any) -> None:
    """What a read of a list showed is a list, or nil: a set of EDN has no order. Raises
    NotTransactions."""
    if value is None or (value.__class__ is list and not h.spelled.is_set(value)):
        return
    row = int(rows[txn[mop]])
    raise NotTransactions(
        f"{h.path}, index {row}, field value: expected a list read, got {h.spelled(value)}"
    )
