"""Where the bytes of a history come from: a file, a pipe, or standard input; gzip or not.

What is compressed is known by its first bytes, whatever the file is called, and so is a byte
order mark. A source is read once, from beginning to end, so that a pipe will do.
"""

from __future__ import annotations

import gzip
import io
import sys
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import PurePath
from typing import IO, Any

from dynamesis.checkers.history.arrays import line_ends

#: names of standard input
STDIN = ("-", "/dev/stdin")

_GZIP = b"\x1f\x8b"
_BOM = b"\xef\xbb\xbf"
#: byte order marks of what is not UTF-8, the longer first
_OTHERS = {
    b"\xff\xfe\x00\x00": "UTF-32",
    b"\x00\x00\xfe\xff": "UTF-32",
    b"\xff\xfe": "UTF-16",
    b"\xfe\xff": "UTF-16",
}
#: bytes from which the format of a source is recognized
_START = 4096
_BUFFER = 1 << 20


class HistoryError(ValueError):
    """A history that cannot be judged. The message has file, line, field, and what was
    expected; `line` counts from 1."""

    def __init__(self, path: str | PurePath, line: int, field: str, expected: str) -> None:
        super().__init__(f"{path}, line {line}, field {field}: {expected}")
        self.path, self.line, self.field, self.expected = str(path), line, field, expected

    def __reduce__(self) -> tuple[type, tuple[str, int, str, str]]:
        # exceptions are pickled by what they were called with, to come back from a pool
        return type(self), (self.path, self.line, self.field, self.expected)


class _Joined(io.RawIOBase):
    """Bytes that were read already, and then the rest of a stream."""

    def __init__(self, start: bytes, rest: IO[bytes]) -> None:
        self._start, self._rest = start, rest

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        data = self._start[: len(buffer)] or self._rest.read(len(buffer)) or b""
        self._start = self._start[len(buffer) :]
        buffer[: len(data)] = data
        return len(data)


class Source:
    """Text in UTF-8, byte order mark removed. `name` is for messages; `start` its first
    bytes, which `read` gives again."""

    def __init__(self, name: str, file: IO[bytes]) -> None:
        """Raises HistoryError for another encoding."""
        self.name = name
        self._file, self._lines, self._compressed = file, 1, False
        #: what was read already, and not given yet
        self._ahead = b""
        start = self._fill(_START)
        if start.startswith(_GZIP):
            self._file = io.BufferedReader(gzip.GzipFile(fileobj=_joined(start, self._file)))
            self._compressed = True
            start = self._fill(_START)
        for mark, encoding in _OTHERS.items():
            if start.startswith(mark):
                message = f"expected UTF-8, the file begins with the byte order mark of {encoding}"
                raise HistoryError(name, 1, "(file)", message)
        self.start = self._ahead = start.removeprefix(_BOM)

    def read(self, size: int = -1) -> bytes:
        """At most so many bytes, none at the end; all of them for -1. Raises HistoryError where
        a compressed stream is damaged or cut off, OSError."""
        ahead = self._ahead if size < 0 else self._ahead[:size]
        self._ahead = self._ahead[len(ahead) :]
        try:
            data = ahead + self._file.read(max(size - len(ahead), -1))
        except (EOFError, gzip.BadGzipFile, zlib.error) as error:
            message = f"expected a whole gzip stream: {error}"
            raise HistoryError(self.name, self._lines, "(file)", message) from None
        if self._compressed:
            self._lines += line_ends(data)
        return data

    def _fill(self, size: int) -> bytes:
        """So many bytes, or all there are: a pipe gives them a few at a time."""
        data = b""
        while len(data) < size and (more := self.read(size - len(data))):
            data += more
        self._lines = 1
        return data


def _joined(start: bytes, rest: IO[bytes]) -> IO[bytes]:
    return io.BufferedReader(_Joined(start, rest), _BUFFER)


@contextmanager
def opened(path: str | PurePath) -> Iterator[Source]:
    """The source of this name; "-" and /dev/stdin are standard input. Raises OSError where
    there is none, HistoryError as Source does."""
    if str(path) in STDIN:
        if sys.stdin is None:
            raise OSError(9, "standard input is closed")
        yield Source("standard input", sys.stdin.buffer)
        return
    with open(path, "rb") as file:
        yield Source(str(path), file)
