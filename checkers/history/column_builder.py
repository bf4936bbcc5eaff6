"""Gathers the lines of a history, a chunk at a time, into columns."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import chain
from operator import attrgetter
from typing import Any

import numpy as np
import numpy.typing as npt
from dynamesis.checkers.history.codes import (
    ABSENT,
    BLIND,
    DYNAMO,
    TYPES,
    NameTable,
)
from dynamesis.checkers.history.op import (
    JsonObject,
    Line,
    OpError,
    RawSibling,
)
from dynamesis.checkers.history.pairing import INVOKE, OK, Bools, Ints, pair, previous, threads
from dynamesis.checkers.history.value_table import ValueTable
from msgspec import UNSET
from msgspec.structs import astuple

_TXN = "txn"
_KIND = {name: kind for kind, name in enumerate(TYPES)}
#: the fields of no lines
_NO_COLUMNS: tuple[tuple[Any, ...], ...] = ((),) * len(Line.__struct_fields__)


#: the columns, and what each holds
_DTYPES: dict[str, type] = {
    "index": np.int64,
    "time": np.int64,
    "kind": np.int8,
    "process": np.int64,
    "f": np.int32,
    "key": np.int32,
    "id": np.int32,
    "node": np.int32,
    "replica": np.int32,
    "value": np.int32,
    "basis": np.int64,
    "shown": np.bool_,
    "sib_count": np.int64,
    "sib_id": np.int32,
    "sib_value": np.int32,
    "sib_deleted": np.bool_,
}


class Builder:
    """Gathers lines, a chunk at a time, into columns. `indices` keeps the index
    that each line claims, for the check that it equals the row."""

    def __init__(self) -> None:
        #: by column: arrays, and for lines that lack the field (its value, how many)
        self._chunks: dict[str, list[npt.NDArray[Any] | tuple[int, int]]] = {}
        self._names = {name: NameTable() for name in ("f", "key", "id", "node")}
        self._values = ValueTable()
        self._processes = NameTable()
        for name in ("harness", "nemesis"):  # in the order of HARNESS and NEMESIS
            self._processes[name]
        self._errors: dict[int, OpError] = {}
        self._worth: dict[int, JsonObject] = {}
        self._options: dict[int, JsonObject] = {}
        self._due: dict[int, int] = {}
        #: what few lines have: the last fields of a line
        self._rare: tuple[dict[int, Any], ...] = (
            self._errors, self._worth, self._options, self._due,
        )  # fmt: skip
        self.rows = 0
        #: the index that each line claimed, and the row of the same thread's event before it; known
        #: once the columns are built
        self.indices: Ints = np.empty(0, np.int64)
        self.before: Ints = np.empty(0, np.int64)

    def add(self, lines: Sequence[Line]) -> None:
        """Append a chunk of lines."""
        names, put = self._names, self._put
        (
            index, time, kind, process, f, key, id_, value, basis, node, replica, siblings,
            *rare
        ) = zip(*map(astuple, lines), strict=True) if lines else _NO_COLUMNS  # fmt: skip
        put("index", index)
        put("time", time)
        put("kind", map(_KIND.__getitem__, kind))
        put("process", self._processes_of(process))
        same = _all_same(f)
        if same is None:
            put("f", map(names["f"].__getitem__, f))
        else:
            self._put_all("f", names["f"][same], len(f))
        for name, of in (("key", key), ("id", id_), ("node", node)):
            self._put_names(name, names[name], of)
        self._put_names("replica", names["node"], replica)
        put("value", self._values.of_transactions(value) if same == _TXN else self._values[value])
        self._put_bases(basis)
        self._add_siblings(siblings)
        for found, column in zip(self._rare, rare, strict=True):
            if not _nothing(column):
                found.update(
                    {row: each for row, each in enumerate(column, self.rows) if each is not None}
                )
        self.rows += len(lines)

    def _put(self, column: str, data: Iterable[Any]) -> None:
        self._chunks.setdefault(column, []).append(np.fromiter(data, _DTYPES[column]))

    def _put_all(self, column: str, value: int, count: int) -> None:
        self._chunks.setdefault(column, []).append((value, count))

    def _put_names(self, column: str, table: NameTable, names: Sequence[Any]) -> None:
        if _nothing(names):
            self._put_all(column, -1, len(names))
        else:
            self._put(column, map(table.__getitem__, names))

    def _put_bases(self, bases: Sequence[Any]) -> None:
        if bases.count(UNSET) == len(bases):
            self._put_all("basis", ABSENT, len(bases))
        else:
            numbers = [ABSENT if b is UNSET else BLIND if b is None else b for b in bases]
            self._put("basis", numbers)

    def _processes_of(self, processes: Sequence[int | str]) -> Sequence[int]:
        named = self._processes
        if str not in set(map(type, processes)):
            return processes  # type: ignore[return-value]
        return [p if p.__class__ is int else -1 - named[p] for p in processes]

    def _add_siblings(self, shown: Sequence[list[RawSibling] | None]) -> None:
        if _nothing(shown):
            self._put_all("shown", 0, len(shown))
            self._put_all("sib_count", 0, len(shown))
            return
        flat = list(chain.from_iterable(filter(None, shown)))
        self._put("shown", [siblings is not None for siblings in shown])
        self._put("sib_count", [len(s) if s else 0 for s in shown])
        ids = self._names["id"]
        self._put("sib_id", map(ids.__getitem__, map(attrgetter("id"), flat)))
        self._put("sib_value", self._values[map(attrgetter("value"), flat)])
        self._put("sib_deleted", map(attrgetter("deleted"), flat))

    def build(self) -> dict[str, Any]:
        """The columns and tables of the history so far, paired; the builder is spent then."""
        columns = {
            name: _joined(self._chunks.pop(name, []), dtype) for name, dtype in _DTYPES.items()
        }
        self.indices = columns.pop("index")
        counts = columns.pop("sib_count")
        thread = threads(columns["process"], columns["f"], columns["key"], columns["replica"])
        self.before = previous(thread)
        other = pair(columns["kind"], self.before)
        filled = self._without_value(columns, other)
        columns["value"] = np.where(filled, columns["value"][other], columns["value"])
        return dict(
            **columns,
            sib_start=_starts(counts),
            pair=other,
            filled=filled,
            fs=self._names["f"].all(),
            keys=self._names["key"].all(),
            ids=self._names["id"].all(),
            nodes=self._names["node"].all(),
            values=self._values.all(),
            processes=self._processes.all(),
            errors=self._errors,
            worth=self._worth,
            options=self._options,
            due=self._due,
        )

    def _without_value(self, columns: Mapping[str, Ints], other: Ints) -> Bools:
        """The completions of clients without a value, which get that of their invocation. The null
        of one that did not succeed is not a value either; one that did may have read it.
        Versions of model `dynamo` go by their ids instead."""
        kind, value = columns["kind"], columns["value"]
        nothing = (value == self._values.null) & (kind != OK)
        own = [number for f, number in self._names["f"].items() if f in DYNAMO]
        ends = (columns["process"] >= 0) & (kind != INVOKE) & (other >= 0)
        ends &= ~np.isin(columns["f"], own)
        filled: Bools = ends & ((value < 0) | nothing)
        return filled


def _all_same(names: Sequence[str]) -> str | None:
    """What all of these are, if they are the same."""
    if not names or names[0] != names[-1] or names.count(names[0]) != len(names):
        return None
    return names[0]


def _nothing(column: Sequence[Any]) -> bool:
    """Whether no line of a chunk has this field."""
    return column.count(None) == len(column)


def _joined(chunks: list[npt.NDArray[Any] | tuple[int, int]], dtype: type) -> npt.NDArray[Any]:
    """One array of all chunks. A field that no line has takes one element of memory."""
    alike = {chunk[0] for chunk in chunks if isinstance(chunk, tuple)}
    if len(alike) == 1 and all(isinstance(chunk, tuple) for chunk in chunks):
        count = sum(int(chunk[1]) for chunk in chunks)
        return np.broadcast_to(np.array(alike.pop(), dtype), (count,))
    arrays = [np.full(c[1], c[0], dtype) if isinstance(c, tuple) else c for c in chunks]
    return np.concatenate(arrays) if arrays else np.empty(0, dtype)


def _starts(counts: Ints) -> Ints:
    """By row, and one more: where its siblings begin, of which each row has so many."""
    starts = np.zeros(len(counts) + 1, np.int64)
    np.cumsum(counts, out=starts[1:])
    return starts
