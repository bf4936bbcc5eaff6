"""How it shows from outside that links are broken: the failures that nodes count, read
from their admin ports and not through the proxies, and how a connection through a link begins."""

from __future__ import annotations

import asyncio
import socket
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from dynamesis.harness.targets.capabilities import Observed
from dynamesis.harness.targets.reports import NodeStatus, PeerView

Pair = tuple[str, str]

#: times that a node is asked for its status
_TRIES = 3
#: s that a greeting may take
_GREETING = 3.0
#: bytes that no greeting comes to: what announces more is not a frame
_LONGEST = 1 << 20
#: bytes of Linux's struct tcp_info to ask for, and where in it tcpi_data_segs_in is
_TCP_INFO, _DATA_SEGS_IN = 256, 152
#: states of /proc/net/tcp: established; and any that a connection has which was begun, or is over
#: since a minute at most
ESTABLISHED = frozenset({"01"})
ANY_STATE = frozenset(f"{state:02X}" for state in range(1, 12)) - {"0A"}


async def asked(observed: Observed, node: str) -> NodeStatus | None:
    """A node's status, asked for again where a busy machine kept it from answering in time."""
    for _ in range(_TRIES):
        status = await observed.status(node)
        if status is not None or observed.state(node) != "running":
            return status
    return None


async def complaints(observed: Observed, pairs: Iterable[Pair]) -> dict[Pair, PeerView]:
    """What each running node a counts against b, for these pairs (a, b)."""
    pairs = list(pairs)
    askable = [a for a in dict.fromkeys(a for a, _ in pairs) if observed.state(a) == "running"]
    answers = await asyncio.gather(*(asked(observed, node) for node in askable))
    peers = {node: known.peers for node, known in zip(askable, answers, strict=True) if known}
    return {(a, b): peers[a][b] for a, b in pairs if a in peers and b in peers[a]}


def worse(before: PeerView | None, after: PeerView) -> bool:
    """Whether there is more trouble; a node that was started since counts from zero."""
    if before is None or after.failures < before.failures or after.timeouts < before.timeouts:
        before = PeerView()
    grown = after.failures > before.failures or after.timeouts > before.timeouts
    return grown or (before.up and not after.up)


@dataclass(frozen=True)
class Greeting:
    """How a node, which speaks first, greets: s until its first frame was complete, their
    length in bytes, and in how many segments they came, by the kernel's count: a reader that
    is slow finds several of them in one piece."""

    seconds: float
    size: int
    pieces: int


async def greeting(address: str, times: int = 1) -> Greeting | None:
    """The fastest of so many greetings through this address; None if there were none. Where
    one does not come, no other is waited for."""
    greetings: list[Greeting] = []
    for _ in range(times):
        if (found := await _greeting(address)) is None:
            break
        greetings.append(found)
    return min(greetings, key=lambda found: found.seconds, default=None)


async def _greeting(address: str) -> Greeting | None:
    host, port = address.split(":")
    loop = asyncio.get_running_loop()
    began, received, last, pieces = loop.time(), b"", 0.0, 0
    with socket.socket() as sock:
        sock.setblocking(False)
        try:
            async with asyncio.timeout(_GREETING):
                await loop.sock_connect(sock, (host, int(port)))
                while data := await asyncio.wait_for(loop.sock_recv(sock, 4096), _quiet(received)):
                    received, last = received + data, loop.time() - began
                    pieces = _segments(sock)
                    if _missing(received) == 0:
                        break
        except (OSError, TimeoutError):
            pass
    return Greeting(last, len(received), pieces) if received else None


def _segments(sock: socket.socket) -> int:
    """How many segments with data the kernel has received."""
    info = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _TCP_INFO)
    return int.from_bytes(info[_DATA_SEGS_IN : _DATA_SEGS_IN + 4], sys.byteorder)


def _quiet(received: bytes) -> float:
    """s of silence after which the greeting is over: immediately where it is not a whole frame and
    none is announced, since then it is unknown how much is to come."""
    return 0.05 if received and _missing(received) is None else _GREETING


def _missing(received: bytes) -> int | None:
    """How many bytes of the frame are to come that these begin, if it is one: a 4-byte
    big-endian length, and so many bytes."""
    if len(received) < 4:
        return 4 - len(received)
    size = 4 + int.from_bytes(received[:4], "big")
    return max(0, size - len(received)) if size <= _LONGEST else None


#: A connection by the port that it comes from and the one that it goes to.
Connection = tuple[int, int]


def connections(states: frozenset[str] = ANY_STATE) -> set[Connection]:
    """The connections that this machine has, or had a moment ago, as the kernel has them, each
    as its dialler sees it; none where the kernel does not say."""
    found: set[Connection] = set()
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        try:
            lines = Path(table).read_text("ascii", "replace").splitlines()[1:]
        except OSError:
            continue
        for line in lines:
            _, local, remote, state, *_ = line.split()
            if state in states:
                found.add((_port(local), _port(remote)))
    return found


def _port(address: str) -> int:
    return int(address.rpartition(":")[2], 16)


class Probes(Protocol):
    """Looks at links from outside."""

    async def greeting(self, address: str, times: int = 1) -> Greeting | None:
        """As the function `greeting`."""

    def connections(self, states: frozenset[str] = ANY_STATE) -> set[Connection]:
        """As the function `connections`."""


class SocketProbes:
    """Those of sockets on this machine."""

    async def greeting(self, address: str, times: int = 1) -> Greeting | None:
        return await greeting(address, times)

    def connections(self, states: frozenset[str] = ANY_STATE) -> set[Connection]:
        return connections(states)


SOCKETS = SocketProbes()


async def turns_away(address: str, ours: set[Connection]) -> str | None:
    """How a connection to this host:port that sends one byte ends, if immediately: "refuses" or
    "resets". It is added to `ours`."""
    host, port = address.split(":")
    try:
        async with asyncio.timeout(_GREETING):
            reader, writer = await asyncio.open_connection(host, int(port))
            ours.add((writer.get_extra_info("sockname")[1], int(port)))
            try:
                writer.write(b"\0")
                await reader.read(1)
            finally:
                writer.close()
    except ConnectionRefusedError:
        return "refuses"
    except (ConnectionResetError, BrokenPipeError):
        return "resets"
    except (OSError, TimeoutError):
        pass
    return None
