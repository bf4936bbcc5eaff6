"""Whether a Dask scheduler answers at an address, asked before a client is made: one whose
connection fails retries for as long again as it ends, and prints a traceback then."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable
from typing import Any

from dynamesis.harness.targets.system import EnvironmentFailed

LIKE = "such as tcp://127.0.0.1:8786"
_ADDRESS = re.compile(
    r"((tcp|tls|ws|wss|ucx)://)?(\[[0-9A-Fa-f:.]+\]|[^\s\[\]:/]+):(?P<port>[0-9]{1,5})"
)


def is_address(text: str) -> bool:
    """Whether it can be that of a scheduler: host:port, with or without a scheme of Dask's."""
    match = _ADDRESS.fullmatch(text)
    return match is not None and 1 <= int(match["port"]) <= 65535


def no_scheduler(address: str) -> EnvironmentFailed:
    """The error where none answers."""
    return EnvironmentFailed(
        f"--dask: there is no scheduler at {address}; start one (dask scheduler), and give its "
        f"address, {LIKE}"
    )


def require_scheduler(address: str, seconds: float) -> None:
    """Raises EnvironmentFailed where no scheduler answers within so many seconds."""
    try:
        found = asyncio.run(_within(seconds, address))
    except TypeError as wrong:  # of TLS that is not configured
        raise EnvironmentFailed(f"--dask: {address}: {wrong}") from wrong
    except Exception as failure:  # Dask has an exception for each way of it
        raise no_scheduler(address) from failure
    if found.get("type") != "Scheduler":
        raise EnvironmentFailed(
            f"--dask: at {address} is not a scheduler but a {found.get('type')}; give the "
            f"scheduler's address, {LIKE}"
        )


async def _within(seconds: float, address: str) -> dict[str, Any]:
    async with asyncio.timeout(seconds):
        return await _identity(address, seconds)


async def _identity(address: str, seconds: float) -> dict[str, Any]:
    """What a server of Dask has to say of itself."""
    from distributed.comm.core import connect
    from distributed.core import send_recv
    from distributed.security import Security

    untyped: Callable[[], Any] = Security
    dial: Callable[..., Awaitable[Any]] = connect
    ask: Callable[..., Awaitable[Any]] = send_recv
    comm = await dial(address, timeout=seconds, **untyped().get_connection_args("client"))
    try:
        found = await ask(comm, op="identity")
    finally:
        comm.abort()
    return found if isinstance(found, dict) else {}
