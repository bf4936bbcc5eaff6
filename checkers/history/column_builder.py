"""Gathers the lines of a history, a chunk at a time, into columns."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import chain
from operator import attrgetter
from typing import Any

import numpy as np
import numpy.typing as npt
from dynamesis.checkers.history.chunk import Chunk, Words
from dynamesis.checkers.history.codes import (
    ABSENT,
    BLIND,
    DYNAMO,
    NameTable,
    WordTable,
    as_name,
)
from dynamesis.checkers.history.op import (
    JsonObject,
    OpError,
    RawSibling,
)
from dynamesis.checkers.history.pairing import INVOKE, OK, Bools, Ints, pair, previous, threads
from dynamesis.checkers.history.value_table import ValueTable
from msgspec import UNSET

_TXN = "txn"

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
        #: of those of which short names came
        self._words: dict[str, WordTable] = {}
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

    def add(self, lines: Chunk) -> None:
        """Append a chunk of lines."""
        put, count = self._put, len(lines.index)
        put("index", lines.index)
        put("time", lines.time)
        put("kind", lines.kind)
        put("process", self._processes_of(lines.process))
        same = _all_same(lines.f)
        if same is None:
            self._put_names("f", "f", lines.f, count)
        else:
            self._put_all("f", self._names["f"][same], count)
        of = (("key", "key", lines.key), ("id", "id", lines.id), ("node", "node", lines.node))
        for column, table, names in (*of, ("replica", "node", lines.replica)):
            self._put_names(column, table, names, count)
        self._put_some("value", self._values_of(lines.value, same), -1, count)
        self._put_some("basis", _bases_of(lines.basis), ABSENT, count)
        self._add_siblings(lines.siblings, count)
        rare = (lines.error, lines.worth, lines.options, lines.due)
        for found, fields in zip(self._rare, rare, strict=True):
            found.update({self.rows + row: each for row, each in fields.items()})
        self.rows += count

    def _put(self, column: str, data: Iterable[Any]) -> None:
        dtype = _DTYPES[column]
        array = data if isinstance(data, np.ndarray) else np.fromiter(data, dtype)
        self._chunks.setdefault(column, []).append(array.astype(dtype, copy=False))

    def _put_all(self, column: str, value: int, count: int) -> None:
        self._chunks.setdefault(column, []).append((value, count))

    def _put_names(
        self, column: str, table: str, names: Sequence[Any] | Words | None, count: int
    ) -> None:
        if names is None:
            self._put_all(column, -1, count)
        elif isinstance(names, np.ndarray):
            if table not in self._words:
                self._words[table] = WordTable(self._names[table])
            self._put(column, self._words[table][names])
        else:
            self._put(column, map(self._names[table].__getitem__, names))

    def _put_some(self, column: str, data: Iterable[int] | None, absent: int, count: int) -> None:
        if data is None:
            self._put_all(column, absent, count)
        else:
            self._put(column, data)

    def _values_of(self, values: Sequence[bytes] | None, f: str | None) -> Sequence[int] | None:
        """The numbers of the values of operations that all have this f, None: several."""
        if values is None:
            return None
        return self._values.of_transactions(values) if f == _TXN else self._values[values]

    def _processes_of(self, processes: Sequence[int | str] | Ints) -> Iterable[int]:
        named = self._processes
        if isinstance(processes, np.ndarray) or str not in set(map(type, processes)):
            return processes  # type: ignore[return-value]
        return [p if p.__class__ is int else -1 - named[p] for p in processes]

    def _add_siblings(self, shown: Sequence[list[RawSibling] | None] | None, count: int) -> None:
        if shown is None:
            self._put_all("shown", 0, count)
            self._put_all("sib_count", 0, count)
            return
        flat = list(chain.from_iterable(filter(None, shown)))
        self._put("shown", [siblings is not None for siblings in shown])
        self._put("sib_count", [len(s) if s else 0 for s in shown])
        ids = self._names["id"]
        self._put("sib_id", map(ids.__getitem__, map(attrgetter("id"), flat)))
        self._put("sib_value", self._values[map(bytes, map(attrgetter("value"), flat))])
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
        others = np.array([f not in DYNAMO for f in self._names["f"]][1:], np.bool_)
        ends = (columns["process"] >= 0) & (kind != INVOKE) & (other >= 0)
        if len(others):
            ends &= others[columns["f"]]
        filled: Bools = ends & ((value < 0) | nothing)
        return filled


def _all_same(names: Sequence[str] | Words) -> str | None:
    """What all of these are, if they are the same."""
    if not len(names) or names[0] != names[-1]:
        return None
    if isinstance(names, np.ndarray):
        return as_name(int(names[0])) if np.all(names == names[0]) else None
    return names[0] if names.count(names[0]) == len(names) else None


def _bases_of(bases: Sequence[Any] | None) -> list[int] | None:
    if bases is None:
        return None
    return [ABSENT if b is UNSET else BLIND if b is None else b for b in bases]


def _joined(chunks: list[npt.NDArray[Any] | tuple[int, int]], dtype: type) -> npt.NDArray[Any]:
    """One array of all chunks. A field that no line has takes one element of memory."""
    alike = {chunk[0] for chunk in chunks if isinstance(chunk, tuple)}
    if len(alike) == 1 and all(isinstance(chunk, tuple) for chunk in chunks):
        count = sum(int(chunk[1]) for chunk in chunks)
        return np.broadcast_to(np.array(alike.pop(), dtype), (count,))
    arrays = [np.full(c[1], c[0], dtype) if isinstance(c, tuple) else c for c in chunks]
    if len(arrays) == 1:
        return arrays[0]
    return np.concatenate(arrays) if arrays else np.empty(0, dtype)


def _starts(counts: Ints) -> Ints:
    """By row, and one more: where its siblings begin, of which each row has so many."""
    starts = np.zeros(len(counts) + 1, np.int64)
    np.cumsum(counts, out=starts[1:])
    return starts
