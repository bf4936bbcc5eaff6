"""A node's event log: JSON Lines, one event a line, kept by the node itself.

Lines are gathered and written at most FLUSH_AFTER seconds later: a SIGKILL costs the last
moments of the log, and logging costs a node no write per request. They are made a batch at a
time: that takes a third of what each would take amid other work.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

#: seconds
FLUSH_AFTER = 0.1

#: types that JSON carries as they are
_PLAIN = frozenset((str, int, bool, float, type(None)))
#: lines that are made together
_BATCH = 64
_encode_lines = msgspec.json.Encoder(enc_hook=repr).encode_lines


class EventLog:
    """Appends {"time": unix s, "mono": ns, "node", "event", ...fields} to `path`."""

    def __init__(
        self,
        path: Path,
        node: str,
        loop: asyncio.AbstractEventLoop,
        wall: Callable[[], int],
    ) -> None:
        """`wall`: ns since 1970, as the node knows them."""
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = path.open("ab", buffering=0)
        self._node = node
        self._loop = loop
        self._wall = wall
        self._lines: list[bytes] = []
        #: events of which no line is made yet: ns since 1970, monotonic ns, event, fields
        self._events: list[tuple[int, int, str, dict[str, Any]]] = []
        self._due = False

    def emit(self, event: str, **fields: Any) -> None:
        """Log one event. Bytes are shown as UTF-8, backslashed where they are not."""
        self.log(event, fields)

    def log(self, event: str, fields: dict[str, Any]) -> None:
        """The same, from a dictionary that does not change any more."""
        if not self._due:
            self._due = True
            self._loop.call_later(FLUSH_AFTER, self.flush)
        self._events.append((self._wall(), time.monotonic_ns(), event, fields))
        if len(self._events) >= _BATCH:
            self._make_lines()

    def _make_lines(self) -> None:
        node, lines = self._node, []
        for wall, mono, event, fields in self._events:
            line = {"time": wall / 1e9, "mono": mono, "node": node, "event": event, **fields}
            for name, value in fields.items():
                if type(value) not in _PLAIN:
                    line[name] = printable(value)
            lines.append(line)
        self._lines.append(_encode_lines(lines))
        self._events.clear()

    def flush(self) -> None:
        """Hand everything so far to the kernel."""
        self._due = False
        self._make_lines()
        data = memoryview(b"".join(self._lines))
        self._lines = []
        with contextlib.suppress(OSError):  # a disk that is full of log stops no node
            while data:
                data = data[self._file.write(data) :]

    def close(self) -> None:
        self.flush()
        self._file.close()


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
        return [item if type(item) in _PLAIN else printable(item) for item in value]
    return value
