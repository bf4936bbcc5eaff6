"""The interpreter that runs a node: its event loop, its threads' turns, its garbage, its memory."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping
from typing import Any

#: seconds between the interpreter's thread switches: the committer must not hold the loop
SWITCH_INTERVAL = 0.0005
#: when the garbage collector looks: requests leave no cycles behind, so seldom
COLLECT = (20_000, 20, 20)


def loop_factory() -> type[asyncio.AbstractEventLoop] | None:
    """The faster event loop, where there is one."""
    try:
        import uvloop
    except ImportError:
        return None
    return uvloop.Loop


def resident_bytes() -> int:
    """Resident memory of this process; where there is no /proc, its peak."""
    try:
        with open("/proc/self/statm", encoding="ascii") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        import resource

        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def is_crash(error: BaseException, context: Mapping[str, Any]) -> bool:
    """Whether what the loop reports leaves a state that cannot be trusted: anything that one of our
    callbacks or tasks did not catch. Sockets that fail, for want of file descriptors or in a
    handshake, do not: the loop has dealt with those."""
    of_socket = any(key in context for key in ("transport", "protocol", "socket"))
    return not (of_socket and isinstance(error, OSError))
