"""Ports, taken before anything is served on them.

Until one of them listens, several sockets may be bound to the same address. The second one's
`listen` fails then, and uvloop keeps that to itself: of two processes that were started together
with one address, one would live and never be reached.
"""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Awaitable


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
