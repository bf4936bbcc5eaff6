"""Events of other tools as rows of a history.

They may lack indices and times: they are numbered in the order of the file, which indices must
follow where there are any, and one without time happened when the one before it did. Where no event
names its process there was but one client.
Everything else is held to the rules of `checkers.history.wellformed`; what breaks one is refused
with file, line and field.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Annotated, Any

import msgspec
from dynamesis.checkers.history.chunk import Chunk
from dynamesis.checkers.history.column_builder import Builder
from dynamesis.checkers.history.columns import History
from dynamesis.checkers.history.history import UNDECODABLE, explain, must_be_text
from dynamesis.checkers.history.op import (
    NO_VALUE,
    JsonObject,
    Line,
    Natural,
    OpError,
    RawSibling,
    Type,
)
from dynamesis.checkers.history.source import HistoryError
from dynamesis.checkers.history.spelling import JSON, Spelling
from dynamesis.checkers.history.wellformed import first_problem
from msgspec import UNSET


class Foreign(msgspec.Struct, gc=False):
    """An event of another tool."""

    type: Type
    f: str | None = None
    process: Natural | str | None = None
    value: msgspec.Raw = NO_VALUE
    time: Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)] | None = None
    index: int | None = None
    key: Any = None
    error: msgspec.Raw = NO_VALUE
    id: str | None = None
    basis: Natural | msgspec.UnsetType | None = UNSET
    node: str | None = None
    replica: str | None = None
    siblings: list[RawSibling] | None = None
    worth: JsonObject | None = None
    options: Any = None


FIELDS = frozenset(Foreign.__struct_fields__)

_line = msgspec.json.Decoder(Foreign)
_encode = msgspec.json.Encoder().encode


def decode_lines(lines: bytes) -> list[Foreign] | None:
    """Events, one a line; empty lines are left out. None where one of them is not an event."""
    try:
        must_be_text(lines)
        return _line.decode_lines(lines)
    except UNDECODABLE:
        return None


class ForeignEvents:
    """Gathers foreign events as rows. `numbers` are the lines on which they are; a reader
    that finds a line only when one is asked for sets `lines` instead."""

    def __init__(self, path: str) -> None:
        self.path, self._builder, self._time = path, Builder(), 0
        self._numbers: list[int] = []
        self.lines: Callable[[int], int] = self._numbers.__getitem__
        self._keys: dict[tuple[bool, str], str] = {}
        self._names: set[str] = set()
        #: whether a client's event has named its process, and the row of the first that has not
        self._named = False
        self._nameless: int | None = None
        #: the last index, and the first row whose index is not above the last one before it
        self._index: int | None = None
        self._unordered: tuple[int, str] | None = None

    def refuse(self, line: int, field: str, expected: str) -> HistoryError:
        return HistoryError(self.path, line, field, expected)

    def decode(self, line: bytes, number: int) -> Foreign:
        """One event. Raises HistoryError."""
        try:
            must_be_text(line)
            return _line.decode(line)
        except UNDECODABLE as error:
            raise self.refuse(number, *explain(error)) from None

    def add(self, events: Sequence[Foreign], numbers: Iterable[int] = ()) -> None:
        """Append events, which are on these lines."""
        rows: list[Line] = []
        before = self._builder.rows
        for row, event in enumerate(events, before):
            if event.time is not None:
                self._time = max(event.time, 0)
            if event.process is None and self._nameless is None:
                self._nameless = row
            self._named |= isinstance(event.process, int)
            if event.index is not None:
                self._follow(row, event.index)
            rows.append(self._row(event, row))
        self._numbers += numbers
        self._builder.add(Chunk.of(rows))

    def _follow(self, row: int, index: int) -> None:
        """Indices count up: a file in another order, sorted by process say, would be judged as if
        its operations had run in that order."""
        last, self._index = self._index, index
        if last is not None and index <= last and self._unordered is None:
            self._unordered = row, f"expected an index above {last}, the last before, got {index}"

    def _row(self, e: Foreign, index: int) -> Line:
        key = None if e.key is None else self._key(e.key)
        error = None if e.error is NO_VALUE else _error(bytes(e.error), e.type == "fail")
        process = 0 if e.process is None else e.process
        return Line(
            index, self._time, e.type, process, e.f or "", key, e.id, e.value, e.basis,
            e.node, e.replica, e.siblings, error, e.worth,
            e.options if isinstance(e.options, dict) else None,
        )  # fmt: skip

    def _key(self, key: Any) -> str:
        """The name of a key. A history may have keys 1 and "1": the second gets another name."""
        text = isinstance(key, str)
        plain = key if text else _encode(key).decode()
        name = self._keys.get((text, plain))
        if name is None:
            name = plain
            while name in self._names:
                name = f'"{name}"' if text else f"({name})"
            self._keys[text, plain] = name
            self._names.add(name)
        return name

    def build(self, spelled: Spelling = JSON) -> History:
        """The history. Raises HistoryError for what is not well-formed."""
        history = History.built(self._builder, self.path, spelled)
        if not len(history):
            raise self.refuse(1, "(line)", "expected an event, the file is empty")
        if self._named and self._nameless is not None:
            message = "expected a value as in other events, the field is missing"
            raise self.refuse(self.lines(self._nameless), "process", message)
        if self._unordered is not None:
            row, message = self._unordered
            raise self.refuse(self.lines(row), "index", f"{message} (event {row})")
        problem = first_problem(history)
        if problem is not None:
            message = f"{problem.message} (event {problem.row})"
            raise self.refuse(self.lines(problem.row), problem.field, message)
        return history


def _error(raw: bytes, definite: bool) -> OpError:
    """An error of ours; else what another tool wrote, as the message."""
    try:
        return msgspec.json.decode(raw, type=OpError)
    except (msgspec.DecodeError, RecursionError):
        return OpError("foreign", definite, raw.decode())
