"""The clock by which a test waits: the machine's, or that of a simulated world.

Whatever runs in a test asks `clock()`, and never the module `time`: so the same runner, nemesis
and deadlines run in virtual time. The clock belongs to the context that runs the test, and tasks
inherit it.
"""

from __future__ import annotations

import os
import time
from contextvars import ContextVar
from typing import Protocol

#: s of a wall clock that one second may take
MOST = 8.0


class TestClock(Protocol):
    """What time it is."""

    def monotonic(self) -> float:
        """s, never going back."""

    def monotonic_ns(self) -> int:
        """The same in ns; nodes stamp their logs by it."""

    def wall_ns(self) -> int:
        """ns since 1970."""

    def stretch(self) -> float:
        """How many times as long as on an idle machine things take now: 1 to MOST."""


class MachineClock:
    """That of this machine, which may be busy."""

    def monotonic(self) -> float:
        return time.monotonic()

    def monotonic_ns(self) -> int:
        return time.monotonic_ns()

    def wall_ns(self) -> int:
        return time.time_ns()

    def stretch(self) -> float:
        try:
            with open("/proc/loadavg", encoding="ascii") as file:
                running = int(file.read().split()[3].partition("/")[0])
            cores = len(os.sched_getaffinity(0))
        except (OSError, AttributeError, IndexError, ValueError):
            return 1.0
        return max(1.0, min(MOST, (running - 1) / cores))  # this process runs, too


_MACHINE = MachineClock()
#: The clock of this context, where it is not the machine's.
CLOCK: ContextVar[TestClock | None] = ContextVar("CLOCK", default=None)


def clock() -> TestClock:
    """The clock of the test that runs here."""
    return CLOCK.get() or _MACHINE
