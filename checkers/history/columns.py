"""A history held as columns: one numpy array a field, not one object an event.

A row is an event; its number is its `index`. NameTable (keys, ids, nodes) and values are
held once in a table, and a column holds their number in it, -1 for none. So a million
operations fit in a few hundred MiB, and a check is array arithmetic wherever it can be.
Siblings are flattened: those of row i are `sib_id[sib_start[i]:sib_start[i + 1]]`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import chain
from operator import attrgetter
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt
from dynamesis.checkers.history.op import (
    NO_VALUE,
    JsonObject,
    Line,
    Op,
    OpError,
    RawSibling,
    Sibling,
    Type,
    Unheld,
    as_line,
    canonical,
)
from dynamesis.checkers.history.pairing import INVOKE, OK, Bools, Ints, Row, pair, threads
from dynamesis.checkers.history.spelling import JSON, Spelling
from msgspec import UNSET

TYPES: tuple[Type, ...] = ("invoke", "ok", "fail", "info")
HARNESS, NEMESIS = -1, -2
#: The fs of model `dynamo`, whose fields are held to its rules.
DYNAMO = ("put", "delete", "get", "dump")
#: in the basis column: a blind write, and no basis field at all
BLIND, ABSENT = -1, -2

_KIND = {name: kind for kind, name in enumerate(TYPES)}


class NameTable(dict[Any, int]):
    """name -> its number, given out in order of first use; None is -1."""

    def __init__(self, none: Any = None) -> None:
        super().__init__({none: -1})

    def __missing__(self, name: Any) -> int:
        number = self[name] = len(self) - 1
        return number

    def all(self) -> list[Any]:
        """The names by number."""
        return list(self)[1:]


@dataclass(frozen=True, eq=False)
class History:
    """Columns of equal length, tables of names, and what few rows have (dicts by row)."""

    #: ns since the test began
    time: Ints
    #: INVOKE, OK, FAIL, INFO
    kind: Ints
    #: clients as they are (>= 0), HARNESS, NEMESIS, other names below these
    process: Ints
    f: Ints
    key: Ints
    id: Ints
    value: Ints
    #: the row whose context was sent, BLIND, or ABSENT
    basis: Ints
    node: Ints
    replica: Ints
    #: whether the row has a list of siblings
    shown: Bools
    #: by row, and one more: where its siblings begin in the columns below
    sib_start: Ints
    sib_id: Ints
    sib_value: Ints
    sib_deleted: Bools
    #: the row of the other half of an operation, -1 if there is none
    pair: Ints
    #: which completions had no value, and have that of their invocation
    filled: Bools
    fs: list[str]
    keys: list[str]
    ids: list[str]
    #: as JSON; `value_of` decodes
    values: list[bytes]
    nodes: list[str]
    processes: list[str]
    errors: dict[int, OpError]
    #: quorum information of answers
    worth: dict[int, JsonObject]
    path: str = "history"
    #: the text of a decoded value as the history's file spells it, for proofs
    spelled: Spelling = JSON
    options: dict[int, JsonObject] = field(default_factory=dict)
    #: of invocations that began late, when they were due, ns
    due: dict[int, int] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.time)

    @classmethod
    def of(cls, ops: Iterable[Op], path: str = "history") -> History:
        """From events in memory. One without index gets its place; one without time, 1 ms
        a step. Checks nothing: see `checkers.history.wellformed`."""
        builder = Builder()
        lines = [as_line(op) for op in ops]
        for i, line in enumerate(lines):
            line.index = i if line.index < 0 else line.index
            line.time = i * 1_000_000 if line.time < 0 else line.time
        builder.add(lines)
        return builder.build(path)

    def rows(self, *fs: str) -> Bools:
        """Which rows have one of these fs."""
        wanted = [i for i, name in enumerate(self.fs) if name in fs]
        return np.isin(self.f, wanted)

    def where(self, chosen: Bools) -> tuple[Row, ...]:
        """The rows that are chosen, in order."""
        return tuple(map(Row, np.flatnonzero(chosen).tolist()))

    def decode(self, value: int) -> Any:
        """The value of this number in the table; None for -1. One with a number or a depth that
        cannot be held stays text, and so is equal to none but itself."""
        if value < 0:
            return None
        try:
            return msgspec.json.decode(self.values[value])
        except (msgspec.DecodeError, RecursionError):
            return Unheld(self.values[value].decode())

    @cached_property
    def same_value(self) -> Ints:
        """The value column, with one number for all values that are equal, however their
        JSON is spelled; -1 for null too."""
        number = {value: i for i, value in enumerate(self.values)}
        table = np.append(np.arange(len(self.values)), -1)
        for i, value in enumerate(self.values):
            if not (value.isdigit() or (value[:1] == b'"' and b"\\" not in value)):
                value_ = self.decode(i)
                if value_.__class__ is not Unheld:
                    table[i] = number.setdefault(canonical(value_), i)
        table[number.get(b"null", -1)] = -1
        same: Ints = table[self.value]
        return same

    def value_of(self, row: int) -> Any:
        """The decoded value of a row."""
        return self.decode(int(self.value[row]))

    def seconds(self, row: int) -> float:
        """When a row happened, in s since the test began."""
        return int(self.time[row]) / 1e9

    def name_of(self, process: int) -> int | str:
        """A process as the history names it."""
        return process if process >= 0 else self.processes[-process - 1]

    def siblings(self, row: int) -> list[Sibling]:
        """What a row showed."""
        span = slice(int(self.sib_start[row]), int(self.sib_start[row + 1]))
        return [
            Sibling(self.ids[i], self.decode(v), bool(d))
            for i, v, d in zip(
                self.sib_id[span].tolist(),
                self.sib_value[span].tolist(),
                self.sib_deleted[span].tolist(),
                strict=True,
            )
        ]

    @cached_property
    def key_of(self) -> Ints:
        """The key of each row; a completion without key has that of its invocation."""
        ends = (self.kind != INVOKE) & (self.pair >= 0)
        return np.where(ends, self.key[self.pair], self.key).astype(np.int64)

    def op(self, row: int) -> Op:
        """The event of a row again."""
        basis = int(self.basis[row])
        return Op(
            index=row,
            time=int(self.time[row]),
            type=TYPES[self.kind[row]],
            process=self.name_of(int(self.process[row])),
            f=self.fs[self.f[row]],
            key=_named(self.keys, self.key[row]),
            id=_named(self.ids, self.id[row]),
            value=self.value_of(row),
            basis=UNSET if basis == ABSENT else None if basis == BLIND else basis,
            node=_named(self.nodes, self.node[row]),
            replica=_named(self.nodes, self.replica[row]),
            siblings=self.siblings(row) if self.shown[row] else None,
            error=self.errors.get(row),
            worth=self.worth.get(row),
            options=self.options.get(row),
            due=self.due.get(row),
        )

    def __iter__(self) -> Iterator[Op]:
        return map(self.op, range(len(self)))

    def ops(self) -> Iterable[Op]:
        """Every event in order."""
        return iter(self)


def _named(table: Sequence[str], number: int) -> str | None:
    return None if number < 0 else table[number]


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

    def build(self, path: str, spelled: Spelling = JSON) -> History:
        """The history so far, paired; `spelled` is how its file writes values."""
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
        return History(
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
            path=path,
            spelled=spelled,
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
