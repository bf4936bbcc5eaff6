"""The signals by which a user, a service manager or a closed terminal ends a command.

SIGHUP means what SIGTERM means: a terminal that is closed must leave no half-healed cluster.
Where it is ignored from the start, as under nohup, it stays so.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

_ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def ending() -> tuple[signal.Signals, ...]:
    """The signals that are to end this process in order."""
    ignored = signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    return _ENDING[:2] if ignored else _ENDING


def end_by_interrupt() -> None:
    """Have each of them raise KeyboardInterrupt, as ctrl-C does."""
    for number in ending():
        signal.signal(number, signal.default_int_handler)


@contextmanager
def ending_the_loop() -> Iterator[None]:
    """Meanwhile each of them does what ctrl-C does where an asyncio.Runner runs: it ends its task.
    The exception of a signal would be lost where it meets a callback of a connection: the loop
    takes it for that connection's."""
    interrupt = signal.getsignal(signal.SIGINT)
    if not (in_main_thread() and callable(interrupt)):
        yield
        return
    before = {number: signal.signal(number, interrupt) for number in ending()}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def ignore() -> None:
    """Leave them to the process that started this one."""
    for number in _ENDING:
        signal.signal(number, signal.SIG_IGN)


def in_main_thread() -> bool:
    """Whether this thread may handle signals."""
    return threading.current_thread() is threading.main_thread()
