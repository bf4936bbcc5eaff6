"""A history held as columns: one numpy array a field, not one object an event.

A row is an event; its number is its `index`. NameTable (keys, ids, nodes) and values are
held once in a table, and a column holds their number in it, -1 for none. So a million
operations fit in a few hundred MiB, and a check is array arithmetic wherever it can be.
Siblings are flattened: those of row i are `sib_id[sib_start[i]:sib_start[i + 1]]`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import msgspec
import numpy as np
from dynamesis.checkers.history.chunk import Chunk
from dynamesis.checkers.history.codes import (
    ABSENT,
    BLIND,
    HARNESS,
    TYPES,
)
from dynamesis.checkers.history.column_builder import Builder
from dynamesis.checkers.history.op import (
    JsonObject,
    Op,
    OpError,
    Sibling,
    Unheld,
    canonical,
)
from dynamesis.checkers.history.pairing import INFO, INVOKE, Bools, Ints, Row
from dynamesis.checkers.history.spelling import JSON, Spelling
from msgspec import UNSET

#: rows of a history up to which what is asked of it often is kept
_KEPT = 20_000


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
    #: as JSON; `value_of` decodes. One number for equal texts, but for those of transactions
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
    #: the row of the same thread's event before each row (`pairing.previous`), where it was kept
    before: Ints | None = None

    def __len__(self) -> int:
        return len(self.time)

    @classmethod
    def of(cls, ops: Iterable[Op], path: str = "history") -> History:
        """From events in memory. One without index gets its place; one without time, 1 ms
        a step. Checks nothing: see `checkers.history.wellformed`."""
        builder = Builder()
        builder.add(Chunk.of_ops(ops if isinstance(ops, Sequence) else list(ops)))
        return cls(**builder.build(), path=path, before=builder.before)

    @classmethod
    def built(cls, builder: Builder, path: str, spelled: Spelling = JSON) -> History:
        """From the lines that a builder has; `spelled` is how their file writes values."""
        return cls(**builder.build(), path=path, spelled=spelled)

    @cached_property
    def _rows(self) -> dict[tuple[str, ...], Bools]:
        """What `rows` keeps."""
        return {}

    @cached_property
    def _reported(self) -> dict[str, list[tuple[int, JsonObject]]]:
        """What `reported` keeps."""
        return {}

    def rows(self, *fs: str) -> Bools:
        """Which rows have one of these fs. Of a history that is not long the answer is kept, since
        checkers ask for the same again and again; it cannot be changed."""
        found = self._rows.get(fs)
        if found is None:
            found = self._rows_of(fs)
            if len(found) <= _KEPT:
                found.flags.writeable = False
                self._rows[fs] = found
        return found

    def _rows_of(self, fs: Sequence[str]) -> Bools:
        numbers = [number for number, name in enumerate(self.fs) if name in fs]
        if not numbers:
            return np.zeros(len(self.f), dtype=bool)
        found: Bools = self.f == numbers[0]
        for number in numbers[1:]:
            found |= self.f == number
        return found

    def reported(self, f: str) -> list[tuple[int, JsonObject]]:
        """The rows in which the harness reports something by this name, with the object that each
        has; asked for by several checkers, and decoded once. Must not be changed."""
        found = self._reported.get(f)
        if found is None:
            rows = np.flatnonzero((self.kind == INFO) & (self.process == HARNESS) & self.rows(f))
            values = ((row, self.value_of(row)) for row in rows.tolist())
            found = self._reported[f] = [each for each in values if isinstance(each[1], dict)]
        return found

    def count_by_f(self, chosen: Bools) -> list[int]:
        """By number of each f: how many of the chosen rows have it."""
        counts: list[int] = np.bincount(self.f[chosen], minlength=len(self.fs)).tolist()
        return counts

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

    def text_of(self, row: int) -> bytes:
        """The value of a row as JSON, empty for none."""
        number = int(self.value[row])
        return self.values[number] if number >= 0 else b""

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
