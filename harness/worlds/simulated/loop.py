"""An asyncio event loop whose time is virtual: where nothing is left to do, it jumps to what is
due next.

It has no selector, no socket and no thread. One heap has the timers of asyncio, which a few
hundred tasks of clients and nemesis use, and what happens by the ten thousand: messages under way,
timers of nodes, disks that sync. All run in order of time, and at the same time in the order in
which they were asked for.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine, Generator
from contextvars import Context, copy_context
from heapq import heappop, heappush
from typing import Any, TypeVar

T = TypeVar("T")

#: s on the clock when a world begins: no clock of a machine begins at nothing
BEGAN = 1000.0
#: ns since 1970 at which the clock was at 0 s
_EPOCH = 1_600_000_000 * 1_000_000_000


#: tasks after which those that have ended are let go of
_MANY = 64


class NothingDue(RuntimeError):
    """Everything waits, and nothing is due."""


class _Soon:
    """A callback that runs in its context, unless it is cancelled: asyncio.Handle without what
    only debugging needs. `when`: s, of a timer."""

    __slots__ = ("_when", "args", "callback", "context", "live")

    def __init__(
        self, callback: Callable[..., Any], args: tuple[Any, ...], context: Context | None
    ) -> None:
        self.callback = callback
        self.args = args
        self.context = context
        self.live = True
        self._when = 0.0

    def cancel(self) -> None:
        self.live = False

    def cancelled(self) -> bool:
        return not self.live

    def when(self) -> float:
        return self._when


def _close(work: Any) -> None:
    """A coroutine refuses to be closed at each `await` on its way out."""
    for _ in range(_MANY):
        try:
            work.close()
            return
        except (Exception, asyncio.CancelledError):
            continue


class VirtualLoop(asyncio.BaseEventLoop):
    """Tasks run as on any loop; `at` and `after` are for what needs no handle."""

    def __init__(self) -> None:
        super().__init__()
        self.now = BEGAN
        #: when, the order in which it was asked for, and what: a timer of asyncio has no action
        self.due: list[tuple[float, int, Callable[..., None] | None, Any]] = []
        self._soon: deque[_Soon] = deque()
        self.number = 0
        #: how many callbacks of `at` have run
        self.steps = 0
        #: the tasks, in the order in which they began; of those that have ended, some are left
        self._tasks: list[asyncio.Task[Any]] = []
        self._many = _MANY

    def time(self) -> float:
        return self.now

    #: False, which every future and task asks for: a type is called in less time than a method
    get_debug = bool

    def at(self, when: float, action: Callable[..., None], *args: Any) -> None:
        """Call action(*args) at `when` (s), or as soon as that is past."""
        self.number += 1
        heappush(self.due, (when, self.number, action, args))

    def after(self, delay: float, action: Callable[..., None], *args: Any) -> None:
        """Call action(*args) `delay` s from now."""
        self.number += 1
        heappush(self.due, (self.now + delay, self.number, action, args))

    # ---- what asyncio asks for; its handles are ours

    def create_task(
        self,
        coro: Coroutine[Any, Any, T] | Generator[Any, None, T],
        *,
        name: object = None,
        context: Context | None = None,
    ) -> asyncio.Task[T]:
        """As any loop does; the loop keeps it: to look for a world's tasks among all that the
        process ever had takes longer, and gives them in the order of their addresses."""
        task: asyncio.Task[T] = asyncio.Task(coro, loop=self, name=name, context=context)  # type: ignore[arg-type]
        tasks = self._tasks
        tasks.append(task)
        if len(tasks) > self._many:
            self._tasks = self.unfinished()
            self._many = max(_MANY, 2 * len(self._tasks))
        return task

    def unfinished(self) -> list[asyncio.Task[Any]]:
        """The tasks that have not ended, in the order in which they began."""
        return [task for task in self._tasks if not task.done()]

    def abandon(self) -> None:
        """Close the tasks that are left, after the loop was ended amid one. What they do on their
        way out may wait, or begin others, which are of this loop too: it gets no further."""
        for task in self._tasks:  # what ended the loop is known, and no news of a task
            if isinstance(getattr(task, "_exception", None), (KeyboardInterrupt, SystemExit)):
                task.exception()
        other = asyncio._get_running_loop()
        asyncio._set_running_loop(self)
        try:
            while tasks := self.unfinished():
                for task in tasks:
                    task._log_destroy_pending = False  # type: ignore[attr-defined]
                    _close(task.get_coro())
                self._tasks = [task for task in self.unfinished() if task not in tasks]
        finally:
            asyncio._set_running_loop(other)

    def call_soon(  # type: ignore[override]
        self, callback: Callable[..., Any], *args: Any, context: Context | None = None
    ) -> _Soon:
        handle = _Soon(callback, args, copy_context() if context is None else context)
        self._soon.append(handle)
        return handle

    def call_at(  # type: ignore[override]
        self, when: float, callback: Callable[..., Any], *args: Any, context: Context | None = None
    ) -> _Soon:
        handle = _Soon(callback, args, copy_context() if context is None else context)
        handle._when = when
        self.number += 1
        heappush(self.due, (when, self.number, None, handle))
        return handle

    def call_later(  # type: ignore[override]
        self, delay: float, callback: Callable[..., Any], *args: Any, context: Context | None = None
    ) -> _Soon:
        handle = _Soon(callback, args, copy_context() if context is None else context)
        handle._when = when = self.now + delay
        self.number += 1
        heappush(self.due, (when, self.number, None, handle))
        return handle

    def _run_once(self) -> None:
        soon, take = self._soon, self._soon.popleft
        while not self._stopping:  # type: ignore[attr-defined]
            if not soon:
                self._go_on()
            handle = take()
            if handle.live:
                try:
                    handle.context.run(handle.callback, *handle.args)  # type: ignore[union-attr]
                except (SystemExit, KeyboardInterrupt):
                    raise
                except BaseException as failure:
                    about = f"callback {handle.callback!r} failed"
                    self.call_exception_handler({"message": about, "exception": failure})

    def _go_on(self) -> None:
        """Let time pass until a task has something to do."""
        soon, due = self._soon, self.due
        while not soon:
            if not due:
                raise NothingDue("nothing is due, and everything waits")
            when, _, action, args = heappop(due)
            if action is not None:
                if when > self.now:
                    self.now = when
                self.steps += 1
                action(*args)
            elif args.live:
                soon.append(args)
                if when > self.now:
                    self.now = when

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
