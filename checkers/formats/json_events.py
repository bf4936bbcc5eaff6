"""A history in JSON: an array of events, as elle-cli reads it, or one event a line.

Events are decoded in one pass. The line of an event is looked up only when a message must
name it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from functools import cache

import msgspec
from dynamesis.checkers.formats.foreign import Foreign, ForeignEvents, decode_lines
from dynamesis.checkers.history.columns import History
from dynamesis.checkers.history.gc_pause import gc_paused
from dynamesis.checkers.history.history import UNDECODABLE, explain
from dynamesis.checkers.history.source import HistoryError

_array = msgspec.json.Decoder(list[Foreign])
_BLANK = re.compile(r"[ \t\r\n]*")
_EVENT = re.compile(r" - at `\$\[(\d+)\]")
_BYTE = re.compile(r" \(byte (\d+)\)")
#: fields by which an event is judged
_DECISIVE = (b"type", b"f", b"value", b"process", b"key")


def read_json(content: bytes, path: str) -> History:
    """The history that a text in UTF-8 holds. Raises HistoryError."""
    events = ForeignEvents(path)
    with gc_paused():
        if content.lstrip().startswith(b"["):
            _add_array(events, content)
        else:
            _add_lines(events, content)
    return events.build()


def _add_array(events: ForeignEvents, content: bytes) -> None:
    @cache
    def lines() -> list[int]:
        return list(_lines_of(content.decode()))

    try:
        found = _array.decode(content)
    except UNDECODABLE as error:
        raise _refused(events, content, error) from None
    events.lines = lambda row: lines()[row]
    if _perhaps_twice(content, len(found)):
        text = content.decode()
        decoder, starts = json.JSONDecoder(object_pairs_hook=_fields), _starts_of(text)
        for row, start in enumerate(starts):
            _must_be_once(events, decoder.raw_decode(text, start)[0], lines()[row])
    events.add(found)


def _refused(events: ForeignEvents, content: bytes, error: Exception) -> HistoryError:
    """The line of the event that cannot be decoded, or from where the text is not JSON."""
    text, last = str(error), content.rstrip().count(b"\n") + 1
    at, byte = _EVENT.search(text), _BYTE.search(text)
    field, expected = explain(error)
    if at is not None:
        lines = list(_lines_of(content.decode(), int(at[1])))
        field = field.removeprefix(f"[{at[1]}]").lstrip(".") or "(event)"
        return events.refuse(lines[-1], field, expected)
    if isinstance(error, RecursionError):
        return events.refuse(list(_lines_of(content.decode()))[-1], "(event)", expected)
    if byte is not None:
        last = content.count(b"\n", 0, int(byte[1])) + 1
        text = _BYTE.sub("", text)
    if "truncated" in text:
        text = "the array is cut off"
    return events.refuse(last, "(array)", f"expected an array of events: {text}")


def _lines_of(text: str, last: int | None = None) -> Iterator[int]:
    """The line of each element of an array, up to number `last`, or to one that is not JSON."""
    line, counted = 1, 0
    for number, at in enumerate(_starts_of(text)):
        line, counted = line + text.count("\n", counted, at), at
        yield line
        if number == last:
            return


def _starts_of(text: str) -> Iterator[int]:
    """Where each element of an array begins, up to one that is not JSON."""
    decoder = json.JSONDecoder()
    at = text.index("[") + 1
    while True:
        at = _skip(text, at)
        yield at
        try:
            at = _skip(text, decoder.raw_decode(text, at)[1])
        except (ValueError, RecursionError):
            return
        if text[at : at + 1] != ",":
            return
        at += 1


def _skip(text: str, at: int) -> int:
    blank = _BLANK.match(text, at)
    return blank.end() if blank else at


def _add_lines(events: ForeignEvents, content: bytes) -> None:
    found = decode_lines(content)
    lines = content.split(b"\n")
    numbers = [number for number, line in enumerate(lines, 1) if line.strip()]
    if found is None or len(found) != len(numbers):
        found = [events.decode(lines[number - 1], number) for number in numbers]
    if _perhaps_twice(content, len(found)):
        decoder = json.JSONDecoder(object_pairs_hook=_fields)
        for number in numbers:
            _must_be_once(events, decoder.decode(lines[number - 1].decode()), number)
    events.add(found, numbers)


class _Fields(list[str]):
    """The names of the fields of an object, in order."""


def _fields(pairs: list[tuple[str, object]]) -> _Fields:
    return _Fields(name for name, _ in pairs)


def _perhaps_twice(content: bytes, events: int) -> bool:
    """Whether an event may have a field twice, of which the decoder would take the last."""
    return any(content.count(b'"' + name + b'"') > events for name in _DECISIVE)


def _must_be_once(events: ForeignEvents, names: object, line: int) -> None:
    """Raises HistoryError for an event that has a field twice."""
    if isinstance(names, _Fields) and len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise events.refuse(line, twice, "expected each field of an event once, got it twice")
