"""A computation in virtual time that never ends is ended.

In virtual time nothing waits: a schedule ends as soon as it is computed. Code that loops for ever
(a bug of a user's own, a timer of 0 s that sets itself again) would keep a nightly run until it is
killed. So a thread looks whether virtual time passes. Where the work has had the processor for
LIMIT and virtual time is where it was, an exception is raised in it: by SIGURG in the main thread,
as of the loop guard, in another one by the interpreter. It counts the processor's time, not the
clock's, so that neither a busy machine nor a stopped process (SIGSTOP) counts as one.
"""

from __future__ import annotations

import ctypes
import signal
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import NoReturn

from dynamesis.harness.processes.signals import ending, in_main_thread
from dynamesis.harness.targets.system import EnvironmentFailed, is_from_outside

#: s of the processor that may pass without virtual time, and the same once a user wants an end
LIMIT, HURRIED = 10.0, 1.0
#: s of looks in which the work neither computes nor ends, as where it waits for a lock
BLOCKED, BLOCKED_HURRIED = 120.0, 3.0
#: s between two looks, and s of virtual time that count as headway
_BEAT, _STEP = 0.25, 1e-3
#: exceptions that the work may swallow before ctrl-C ends the whole process
_SWALLOWED = 8


class NeverEnds(EnvironmentFailed):
    """A computation was ended that would not have ended. The message has where it was."""


class Stopped(KeyboardInterrupt):
    """A user ended a computation. The message has where it was."""


class Standstill(SystemExit):
    """Raised in the work, past everything that handles errors of nodes and of callbacks."""


class StandstillGuard:
    """Watches work in virtual time from `start` to `stop`, which the thread of the work calls.

    now: s of virtual time
    until: s at which it must have ended
    """

    def __init__(self, now: Callable[[], float], until: float) -> None:
        self._now, self._until = now, until
        self._began = now()
        self._limit, self._blocked = LIMIT, BLOCKED
        self._ended = threading.Event()
        self._turn = threading.Lock()
        self._before: dict[int, object] = {}
        self._asked, self._raised = False, 0
        #: where the work was when it was ended, or when a user wanted that
        self.place = ""
        #: whether a user wanted it to end
        self.interrupted = False

    def start(self) -> None:
        self._thread = threading.get_ident()
        self._processor = time.pthread_getcpuclockid(self._thread)
        self._count_anew()
        if in_main_thread():
            self._before[signal.SIGURG] = signal.signal(signal.SIGURG, self._urged)
            for number in ending():
                if signal.getsignal(number) is signal.default_int_handler:
                    self._before[number] = signal.signal(number, self._interrupt)
        self._watcher = threading.Thread(target=self._watch, name="standstill", daemon=True)
        self._watcher.start()

    def stop(self) -> None:
        with self._turn:
            self._ended.set()
        for number, handler in self._before.items():
            signal.signal(number, handler)  # type: ignore[arg-type]
        self._watcher.join()

    def hurry(self) -> None:
        """A user wants it to end: from now on little patience is left."""
        self._limit, self._blocked = HURRIED, BLOCKED_HURRIED

    def end(self) -> None:
        """End work that another thread does, whatever it is at."""
        self.interrupted = True
        self.hurry()
        self._raise()

    def ended_by(self, failure: BaseException | None) -> None:
        """Raises Stopped where a user ended it, whatever came of that, and NeverEnds where this
        guard did."""
        if self.interrupted:
            raise Stopped(self.place) from None
        if isinstance(failure, Standstill):
            raise NeverEnds(f"the simulation does not end: {self.place}") from None

    def _count_anew(self) -> None:
        self._at, self._beats = self._now(), 0
        self._spent = time.clock_gettime(self._processor)

    def _still(self) -> bool:
        """Whether it is to be ended."""
        at = self._now()
        if at - self._at >= _STEP:
            self._count_anew()
            return at >= self._until
        self._beats += 1
        spent = time.clock_gettime(self._processor) - self._spent
        return spent >= self._limit or self._beats * _BEAT >= self._blocked

    def _watch(self) -> None:
        while not self._ended.wait(_BEAT):
            if self._still():
                self._raise()

    def _raise(self) -> None:
        """Have the thread of the work raise Standstill, unless it has just ended."""
        with self._turn:
            if self._ended.is_set():
                return
            if self._before:
                self._asked = True
                signal.pthread_kill(self._thread, signal.SIGURG)
                return
            self._seen(sys._current_frames().get(self._thread))
            thread, failure = ctypes.c_ulong(self._thread), ctypes.py_object(Standstill)
            ctypes.pythonapi.PyThreadState_SetAsyncExc(thread, failure)

    def _urged(self, number: int, frame: FrameType | None) -> None:
        """By this guard: it is over. By another process: a user wants it to end."""
        if not self._asked:
            self.hurry()
            return
        self._asked, self._raised = False, self._raised + 1
        if self._raised == _SWALLOWED:  # nothing that is raised ends it
            signal.signal(signal.SIGINT, signal.SIG_DFL)
        self._seen(frame)
        raise Standstill

    def _interrupt(self, number: int, frame: FrameType | None) -> NoReturn:
        """ctrl-C. The work may catch this to end in order: it has little time for that."""
        self._seen(frame)
        self.interrupted = True
        self.hurry()
        raise KeyboardInterrupt

    def _seen(self, frame: FrameType | None) -> None:
        if self.interrupted and self.place:
            return  # where it was when a user wanted an end, and not amid its cleanup
        at = f"at {self._now() - self._began:.3f} s of virtual time"
        where = _innermost(frame)
        if where is not None:
            file = Path(where.f_code.co_filename).name
            line = where.f_lineno or where.f_code.co_firstlineno  # between lines there is none
            at += f", in {where.f_code.co_name} ({file}, line {line})"
        self.place = at


def _innermost(frame: FrameType | None) -> FrameType | None:
    """The innermost frame of a user's own code, or of all."""
    each = frame
    while each is not None:
        if is_from_outside(each):
            return each
        each = each.f_back
    return frame
