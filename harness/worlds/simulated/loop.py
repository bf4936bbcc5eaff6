"""An asyncio event loop whose time is virtual: where nothing is left to do, it jumps to what is
due next.

It has no selector, no socket and no thread. Beside asyncio's timers, which a few hundred tasks of
clients and nemesis use, it has a heap of its own for what happens by the ten thousand: messages
under way, timers of nodes, disks that sync. Both run in order of time, and at the same time in the
order in which they were asked for.
"""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import Callable
from typing import Any

#: s on the clock when a world begins: no clock of a machine begins at nothing
BEGAN = 1000.0
#: ns since 1970 at which the clock was at 0 s
_EPOCH = 1_600_000_000 * 1_000_000_000


class NothingDue(RuntimeError):
    """Everything waits, and nothing is due."""


class VirtualLoop(asyncio.BaseEventLoop):
    """Tasks run as on any loop; `at` and `after` are for what needs no handle."""

    def __init__(self) -> None:
        super().__init__()
        self.now = BEGAN
        self._due: list[tuple[float, int, Callable[..., None], tuple[Any, ...]]] = []
        self._number = 0
        #: how many callbacks of `at` have run
        self.steps = 0

    def time(self) -> float:
        return self.now

    def at(self, when: float, action: Callable[..., None], *args: Any) -> None:
        """Call action(*args) at `when` (s), or as soon as that is past."""
        self._number += 1
        heapq.heappush(self._due, (when, self._number, action, args))

    def after(self, delay: float, action: Callable[..., None], *args: Any) -> None:
        """Call action(*args) `delay` s from now."""
        self.at(self.now + delay, action, *args)

    def _run_once(self) -> None:
        ready = self._ready  # type: ignore[attr-defined]
        if not ready and not self._stopping:  # type: ignore[attr-defined]
            self._go_on()
        for _ in range(len(ready)):
            handle = ready.popleft()
            if not handle._cancelled:
                handle._run()

    def _go_on(self) -> None:
        """Let time pass until a task has something to do."""
        ready, due = self._ready, self._due  # type: ignore[attr-defined]
        timers = self._scheduled  # type: ignore[attr-defined]
        while not ready:
            while timers and timers[0]._cancelled:
                heapq.heappop(timers)._scheduled = False
            if due and (not timers or due[0][0] <= timers[0]._when):
                when, _, action, args = heapq.heappop(due)
                if when > self.now:
                    self.now = when
                self.steps += 1
                action(*args)
            elif timers:
                self.now = max(self.now, timers[0]._when)
                while timers and timers[0]._when <= self.now:
                    timer = heapq.heappop(timers)
                    timer._scheduled = False
                    ready.append(timer)
            else:
                raise NothingDue("nothing is due, and everything waits")

    def _write_to_self(self) -> None:
        """No other thread has anything to do with this loop."""

    def _process_events(self, event_list: object) -> None:
        """There are no events from outside."""


class VirtualClock:
    """harness.processes.clock.TestClock of a world in virtual time, where nothing is ever busy."""

    def __init__(self, loop: VirtualLoop) -> None:
        self._loop = loop

    def monotonic(self) -> float:
        return self._loop.now

    def monotonic_ns(self) -> int:
        return round(self._loop.now * 1e9)

    def wall_ns(self) -> int:
        return _EPOCH + round(self._loop.now * 1e9)

    def stretch(self) -> float:
        return 1.0
