"""A node's event log: JSON Lines, one event a line, kept by the node itself.

A file that has reached `size` bytes becomes FILE.1, FILE.1 becomes FILE.2, and what is beyond the
number of files is deleted. The next file is there before anything is renamed, so that a node that
cannot have it (no descriptor is left, say) moves nothing. Where it cannot be done at all, the file
is emptied once it has as many bytes as all files together. A line that a kill or a full disk cut
off is ended before the next one.

Of events that others can cause as often as they like (LIMITED) at most RATE lines a second and kind
are kept; a line `dropped` has the kind and how many were not, and so has one (kind `disk`) after
lines that could not be written. All that verdicts rest on is never dropped.

Lines are gathered and written at most FLUSH_AFTER seconds later: a SIGKILL costs the last
moments of the log, and logging costs a node no write per request. They are made a batch at a
time: that takes a third of what each would take amid other work.
"""

from __future__ import annotations

import asyncio
import errno
import os
import time
from collections.abc import Mapping
from io import FileIO
from pathlib import Path
from typing import Any

import msgspec
from dynamesis.cluster.core.protocol.events import Emit
from dynamesis.cluster.process.wallclock import WallClock

#: seconds
FLUSH_AFTER = 0.1

#: events of which others decide how many there are, and lines of each that are kept a second
LIMITED = frozenset(
    (
        "bad-frame",
        "connection-refused",
        "dial-failed",
        "exchange-failed",
        "frame-too-large",
        "get-refused",
        "handshake-failed",
        "hint-unreadable",
        "idle-closed",
        "loop-error",
        "out-of-descriptors",
        "put-refused",
        "refused",
        "senseless",
        "slow-reader",
        "wrong-secret",
    )
)
RATE = 100


class _Stored(msgspec.Struct, omit_defaults=True, gc=False):
    """A line of a usual write, of which there are three a put: encoded from a struct, which takes
    two thirds of what a dictionary takes."""

    time: float
    mono: int
    node: str
    event: str
    why: object
    hash: object
    holds: object
    key: str
    request: object = None
    dot: object = None
    deleted: object = None


#: the fields that such a line has of the core: of a copy, and of a stamp; and those of any
_COPY = ("why", "hash", "holds", "key", "request")
_STAMP = ("why", "hash", "dot", "holds", "key", "request")
_USUAL = 4
#: types that JSON carries as they are
PLAIN = frozenset((str, int, bool, float, type(None)))
#: lines that are made together
_BATCH = 64
_NEWLINE = ord("\n")
_encode_lines = msgspec.json.Encoder(enc_hook=repr).encode_lines


class EventLog:
    """Appends {"time": unix s, "mono": ns, "node", "event", ...fields} to `path`."""

    def __init__(
        self,
        path: Path,
        node: str,
        loop: asyncio.AbstractEventLoop,
        clock: WallClock,
        size: int = 0,
        files: int = 1,
    ) -> None:
        """`clock`: the time as the node knows it. `size`: bytes of one file, 0: without
        end; `files` are kept, this one included. Raises OSError with what is allowed."""
        self._path = path
        self._file = _opened(path)
        self._written = path.stat().st_size
        #: whether a line was begun and not ended
        self._is_torn = path.is_file() and not _ends_a_line(path)
        #: whether it is known that no new file can be begun
        self._is_stuck = False
        # a device is not renamed: /dev/null would be gone for all
        self._size = size if path.is_file() else 0
        self._files = files
        #: lines that could not be written
        self._lost = 0
        #: kind -> lines in this second
        self._counts: dict[str, int] = {}
        self._node = node
        self._loop = loop
        self._clock = clock
        self._lines: list[bytes] = []
        #: events of which no line is made yet: ns since 1970, monotonic ns, event
        self._events: list[tuple[int, int, Emit]] = []
        self._due = False

    def emit(self, event: str, **fields: Any) -> None:
        """Log one event. Bytes are shown as UTF-8, backslashed where they are not."""
        self.carry(Emit(event, fields))

    def carry(self, effect: Emit) -> None:
        """The same, of a line of the core; its dictionary does not change any more."""
        if effect.event in LIMITED and not self._in_time(effect.event):
            return
        if not self._due:
            self._due = True
            self._loop.call_later(FLUSH_AFTER, self.flush)
        events = self._events
        events.append((self._clock.read(), time.monotonic_ns(), effect))
        if len(events) >= _BATCH:
            self._make_lines()

    def _in_time(self, event: str) -> bool:
        """Whether one more line of a kind is kept in this second."""
        if not self._counts:
            self._loop.call_later(1.0, self._next_second)
        seen = self._counts[event] = self._counts.get(event, 0) + 1
        return seen <= RATE

    def _next_second(self) -> None:
        counts, self._counts = self._counts, {}
        for kind, seen in counts.items():
            if seen > RATE:
                self.emit("dropped", kind=kind, dropped=seen - RATE)

    def _make_lines(self) -> None:
        node, lines = self._node, list[object]()
        for wall, mono, effect in self._events:
            event = effect.event
            fields: Mapping[str, Any] = effect.fields
            if effect.only_key and event == "stored":
                stored = _stored(wall, mono, node, fields)
                if stored is not None:
                    lines.append(stored)
                    continue
            line = {"time": wall / 1e9, "mono": mono, "node": node, "event": event, **fields}
            lines.append(line)
            if effect.only_key:
                line["key"] = fields["key"].decode("utf-8", "backslashreplace")
                continue
            for name, value in fields.items():
                kind = type(value)
                if kind is bytes:
                    line[name] = value.decode("utf-8", "backslashreplace")
                elif kind not in PLAIN and not (
                    kind is list and len(value) == 1 and type(value[0]) is str
                ):
                    line[name] = printable(value)
        self._lines.append(_encode_lines(lines))
        self._events.clear()

    def flush(self) -> None:
        """Hand everything so far to the kernel."""
        self._due = False
        self._make_lines()
        lines, self._lines = self._lines, []
        data = memoryview(b"".join((b"\n" * self._is_torn, *lines)))
        try:
            while data:
                written = self._file.write(data)
                if written is None:
                    raise BlockingIOError(errno.EAGAIN, "a pipe is full")
                self._written += written
                self._is_torn = data[written - 1] != _NEWLINE
                data = data[written:]
        except OSError:  # a disk that is full of log stops no node, nor a pipe that is not read
            # the end of a line that is all there, or was torn and counted before, does not count
            self._lost += bytes(data).count(b"\n") - (data[0] == _NEWLINE)
        else:
            lost, self._lost = self._lost, 0
            if lost:
                self.emit("dropped", kind="disk", dropped=lost)
        if self._size and self._written >= self._size:
            self._rotate()

    def _rotate(self) -> None:
        """Begin a new file. What fails is tried again with the next lines."""
        fresh = self._path.with_name(f"{self._path.name}.new")
        try:
            file = _opened(fresh)
            try:
                self._renumber()
                fresh.replace(self._path)
            except OSError:
                file.close()
                raise
        except OSError as error:
            self._not_rotated(error)
            return
        self._file.close()
        self._file, self._written, self._is_stuck = file, 0, False

    def _renumber(self) -> None:
        names = [self._path, *(_numbered(self._path, n) for n in range(1, self._files))]
        for older, newer in zip(reversed(names[1:]), reversed(names[:-1]), strict=True):
            if newer.exists():
                newer.replace(older)

    def _not_rotated(self, error: OSError) -> None:
        if self._written >= self._size * self._files:
            self._file.truncate(0)
            self._written, self._is_stuck = 0, False
        if not self._is_stuck:
            self._is_stuck = True
            self.emit("log-not-rotated", reason=str(error))

    def close(self) -> None:
        if self._counts:
            self._next_second()
        self.flush()
        self._file.close()


def _opened(path: Path) -> FileIO:
    """The file, to be appended to. What cannot be written to now (a pipe that is full, a terminal
    that is held) makes no node wait."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        return FileIO(path, "ab", opener=_without_waiting)
    except OSError as error:
        what = (
            "a socket, or a pipe without a reader" if error.errno == errno.ENXIO else error.strerror
        )
        raise OSError(
            f"log: {path} cannot be written: {what}; allowed: a file that this process may write, "
            "a device, or a pipe that is read"
        ) from error


def _without_waiting(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NONBLOCK, 0o666)


def _ends_a_line(path: Path) -> bool:
    with path.open("rb") as file:
        if not file.seek(0, os.SEEK_END):
            return True
        file.seek(-1, os.SEEK_END)
        return file.read(1)[0] == _NEWLINE


def _stored(wall: int, mono: int, node: str, fields: Mapping[str, Any]) -> _Stored | None:
    """The line of a usual write; None where it has fields that are not usual."""
    names = (*fields,)
    dot = None
    if names == _COPY:
        why, hash_, holds, key, request = fields.values()
    elif names == _STAMP:
        why, hash_, dot, holds, key, request = fields.values()
    else:
        return _stored_by_name(wall, mono, node, fields)
    shown = key.decode("utf-8", "backslashreplace")
    return _Stored(wall / 1e9, mono, node, "stored", why, hash_, holds, shown, request, dot)


def _stored_by_name(wall: int, mono: int, node: str, fields: Mapping[str, Any]) -> _Stored | None:
    """The same, whichever fields it has."""
    given = fields.get
    request, dot, deleted = given("request"), given("dot"), given("deleted")
    more = (request is not None) + (dot is not None) + (deleted is not None)
    if len(fields) != _USUAL + more:
        return None
    try:
        why, hash_, holds = fields["why"], fields["hash"], fields["holds"]
    except KeyError:
        return None
    key = fields["key"].decode("utf-8", "backslashreplace")
    return _Stored(wall / 1e9, mono, node, "stored", why, hash_, holds, key, request, dot, deleted)


def _numbered(path: Path, number: int) -> Path:
    return path.with_name(f"{path.name}.{number}")


def printable(value: Any) -> Any:
    """`value` with all bytes in it, keys too, as text that JSON can carry."""
    if isinstance(value, bytes):
        return value.decode("utf-8", "backslashreplace")
    if isinstance(value, dict):
        return {
            key if type(key) is str else printable(key): printable(item)
            for key, item in value.items()
        }
    if isinstance(value, list | tuple):
        return [item if type(item) in PLAIN else printable(item) for item in value]
    return value
