"""Code of a user's own that blocks the event loop is interrupted.

Everything of a test runs in one event loop: where an async method of a target sleeps by
`time.sleep`, waits for a library that blocks, or never comes back, no fault is lifted, no deadline
passes and ctrl-C is not seen. So a thread looks whether the loop still turns. Where it does not,
and code from outside is what it waits for, a signal makes that code raise LoopBlocked: SIGURG,
which does nothing unless it is handled.
"""

from __future__ import annotations

import asyncio
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from dynamesis.harness.processes.patience import stretch
from dynamesis.harness.processes.signals import in_main_thread
from dynamesis.harness.targets.forming import command_of
from dynamesis.harness.targets.system import TargetMistake, is_from_outside

#: s that the loop may wait for a user's code, the first time and from then on: the test
#: continues, and each of its operations may block again
FIRST, LATER = 5.0, 0.5
#: … and for `command`, which is not async, and may make the files of a node first
COMMAND = 60.0
#: s between two turns of the loop that are looked for
_BEAT = 0.2


class LoopBlocked(TargetMistake):
    """Raised in the code that blocks. The message has where, and what to do instead."""


class LoopGuard:
    """Watches the event loop of the main thread, from `start` to `stop`."""

    def __init__(self, stretch: Callable[[], float] = stretch) -> None:
        self._stretch = stretch
        self._limit = FIRST
        self._ended = threading.Event()
        self._turned = time.monotonic()
        self._timer: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Must be called in the main thread, where the loop runs."""
        self._before = signal.signal(signal.SIGURG, self._interrupt)
        self._turn(asyncio.get_running_loop())
        threading.Thread(target=self._watch, name="loop-guard", daemon=True).start()

    def stop(self) -> None:
        self._ended.set()
        if self._timer is not None:
            self._timer.cancel()
        signal.signal(signal.SIGURG, self._before)

    def _turn(self, loop: asyncio.AbstractEventLoop) -> None:
        self._turned = time.monotonic()
        self._timer = loop.call_later(_BEAT, self._turn, loop)

    def _later_than(self, limit: float) -> bool:
        return time.monotonic() - self._turned > _BEAT + limit * self._stretch()

    def _watch(self) -> None:
        main = threading.main_thread().ident
        assert main is not None
        while not self._ended.wait(_BEAT):
            if self._later_than(self._limit):
                signal.pthread_kill(main, signal.SIGURG)

    def _interrupt(self, number: int, frame: FrameType | None) -> None:
        frames = list(_outwards(frame))
        where = next(filter(is_from_outside, frames), None)
        starts = any(each.f_code is command_of.__code__ for each in frames)
        if where is None or not self._later_than(COMMAND if starts else self._limit):
            return
        seconds, self._limit = time.monotonic() - self._turned, LATER
        self._turned = time.monotonic()
        line = f"{Path(where.f_code.co_filename).name}, line {where.f_lineno}"
        raise LoopBlocked(
            f"{where.f_code.co_name} blocked the event loop for {seconds:.1f} s ({line}); "
            "what blocks belongs in a BlockingClient, or in asyncio.to_thread"
        )


def _outwards(frame: FrameType | None) -> Iterator[FrameType]:
    while frame is not None:
        yield frame
        frame = frame.f_back


@contextmanager
def blocking_interrupted() -> Iterator[None]:
    """Within it, in a coroutine, what blocks the loop is interrupted: in the main thread alone,
    since only there signals are handled."""
    if not in_main_thread():
        yield
        return
    guard = LoopGuard()
    guard.start()
    try:
        yield
    finally:
        guard.stop()
