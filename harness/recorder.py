"""Writes the history while the test runs.

One event a line, flushed at once, numbered without gaps and stamped by one monotonic
clock: whatever becomes of the harness, what stands in the file has happened in this
order.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any

import msgspec

from checkers.op import Op, encode

Listener = Callable[[Op], None]


class Recorder:
    """The one writer of a history. Listeners hear every event after it is on disk."""

    def __init__(
        self,
        path: Path,
        *listeners: Listener,
        clock: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        self._file = path.open("ab", buffering=0)
        self._listeners = list(listeners)
        self._clock = clock
        self._began = clock()
        self._next = 0

    def now(self) -> int:
        """ns since the test began."""
        return self._clock() - self._began

    @property
    def began(self) -> int:
        """When the test began, in ns of the clock: by default the machine's monotonic one, by
        which nodes stamp their logs too."""
        return self._began

    def listen(self, listener: Listener) -> None:
        """Have one more hear what follows."""
        self._listeners.append(listener)

    def record(self, op: Op) -> Op:
        """Append an event; returns it with its index and time. Time begins with the first."""
        if self._next == 0:
            self._began = self._clock()
        event = msgspec.structs.replace(op, index=self._next, time=self.now())
        self._next += 1
        self._file.write(encode(event))
        for listener in self._listeners:
            listener(event)
        return event

    def note(self, f: str, value: Any) -> Op:
        """An event of the harness itself."""
        return self.record(Op(type="info", process="harness", f=f, value=value))

    def __enter__(self) -> Recorder:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        self._file.close()
