"""How it shows from outside that links are broken: what nodes complain of, asked for round
the proxies, and how a connection through a link begins."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from typing import Any

from harness.system import System

Pair = tuple[str, str]

_COUNTS = ("failures", "timeouts")
#: s that a greeting may take
_GREETING = 3.0


async def complaints(system: System, pairs: Iterable[Pair]) -> dict[Pair, Any]:
    """What each running node a counts against b, for these pairs (a, b)."""
    pairs = list(pairs)
    askable = [a for a in dict.fromkeys(a for a, _ in pairs) if system.state(a) == "running"]
    answers = await asyncio.gather(*map(system.status, askable))
    peers = {node: known["peers"] for node, known in zip(askable, answers, strict=True) if known}
    return {(a, b): peers[a][b] for a, b in pairs if a in peers and b in peers[a]}


def worse(before: Mapping[str, Any] | None, after: Mapping[str, Any]) -> bool:
    """Whether there is more trouble; a node that was started since counts from zero."""
    if before is None or any(after[count] < before[count] for count in _COUNTS):
        before = {"up": False, "failures": 0, "timeouts": 0}
    grown = any(after[count] > before[count] for count in _COUNTS)
    return grown or (before["up"] and not after["up"])


async def greeting(address: str) -> tuple[float, int] | None:
    """How a node, which speaks first, greets through this address: s until its first words
    were complete, and in how many pieces they came; None if there were none."""
    host, port = address.split(":")
    loop = asyncio.get_running_loop()
    began, pieces, last = loop.time(), 0, 0.0
    try:
        async with asyncio.timeout(_GREETING):
            reader, writer = await asyncio.open_connection(host, int(port))
            try:
                while await asyncio.wait_for(reader.read(4096), _quiet(pieces)):
                    pieces, last = pieces + 1, loop.time() - began
            finally:
                writer.transport.abort()
    except (OSError, TimeoutError):
        pass
    return (last, pieces) if pieces else None


def _quiet(pieces: int) -> float:
    """s of silence after which the greeting is over."""
    return 0.1 if pieces else _GREETING
