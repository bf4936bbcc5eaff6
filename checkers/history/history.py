"""The history of a test: read and checked line by line, or built from events in memory.

This is the module to import from: Op and its parts (one event), History (columns),
`read_history` (a file that is well-formed, or HistoryError), `encode` (one line).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path

import msgspec
from dynamesis.checkers.history.arrays import line_ends
from dynamesis.checkers.history.chunk import Chunk
from dynamesis.checkers.history.codes import TYPES
from dynamesis.checkers.history.column_builder import Builder as _Builder
from dynamesis.checkers.history.columns import History
from dynamesis.checkers.history.gc_pause import gc_paused
from dynamesis.checkers.history.harness_rules import first_breach
from dynamesis.checkers.history.op import Line, Op, OpError, Sibling, Type, encode
from dynamesis.checkers.history.plain_lines import plain_chunk
from dynamesis.checkers.history.source import HistoryError, Source, opened
from dynamesis.checkers.history.wellformed import first_problem

__all__ = ["History", "HistoryError", "Op", "OpError", "Sibling", "Type", "encode", "read_history"]

#: bytes decoded at a time: few enough that what they become stays in the processor's caches
_CHUNK = 1 << 19
#: bytes, much more than anything that is made of a chunk
_LARGE = 1 << 24

#: chunks that are found not to be plain before no more are tried: lines of a history are alike
_IN_VAIN = 3

_decoder = msgspec.json.Decoder(Line)

#: what decoding raises for bytes that are not an event: also for text that is not UTF-8, and
#: for brackets nested deeper than the decoder goes
UNDECODABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


def read_history(path: str | Path) -> History:
    """Read our JSON Lines. Raises HistoryError when it is malformed or cut off, OSError when
    it cannot be read."""
    with opened(path) as source:
        return read_lines(source)


@dataclass
class _Tried:
    """How many chunks of a history were not plain."""

    in_vain: int = 0


def read_lines(source: Source) -> History:
    """As `read_history`, from a source that is open."""
    builder, path, tried = _Builder(), source.name, _Tried()
    with gc_paused():
        rest = b""
        while chunk := source.read(_CHUNK):
            if len(chunk) == _CHUNK:
                _keep_pages()
            cut = chunk.rfind(b"\n") + 1
            if cut:
                _add(builder, b"".join((rest, memoryview(chunk)[:cut])), path, tried)
                rest = chunk[cut:]
            else:
                rest += chunk
        if rest:
            _refuse_tail(rest, builder.rows + 1, path)
    history = History.built(builder, path)
    problem = first_problem(history, builder.indices, builder.before) or first_breach(history)
    if problem is not None:
        raise HistoryError(path, problem.row + 1, problem.field, problem.message)
    if not len(history):
        raise HistoryError(path, 1, "index", "expected an event, the file is empty")
    return history


@cache
def _keep_pages() -> None:
    """Have what is made of a chunk in the pages of the chunk before: blocks that are larger than
    any that was given back glibc takes from the kernel one by one, at a fault for each page."""
    bytes(_LARGE)


def must_be_text(content: bytes) -> None:
    """Raises UnicodeDecodeError; decoding leaves values as they are, and would not notice."""
    if not content.isascii():
        content.decode()


def _add(builder: _Builder, lines: bytes, path: str | Path, tried: _Tried) -> None:
    chunk = plain_chunk(lines) if tried.in_vain < _IN_VAIN else None
    if chunk is None:
        tried.in_vain += 1
        chunk = Chunk.of(_decoded(lines, builder.rows, path))
    builder.add(chunk)


def _decoded(lines: bytes, before: int, path: str | Path) -> list[Line]:
    """The events of whole lines; so many are before them. Raises HistoryError."""
    try:
        must_be_text(lines)
        decoded = _decoder.decode_lines(lines)
    except UNDECODABLE:
        _find_bad_line(lines, before, path)
        raise
    if len(decoded) != line_ends(lines):
        _find_bad_line(lines, before, path)
    return decoded


def _find_bad_line(lines: bytes, before: int, path: str | Path) -> None:
    """Decode one by one, to name the line that will not."""
    for number, line in enumerate(lines.splitlines(), before + 1):
        if not line.strip():
            raise HistoryError(path, number, "(line)", "expected an event, got an empty line")
        try:
            must_be_text(line)
            _decoder.decode(line)
        except UNDECODABLE as error:
            raise HistoryError(path, number, *explain(error)) from None


def explain(error: Exception) -> tuple[str, str]:
    """The decoder's message about one event, as field and expectation."""
    text = str(error)
    if isinstance(error, RecursionError):
        return "(line)", f"expected values nested less deeply: {text}"
    if not isinstance(error, msgspec.ValidationError):
        return "(line)", f"expected one JSON object: {text}"
    message, _, where = text.partition(" - at `$")
    if "missing required field" in message:
        return message.split("`")[1], "expected a value, the field is missing"
    field = where.rstrip("`").lstrip(".") or "(line)"
    if message.startswith("Invalid enum value"):
        return (
            field,
            f"expected one of {', '.join(TYPES)}, got{message.removeprefix('Invalid enum value')}",
        )
    return field, message[0].lower() + message[1:]


def _refuse_tail(rest: bytes, number: int, path: str | Path) -> None:
    try:
        _decoder.decode(rest)
    except UNDECODABLE:
        raise HistoryError(
            path, number, "(line)", "expected a whole line, the last line is cut off"
        ) from None
    raise HistoryError(path, number, "(line)", "expected a newline after the last event")
