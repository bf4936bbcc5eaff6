"""Lines as this harness writes them, read as arrays: there is no object for a line.

Such a line begins with the five fields that every event has, in their order and without spaces, as
`{"index":4,"time":9,"type":"ok","process":3,"f":"write"` does; most continue with a key, a value,
or both, and end. All lines of a text are read together, field by field, eight bytes at a time. What
a line has beside these is decoded. Text of which any line begins otherwise is not plain: it is
decoded line by line, which finds what is wrong with it, too.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt
from dynamesis.checkers.history.chunk import Chunk, Words, columns
from dynamesis.checkers.history.op import Line
from dynamesis.checkers.history.pairing import FAIL, INFO, INVOKE, OK, Bools, Ints
from msgspec.structs import astuple, fields

_NEWLINE, _SPACE, _QUOTE, _COMMA, _CLOSE, _ZERO = b'\n ",}0'
#: bytes around the text, so that whatever is looked at from a place in it is there
_MARGIN = b" " * 64
#: the longest name that is read so, in words
_NAME = 6
#: of the lines, so many may have other fields; where more have, all are decoded in less time
_FEW = 0.25
_TYPES = {b'"invoke"': INVOKE, b'"ok"': OK, b'"fail"': FAIL, b'"info"': INFO}

#: the fields of a Line after the first five
_Rest = msgspec.defstruct(
    "_Rest",
    [(field.name, field.type, field.default) for field in fields(Line)[5:]],
    forbid_unknown_fields=True,
    gc=False,
)
_rests: msgspec.json.Decoder[Any] = msgspec.json.Decoder(_Rest)
_values = msgspec.json.Decoder(msgspec.Raw)


class _NotPlain(Exception):
    """Some line is written otherwise, or is wrong."""


def plain_chunk(lines: bytes) -> Chunk | None:
    """The columns of whole lines; None where they are not plain, or something is wrong."""
    if b"\\" in lines or not lines.isascii() or not lines.endswith(b"\n"):
        return None
    try:
        return _Lines(lines).chunk()
    except (_NotPlain, msgspec.DecodeError, RecursionError):
        return None


class _Lines:
    """ASCII text without backslashes, in which each quote begins or ends a string. All methods
    raise _NotPlain; places are in the text with its margins, one a line."""

    def __init__(self, lines: bytes) -> None:
        self._text = _MARGIN + lines + _MARGIN
        self._bytes: npt.NDArray[np.uint8] = np.frombuffer(self._text, np.uint8)
        #: where the newlines are
        self._ends: Ints = np.flatnonzero(self._bytes == _NEWLINE)
        _must(np.count_nonzero(self._bytes < _SPACE) == len(self._ends))
        self._starts: Ints = np.append(len(_MARGIN), self._ends[:-1] + 1)

    def chunk(self) -> Chunk:
        """Their columns. Raises msgspec.DecodeError and RecursionError, too."""
        index, at = self._number(self._after(self._starts, b'{"index":'))
        time, at = self._number(self._after(at, b',"time":'))
        kind, at = self._kind(self._after(at, b',"type":'))
        process, at = self._process(self._after(at, b',"process":'))
        f, at = self._names(self._after(at, b',"f":"'))
        _must(at < self._ends)
        rest = self._rest(at, (kind == INVOKE) | (kind == OK))
        return Chunk(index, time, kind, process, f, *rest)

    def _rest(self, at: Ints, short: Bools) -> list[Any]:
        """The columns from `key` on, which begin here. `short`: the lines that end after their
        value, if they have one; what others have beside a key is decoded."""
        key, at = self._keys(at)
        valued = short & self._has(at, b',"value":')
        value = self._values(at, valued) if np.any(valued) else None
        others = np.flatnonzero(~valued & ~self._has(at, b"}\n"))
        if not len(others):
            return [key, None, value]
        _must(len(others) <= _FEW * len(at))
        where, ends = others.tolist(), self._ends[others]
        again, id_, more, *rest = columns(self._decoded(at[others], ends), where, len(at))
        _must(again is None)  # a key that is not the first of them
        if value is not None and more is not None:
            for row in where:
                value[row] = more[row]
        return [key, id_, value or more, *rest]

    def _keys(self, at: Ints) -> tuple[Words | Sequence[str | None] | None, Ints]:
        """The keys of the lines that have them here, and where they end."""
        begins = b',"key":"'
        there = np.flatnonzero(self._has(at, begins))
        if not len(there):
            return None, at
        after = at.copy()
        found, after[there] = self._names(at[there] + len(begins))
        _must(after < self._ends)
        if isinstance(found, np.ndarray):
            words = np.zeros(len(at), np.uint64)
            words[there] = found
            return words, after
        keys: list[str | None] = [None] * len(at)
        for row, name in zip(there.tolist(), found, strict=True):
            keys[row] = name
        return keys, after

    def _values(self, at: Ints, valued: Bools) -> list[bytes]:
        """The values that the lines have here, up to their end; nothing for lines without. Raises
        msgspec.DecodeError."""
        ends = self._ends - 1
        begins = np.where(valued, at + len(b',"value":'), ends)
        _must(self._bytes[ends] == _CLOSE)
        _must((begins < ends) | ~valued)
        texts = self._slices(begins, ends)
        there = list(filter(None, texts))
        raws = _values.decode_lines(b"\n".join(there))
        _must(list(map(len, raws)) == list(map(len, there)))
        return texts

    def _decoded(self, at: Ints, ends: Ints) -> list[Sequence[Any]]:
        """What lines have beyond these places, field by field. Raises msgspec.DecodeError."""
        more = self._bytes[at] == _COMMA
        _must(more | (self._bytes[at] == _CLOSE) & (at + 1 == ends))
        texts = [b"{" + text for text in self._slices(at + more, ends)]
        lines = _rests.decode_lines(b"\n".join(texts))
        _must(len(lines) == len(texts))
        return list(zip(*map(astuple, lines), strict=True))

    def _slices(self, begins: Ints, ends: Ints) -> list[bytes]:
        text = self._text
        return [text[a:b] for a, b in zip(begins.tolist(), ends.tolist(), strict=True)]

    def _words(self, at: Ints) -> Words:
        """The eight bytes from each place on."""
        everywhere = np.ndarray((len(self._text) - 7,), "<u8", self._text, strides=(1,))
        found: Words = everywhere[at]
        return found

    def _has(self, at: Ints, text: bytes) -> Bools:
        """Which lines continue with this."""
        found: Bools = self._words(at) & _below(len(text)) == _word(text[:8])
        for place, byte in enumerate(text[8:], 8):
            found &= self._bytes[at + place] == byte
        return found

    def _after(self, at: Ints, text: bytes) -> Ints:
        """The places after this text, with which all lines continue."""
        _must(self._has(at, text))
        return at + len(text)

    def _number(self, at: Ints) -> tuple[Ints, Ints]:
        """The natural numbers that begin here, of at most 15 digits, and where they end."""
        number, width = digits(self._words(at))
        _must((width == 1) | (width > 1) & (self._bytes[at] != _ZERO))
        long = np.flatnonzero(width == 8)
        if len(long):
            more, wide = digits(self._words(at[long] + 8))
            _must(wide < 8)
            number[long] = number[long] * 10**wide + more
            width[long] += wide
        return number, at + width

    def _kind(self, at: Ints) -> tuple[Ints, Ints]:
        """The types that begin here, in quotes, and where they end."""
        word, kind, end = self._words(at), np.full(len(at), -1, np.int64), at.copy()
        for name, number in _TYPES.items():
            same = word & _below(len(name)) == _word(name)
            kind[same] = number
            end[same] += len(name)
        _must(kind >= 0)
        return kind, end

    def _process(self, at: Ints) -> tuple[Ints | list[int | str], Ints]:
        """The processes that begin here, and where they end: numbers, or names in quotes."""
        named = self._bytes[at] == _QUOTE
        if not np.any(named):
            return self._number(at)
        end = np.empty_like(at)
        numbers, end[~named] = self._number(at[~named])
        names, end[named] = self._texts(at[named] + 1)
        each = {True: iter(names), False: iter(numbers.tolist())}
        return [next(each[name]) for name in named.tolist()], end

    def _names(self, at: Ints) -> tuple[Words | list[str], Ints]:
        """The strings that begin here, after their quotes, and where they end."""
        words, width = text_before(self._words(at), _QUOTE)
        if not np.all((width > 0) & (width < 8)):
            return self._texts(at)
        return words, at + width + 1

    def _texts(self, at: Ints) -> tuple[list[str], Ints]:
        """As `_names`, of any length."""
        end, open_ = at.copy(), np.arange(len(at))
        for _ in range(_NAME):
            _, width = text_before(self._words(end[open_]), _QUOTE)
            end[open_] += width
            open_ = open_[width == 8]
        _must(not len(open_))
        return [text.decode() for text in self._slices(at, end)], end + 1


def _word(text: bytes) -> np.uint64:
    return np.uint64(int.from_bytes(text, "little"))


def _below(width: int) -> np.uint64:
    """The bits of the first bytes of a word."""
    return np.uint64((1 << 8 * min(width, 8)) - 1)


def _each(byte: int) -> np.uint64:
    """A word of eight such bytes."""
    return np.uint64(byte * 0x0101010101010101)


def _first(marks: Words) -> Words:
    """The bits of the bytes before the first that is marked by its highest bit; of all, if none
    is."""
    lowest = marks & (~marks + np.uint64(1))
    return (lowest >> np.uint64(7)) - np.uint64(1)


def _size(before: Words) -> Words:
    """How many whole bytes these bits are."""
    return (before & _each(1)) * _each(1) >> np.uint64(56)


def text_before(words: Words, byte: int) -> tuple[Words, Ints]:
    """What words of ASCII have before the first such byte, and how many bytes that is."""
    # a byte that differs has a bit of 7, which carries into the highest
    same = (words ^ _each(byte)) + _each(0x7F)
    before = _first(~same & _each(0x80))
    return words & before, _size(before).astype(np.int64)


def digits(words: Words) -> tuple[Ints, Ints]:
    """The numbers with which words of ASCII begin, and how many digits they have."""
    values = words ^ _each(_ZERO)
    before = _first((values + _each(0x80 - 10)) & _each(0x80))
    width = _size(before)
    # the digits in the last bytes; then two, four and eight of them become one number
    number = (values & before) << (np.uint64(64) - (width << np.uint64(3)))
    number = number * np.uint64(1 + (10 << 8)) >> np.uint64(8)
    number = (number & np.uint64(0x00FF00FF00FF00FF)) * np.uint64(1 + (100 << 16)) >> np.uint64(16)
    number = (number & np.uint64(0x0000FFFF0000FFFF)) * np.uint64(1 + (10000 << 32)) >> np.uint64(
        32
    )
    return number.astype(np.int64), width.astype(np.int64)


def _must(condition: Any) -> None:
    """Raises _NotPlain where this is not so, of any line."""
    if not np.all(condition):
        raise _NotPlain
