"""Gathers the lines of a history, a chunk at a time, into columns."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import chain
from operator import attrgetter
from typing import Any

import msgspec
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
    NO_VALUE,
    JsonObject,
    Line,
    OpError,
    RawSibling,
)
from dynamesis.checkers.history.pairing import INVOKE, OK, Bools, Ints, pair, threads
from msgspec import UNSET
from msgspec.structs import astuple

_KIND = {name: kind for kind, name in enumerate(TYPES)}
#: the fields of no lines
_NO_COLUMNS: tuple[tuple[Any, ...], ...] = ((),) * len(Line.__struct_fields__)


class Builder:
    """Gathers lines, a chunk at a time, into columns. `indices` keeps the index
    that each line claims, for the check that it equals the row."""

    def __init__(self) -> None:
        self._chunks: dict[str, list[npt.NDArray[Any]]] = {}
        self._names = {name: NameTable() for name in ("f", "key", "id", "node")}
        self._values = NameTable()
        self._processes = NameTable()
        self._processes["harness"], self._processes["nemesis"] = 0, 1
        self._errors: dict[int, OpError] = {}
        self._worth: dict[int, JsonObject] = {}
        self._options: dict[int, JsonObject] = {}
        self._due: dict[int, int] = {}
        #: what few lines have: the last fields of a line
        self._rare: tuple[dict[int, Any], ...] = (
            self._errors, self._worth, self._options, self._due,
        )  # fmt: skip
        self.rows = 0

    def add(self, lines: Sequence[Line]) -> None:
        """Append a chunk of lines."""
        names, put = self._names, self._put
        (
            index, time, kind, process, f, key, id_, value, basis, node, replica, siblings,
            *rare
        ) = zip(*map(astuple, lines), strict=True) if lines else _NO_COLUMNS  # fmt: skip
        put("index", index, np.int64)
        put("time", time, np.int64)
        put("kind", map(_KIND.__getitem__, kind), np.int8)
        put("process", self._processes_of(process), np.int64)
        put("f", map(names["f"].__getitem__, f), np.int32)
        for name, of in (("key", key), ("id", id_), ("node", node)):
            self._put_names(name, names[name], of)
        self._put_names("replica", names["node"], replica)
        put("value", _numbers(self._values, value), np.int32)
        self._put_bases(basis)
        self._add_siblings(siblings)
        for found, column in zip(self._rare, rare, strict=True):
            if not _nothing(column):
                found.update(
                    (row, each) for row, each in enumerate(column, self.rows) if each is not None
                )
        self.rows += len(lines)

    def _put(self, column: str, data: Iterable[Any], dtype: type) -> None:
        self._chunks.setdefault(column, []).append(np.fromiter(data, dtype))

    def _put_all(self, column: str, value: int, count: int, dtype: type) -> None:
        self._chunks.setdefault(column, []).append(np.full(count, value, dtype))

    def _put_names(self, column: str, table: NameTable, names: Sequence[Any]) -> None:
        if _nothing(names):
            self._put_all(column, -1, len(names), np.int32)
        else:
            self._put(column, map(table.__getitem__, names), np.int32)

    def _put_bases(self, bases: Sequence[Any]) -> None:
        if bases.count(UNSET) == len(bases):
            self._put_all("basis", ABSENT, len(bases), np.int64)
        else:
            numbers = [ABSENT if b is UNSET else BLIND if b is None else b for b in bases]
            self._put("basis", numbers, np.int64)

    def _processes_of(self, processes: Sequence[int | str]) -> Sequence[int]:
        named = self._processes
        if str not in set(map(type, processes)):
            return processes  # type: ignore[return-value]
        return [p if p.__class__ is int else -1 - named[p] for p in processes]

    def _add_siblings(self, shown: Sequence[list[RawSibling] | None]) -> None:
        if _nothing(shown):
            self._put_all("shown", 0, len(shown), np.bool_)
            self._put_all("sib_count", 0, len(shown), np.int64)
            flat = []
        else:
            flat = list(chain.from_iterable(filter(None, shown)))
            self._put("shown", [siblings is not None for siblings in shown], np.bool_)
            self._put("sib_count", [len(s) if s else 0 for s in shown], np.int64)
        ids, values = self._names["id"], self._values
        self._put("sib_id", map(ids.__getitem__, map(attrgetter("id"), flat)), np.int32)
        self._put("sib_value", _numbers(values, map(attrgetter("value"), flat)), np.int32)
        self._put("sib_deleted", map(attrgetter("deleted"), flat), np.bool_)

    def build(self) -> dict[str, Any]:
        """The columns and tables of the history so far, paired."""
        if not self._chunks:
            self.add([])
        columns: dict[str, npt.NDArray[Any]] = {
            name: np.concatenate(chunks) for name, chunks in self._chunks.items()
        }
        columns.pop("index")
        counts = columns.pop("sib_count")
        thread = threads(columns["process"], columns["f"], columns["key"], columns["replica"])
        other = pair(columns["kind"], thread)
        filled = self._without_value(columns, other)
        columns["value"] = np.where(filled, columns["value"][other], columns["value"])
        return dict(
            **columns,
            sib_start=np.concatenate([[0], np.cumsum(counts)]).astype(np.int64),
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
        nothing = (value == self._values.get(b"null", -1)) & (kind != OK)
        own = [number for f, number in self._names["f"].items() if f in DYNAMO]
        ends = (columns["process"] >= 0) & (kind != INVOKE) & (other >= 0)
        ends &= ~np.isin(columns["f"], own)
        filled: Bools = ends & ((value < 0) | nothing)
        return filled

    @property
    def indices(self) -> Ints:
        """The index that each line claimed."""
        return np.concatenate(self._chunks.get("index", [np.empty(0, np.int64)]))


def _nothing(column: Sequence[Any]) -> bool:
    """Whether no line of a chunk has this field."""
    return column.count(None) == len(column)


def _numbers(values: NameTable, raws: Iterable[msgspec.Raw]) -> list[int]:
    """The numbers of values that are still JSON."""
    return [-1 if raw is NO_VALUE else values[bytes(raw)] for raw in raws]
