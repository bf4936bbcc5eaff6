"""A node that ends with the process that started it.

Two ways, since neither is enough: the pipe to stdin ends with the parent (and works wherever
there are pipes), but a node that is stopped reads nothing; on Linux the kernel sends SIGKILL
when the parent ends, which a stopped process obeys too.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import threading

#: The environment variable that names the parent's pid.
PARENT = "DYNAMESIS_PARENT"
_PR_SET_PDEATHSIG = 1


def follow() -> None:
    """End by SIGKILL with the process that the environment names, if it names one; immediately
    if that has ended already. What this process starts inherits nothing of it."""
    parent = os.environ.pop(PARENT, "")
    if parent.isdecimal():
        end_with(int(parent))


def end_with(parent: int) -> None:
    """End by SIGKILL as soon as `parent`, which is the parent of this process, has ended;
    immediately if it has ended already."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        os.kill(os.getpid(), signal.SIGKILL)


def follow_stdin() -> None:
    """End with stdin: a thread of its own sees it even if the loop is stuck."""
    threading.Thread(target=_end_with_stdin, daemon=True).start()


def _end_with_stdin() -> None:
    while os.read(0, 1024):
        pass
    os._exit(0)
