"""Whether a Dask scheduler answers at an address, asked before a client is made: one whose
connection fails retries for as long again as it ends, and prints a traceback then."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from dynamesis.harness.targets.system import EnvironmentFailed
from dynamesis.harness.usage.exits import UsageError

_LIKE = "such as tcp://127.0.0.1:8786"


def no_scheduler(address: str) -> EnvironmentFailed:
    """The error where none answers."""
    return EnvironmentFailed(
        f"--dask: there is no scheduler at {address}; start one (dask scheduler), and give its "
        f"address, {_LIKE}"
    )


def require_scheduler(address: str, seconds: float) -> None:
    """Raises UsageError for what is not an address, EnvironmentFailed where no scheduler answers
    within so many seconds."""
    try:
        found = asyncio.run(_within(seconds, address))
    except (ValueError, TypeError) as wrong:
        raise UsageError(
            f"--dask: {address!r} is not an address ({wrong}); write that of a scheduler, {_LIKE}"
        ) from wrong
    except Exception as failure:  # Dask has an exception for each way of it
        raise no_scheduler(address) from failure
    if found.get("type") != "Scheduler":
        raise EnvironmentFailed(
            f"--dask: at {address} is not a scheduler but a {found.get('type')}; give the "
            f"scheduler's address, {_LIKE}"
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
