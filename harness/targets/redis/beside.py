"""Becomes a command, with another beside it that ends with it: a node is redis-server with its
Sentinel, killed and paused together as a machine would be.

This module runs alone, by path: `python -I -S beside.py OTHER COMMAND...`, where OTHER is a
command as a JSON list.
"""

from __future__ import annotations

import ctypes
import json
import os
import signal
import sys
from contextlib import suppress

_PR_SET_PDEATHSIG = 1


def main() -> None:
    """Fork, and become both."""
    other: list[str] = json.loads(sys.argv[1])
    command = sys.argv[2:]
    parent = os.getpid()
    if os.fork() == 0:
        # kept over exec, unlike what else a process sets for itself
        with suppress(OSError, AttributeError):
            ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        if os.getppid() != parent:
            os._exit(0)
        command = other
    try:
        os.execv(command[0], command)
    except OSError as error:
        sys.exit(f"{command[0]}: {error.strerror}")


if __name__ == "__main__":
    main()
