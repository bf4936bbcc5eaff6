"""Processes that end with the one that started them, however that one ends.

Linux sends a process the signal that it asked for (PR_SET_PDEATHSIG) when its parent ends, be
it by SIGKILL, and SIGKILL also ends what is stopped. Nothing has to survive for that, and
there is no moment in which a process runs and is not yet registered. The parent is the
*thread* that forked, so whatever starts a process must live as long as it should.

This module runs alone, by path, to put a program of others under the rule:
`python -I -S lifeline.py PID COMMAND...` is COMMAND if the process PID started it and still
lives. Elsewhere than on Linux the watchdog is all there is (harness/processes/watchdog.py).
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import sys
from collections.abc import Sequence

#: The parent of a process of ours that is to end with it: its pid.
PARENT = "DYNAMESIS_PARENT"
_PR_SET_PDEATHSIG = 1
_PYTHON = sys.executable


def end_with(parent: int) -> None:
    """End by SIGKILL as soon as `parent` has ended; immediately if it has ended already."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        os.kill(os.getpid(), signal.SIGKILL)


def follow_parent() -> None:
    """Do so if the environment names a parent; what this process starts inherits nothing."""
    parent = os.environ.pop(PARENT, "")
    if parent.isdecimal():
        end_with(int(parent))


def tied(command: Sequence[str]) -> list[str]:
    """The command line by which a process of others ends with this one."""
    return [_PYTHON, "-I", "-S", os.path.abspath(__file__), str(os.getpid()), *command]


def main() -> None:
    """Become the command, under the rule."""
    end_with(int(sys.argv[1]))
    try:
        os.execv(sys.argv[2], sys.argv[2:])
    except OSError as error:
        sys.exit(f"{sys.argv[2]}: {error.strerror}")


if __name__ == "__main__":
    main()
