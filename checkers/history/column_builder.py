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

_KIND = {name: kind for kind, name in enumerate(TYPES)}


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
        self.rows = 0

    def add(self, lines: Sequence[Line]) -> None:
        """Append a chunk of lines."""
        names, nodes, values = self._names, self._names["node"], self._values
        put = self._put
        put("index", map(attrgetter("index"), lines), np.int64)
        put("time", map(attrgetter("time"), lines), np.int64)
        put("kind", map(_KIND.__getitem__, map(attrgetter("type"), lines)), np.int8)
        put("process", self._processes_of(lines), np.int64)
        for name in ("f", "key", "id", "node"):
            put(name, map(names[name].__getitem__, map(attrgetter(name), lines)), np.int32)
        put("replica", map(nodes.__getitem__, map(attrgetter("replica"), lines)), np.int32)
        put("value", _numbers(values, map(attrgetter("value"), lines)), np.int32)
        bases = map(attrgetter("basis"), lines)
        put("basis", [ABSENT if b is UNSET else BLIND if b is None else b for b in bases], np.int64)
        self._add_siblings([line.siblings for line in lines])
        self._add_rare(lines)
        self.rows += len(lines)

    def _put(self, column: str, data: Iterable[Any], dtype: type) -> None:
        self._chunks.setdefault(column, []).append(np.fromiter(data, dtype))

    def _processes_of(self, lines: Sequence[Line]) -> list[int]:
        named = self._processes
        return [
            p if p.__class__ is int else -1 - named[p] for p in map(attrgetter("process"), lines)
        ]

    def _add_siblings(self, shown: list[list[RawSibling] | None]) -> None:
        ids, values = self._names["id"], self._values
        flat = list(chain.from_iterable(filter(None, shown)))
        self._put("shown", [siblings is not None for siblings in shown], np.bool_)
        self._put("sib_count", [len(s) if s else 0 for s in shown], np.int64)
        self._put("sib_id", map(ids.__getitem__, map(attrgetter("id"), flat)), np.int32)
        self._put("sib_value", _numbers(values, map(attrgetter("value"), flat)), np.int32)
        self._put("sib_deleted", map(attrgetter("deleted"), flat), np.bool_)

    def _add_rare(self, lines: Sequence[Line]) -> None:
        """What few lines have."""
        for row, line in enumerate(lines, self.rows):
            if line.error is not None:
                self._errors[row] = line.error
            if line.worth is not None:
                self._worth[row] = line.worth
            if line.options is not None:
                self._options[row] = line.options
            if line.due is not None:
                self._due[row] = line.due

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


def _numbers(values: NameTable, raws: Iterable[msgspec.Raw]) -> list[int]:
    """The numbers of values that are still JSON."""
    return [-1 if raw is NO_VALUE else values[bytes(raw)] for raw in raws]
