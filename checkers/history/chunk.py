"""Some lines of a history, column by column: what the builder of a history takes in.

A column is a sequence with an element a line, or None where none of the lines has the field, as it
is with most fields of most histories.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
from dynamesis.checkers.history.codes import TYPES
from dynamesis.checkers.history.op import (
    JsonObject,
    Line,
    Op,
    OpError,
    RawSibling,
    Sibling,
    as_raw,
    text,
)
from dynamesis.checkers.history.pairing import Ints
from msgspec import UNSET, UnsetType
from msgspec.structs import astuple

#: names of up to 8 bytes, each as one number: its bytes, the first the lowest; 0 for none
Words = npt.NDArray[np.uint64]

_KIND = {name: kind for kind, name in enumerate(TYPES)}


@dataclass(frozen=True, eq=False)
class Chunk:
    """Columns of equal length, in the order of the fields of a line."""

    index: Sequence[int] | Ints
    time: Sequence[int] | Ints
    kind: Sequence[int] | Ints
    #: an array only where all are numbers
    process: Sequence[int | str] | Ints
    f: Sequence[str] | Words
    key: Sequence[str | None] | Words | None = None
    id: Sequence[str | None] | None = None
    #: JSON, empty for none
    value: Sequence[bytes] | None = None
    basis: Sequence[int | UnsetType | None] | None = None
    node: Sequence[str | None] | None = None
    replica: Sequence[str | None] | None = None
    siblings: Sequence[list[RawSibling] | None] | None = None
    #: by line, of those few that have them
    error: Mapping[int, OpError] = field(default_factory=dict)
    worth: Mapping[int, JsonObject] = field(default_factory=dict)
    options: Mapping[int, JsonObject] = field(default_factory=dict)
    due: Mapping[int, int] = field(default_factory=dict)

    @classmethod
    def of(cls, lines: Sequence[Line]) -> Chunk:
        """The columns of decoded lines."""
        if not lines:
            return cls((), (), (), (), ())
        index, time, kind, process, f, *rest = zip(*map(astuple, lines), strict=True)
        kinds = list(map(_KIND.__getitem__, kind))
        return cls(index, time, kinds, process, f, *columns(rest, range(len(lines)), len(lines)))

    @classmethod
    def of_ops(cls, ops: Sequence[Op]) -> Chunk:
        """The columns of events in memory; one without index gets its place, one without time 1 ms
        a step. Raises TypeError for a value JSON cannot hold."""
        if not ops:
            return cls((), (), (), (), ())
        index, time, kind, process, f, *rest = zip(*map(astuple, ops), strict=True)
        if -1 in index:
            index = tuple(i if given < 0 else given for i, given in enumerate(index))
        if -1 in time:
            time = tuple(i * 1_000_000 if given < 0 else given for i, given in enumerate(time))
        kinds = list(map(_KIND.__getitem__, kind))
        key, id_, values, basis, node, replica, siblings, *few = rest
        fields = [key, id_, list(map(text, values)), basis, node, replica, _raw(siblings), *few]
        return cls(index, time, kinds, process, f, *columns(fields, range(len(ops)), len(ops)))


def _raw(siblings: Sequence[list[Sibling] | None]) -> list[list[RawSibling] | None]:
    return [None if shown is None else list(map(as_raw, shown)) for shown in siblings]


def columns(fields: Sequence[Sequence[Any]], rows: Sequence[int], count: int) -> list[Any]:
    """The columns of so many lines from `key` on, by the fields that these of them have."""
    key, id_, raws, basis, node, replica, siblings, *few = fields
    return [
        _column(key, rows, count),
        _column(id_, rows, count),
        _column(list(map(bytes, raws)), rows, count, b""),
        _column(basis, rows, count, UNSET),
        *(_column(column, rows, count) for column in (node, replica, siblings)),
        *(_by_line(column, rows) for column in few),
    ]


def _column(
    column: Sequence[Any], rows: Sequence[int], count: int, absent: object = None
) -> Sequence[Any] | None:
    """The column of all lines; None where none has the field."""
    if column.count(absent) == len(column):
        return None
    if len(rows) == count:
        return column
    found = [absent] * count
    for row, each in zip(rows, column, strict=True):
        found[row] = each
    return found


def _by_line(column: Sequence[Any], rows: Sequence[int]) -> Mapping[int, Any]:
    if column.count(None) == len(column):
        return {}
    return {row: each for row, each in zip(rows, column, strict=True) if each is not None}
