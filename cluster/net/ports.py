"""Ports, taken before anything is served on them.

Until one of them listens, several sockets may be bound to the same address. The second one's
`listen` fails then, and uvloop keeps that to itself: of two processes that were started together
with one address, one would live and never be reached.
"""

from __future__ import annotations

import asyncio
import os
import resource
import socket
import sys
from collections.abc import Awaitable

#: where the process may have more descriptors than this, it keeps more of them free of connections:
#: as many in proportion, since what is closed to make room keeps its descriptor until the others
#: that came with it were looked at
RESERVED_OF = 512


def listen(server: asyncio.Server, backlog: int) -> None:
    """Have the sockets of a server that is not started yet listen. Raises OSError."""
    for bound in server.sockets:
        with socket.socket(fileno=os.dup(bound.fileno())) as its:
            its.listen(backlog)


async def taken(begun: Awaitable[None], address: str) -> None:
    """Wait for a port to be bound, or served. Raises OSError naming the address."""
    try:
        await begun
    except OSError as error:
        raise OSError(f"cannot listen on {address}: {error.strerror or error}") from error


def descriptors() -> int:
    """How many descriptors this process may have."""
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    return sys.maxsize if most == resource.RLIM_INFINITY else most


def reserved(most: int, least: int) -> int:
    """Of so many descriptors, those that connections leave free, of which there are `least` at
    least."""
    return max(least, most * least // RESERVED_OF)
