"""Writes the history while the test runs.

One event a line, flushed immediately, numbered without gaps and stamped by one monotonic
clock: whatever becomes of the harness, what is in the file has happened in this
order.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from io import FileIO
from pathlib import Path
from typing import Any

import msgspec
from dynamesis.checkers.history.op import Op, encode
from dynamesis.harness.nemesis.faults import FaultAction
from dynamesis.harness.processes.clock import clock as the_clock
from dynamesis.harness.processes.limits import shortage
from dynamesis.harness.targets.system import EnvironmentFailed

Listener = Callable[[Op], None]


class Recorder:
    """The one writer of a history. Listeners get every event after it is kept: on disk, or where
    there is no path in `kept`."""

    def __init__(
        self,
        path: Path | None,
        *listeners: Listener,
        clock: Callable[[], int] | None = None,
        began: int | None = None,
    ) -> None:
        """`clock`: in ns, by default that of the test (harness.processes.clock). `began`: when
        the test began, by that clock, where that was before this history begins."""
        self._file = None if path is None else path.open("ab", buffering=0)
        self._listeners = list(listeners)
        self._clock = clock or the_clock().monotonic_ns
        self._began = self._clock() if began is None else began
        self._begins = began is None
        self._next = 0
        self._last = 0
        self._path = path
        self._size = 0 if self._file is None else os.fstat(self._file.fileno()).st_size
        self._broken: EnvironmentFailed | None = None
        #: the whole history, where it goes to no file
        self.kept: list[Op] = []

    def now(self) -> int:
        """ns since the test began."""
        return self._clock() - self._began

    @property
    def began(self) -> int:
        """When the test began, in ns of the clock: by default the machine's monotonic one, by
        which nodes stamp their logs too."""
        return self._began

    def listen(self, listener: Listener) -> None:
        """Add a listener for what follows."""
        self._listeners.append(listener)

    def record(self, op: Op, at: int | None = None) -> Op:
        """Append an event; returns it with its index and time. Time begins with the first. `at`:
        when it happened, where that is known better than by now, ns since the test began; it
        is not before the event that was recorded last, since times never run back. Raises
        EnvironmentFailed from the first event on that cannot be written."""
        if self._broken is not None:
            raise self._broken
        if self._next == 0 and self._begins:
            self._began = self._clock()
        now = self._clock() - self._began
        self._last = now if at is None else min(now, max(self._last, at))
        event = msgspec.structs.replace(op, index=self._next, time=self._last)
        self._next += 1
        written = event
        if isinstance(op.value, FaultAction):  # a value of the nemesis becomes data only here
            written = msgspec.structs.replace(event, value=op.value.as_value())
        if self._file is None:
            self.kept.append(written)
        else:
            self._append(self._file, encode(written))
        for listener in self._listeners:
            listener(written)
        return event

    def _append(self, file: FileIO, line: bytes) -> None:
        """A whole line or none: half of one would make the history unreadable."""
        written = 0
        try:
            while written < len(line):
                written += file.write(line[written:]) or 0
        except OSError as failure:
            with suppress(OSError):
                os.ftruncate(file.fileno(), self._size)
            self._broken = EnvironmentFailed(
                f"the history {self._path} takes no more events: {shortage(failure) or failure}"
            )
            raise self._broken from failure
        self._size += written

    def note(self, f: str, value: Any) -> Op:
        """An event of the harness itself."""
        return self.record(Op(type="info", process="harness", f=f, value=value))

    def __enter__(self) -> Recorder:
        return self

    def __exit__(self, *ending: object) -> None:
        if self._file is not None:
            self._file.close()
