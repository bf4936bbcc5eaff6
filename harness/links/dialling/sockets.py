"""Which addresses a process dials, as the kernel has it (Linux): the evidence that nodes really
come through the proxies of their pairs.

A connection is seen if it is open when this looks; those that live for less than the pause
between two looks may be missed, so absence here proves nothing, and presence does. The kernel's
table comes over sock_diag(7), which takes 2 ms where /proc/net/tcp takes 200; that of another
network namespace from /proc, where it is short.
"""

from __future__ import annotations

import asyncio
import os
import socket
import struct
import sys
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path

from dynamesis.harness.links.base import route_name

#: s between two looks
PAUSE = 0.25
_PROC = Path("/proc")

_NETLINK, _SOCK_DIAG, _BY_FAMILY = 16, 4, 20
_REQUEST_DUMP = 0x301
_DONE, _ERROR = 3, 2
#: the states of a TCP socket that dials or has dialled and is not closed: ESTABLISHED, SYN_SENT,
#: FIN_WAIT1, FIN_WAIT2, CLOSE_WAIT, LAST_ACK, CLOSING. A peer that answers and closes leaves the
#: dialled end in CLOSE_WAIT for as long as it is held.
_STATES = (1, 2, 4, 5, 8, 9, 11)
_HEADER = struct.Struct("=IHHII")


class DialWatch:
    """Counts the connections of each node to addresses that mean a peer.

    `meaning`: node -> "host:port" dialled -> (the peer, whether it is the pair's own proxy).
    """

    def __init__(self, meaning: Mapping[str, Mapping[str, tuple[str, bool]]]) -> None:
        self._meaning = meaning
        self._known: set[tuple[str, int]] = set()
        self._task: asyncio.Task[None] | None = None
        self.pids: dict[str, int] = {}
        self.through: Counter[str] = Counter()
        self.past: Counter[str] = Counter()

    def start(self) -> None:
        """Look again and again, until `stop`."""
        if sys.platform.startswith("linux"):
            self._task = asyncio.create_task(self._look_on())

    async def stop(self) -> None:
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    def launched(self, node: str, pid: int) -> None:
        self.pids[node] = pid

    async def look(self) -> None:
        """One look, in a thread."""
        if not sys.platform.startswith("linux"):
            return
        for node, inode, remote in await asyncio.to_thread(self._dialled, dict(self.pids)):
            peer, proxied = self._meaning[node][remote]
            if (node, inode) not in self._known:
                self._known.add((node, inode))
                (self.through if proxied else self.past)[route_name(node, peer)] += 1

    async def _look_on(self) -> None:
        while True:
            began = time.monotonic()
            with suppress(OSError):
                await self.look()
            # a busy machine is not made busier
            await asyncio.sleep(max(PAUSE, 5 * (time.monotonic() - began)))

    def _dialled(self, pids: Mapping[str, int]) -> list[tuple[str, int, str]]:
        """(node, socket, "host:port" of its other end) for all that nodes have dialled by an
        address with a meaning."""
        here, own = os.readlink("/proc/self/ns/net"), connections()
        found = []
        for node, pid in pids.items():
            with suppress(OSError):
                outside = os.readlink(_PROC / str(pid) / "ns/net") != here
                remotes = _connections_inside(pid) if outside else own
                meant = {i: a for i, a in remotes.items() if a in self._meaning.get(node, {})}
                held = set(_sockets(pid)) if meant else set()
                found += [(node, inode, meant[inode]) for inode in meant.keys() & held]
        return found


def connections() -> dict[int, str]:
    """inode -> "host:port" of the other end, of every open TCP connection of this network
    namespace. IPv4 in IPv6 is written as IPv4, ::1 as 127.0.0.1. Raises OSError."""
    return {
        inode: remote
        for family in (socket.AF_INET, socket.AF_INET6)
        for inode, remote in _dump(family)
    }


def _dump(family: int) -> Iterator[tuple[int, str]]:
    states = sum(1 << state for state in _STATES)
    query = struct.pack("=BBBBI", family, socket.IPPROTO_TCP, 0, 0, states) + bytes(48)
    with socket.socket(_NETLINK, socket.SOCK_RAW, _SOCK_DIAG) as plug:
        plug.settimeout(5)
        head = _HEADER.pack(_HEADER.size + len(query), _BY_FAMILY, _REQUEST_DUMP, 1, 0)
        plug.send(head + query)
        while True:
            answer = plug.recv(1 << 18)
            at = 0
            while at < len(answer):
                length, kind = struct.unpack_from("=IH", answer, at)
                if kind == _DONE:
                    return
                if kind == _ERROR:
                    raise OSError("the kernel does not answer over sock_diag")
                # inet_diag_msg: 4 bytes, then ports, addresses; the inode after 68
                message = answer[at + _HEADER.size : at + length]
                port = int.from_bytes(message[6:8], "big")
                raw = message[24:28] if family == socket.AF_INET else message[24:40]
                yield struct.unpack_from("=I", message, 68)[0], f"{_written(raw)}:{port}"
                at += (length + 3) & ~3


def _connections_inside(pid: int) -> dict[int, str]:
    """The same of the network namespace of a process."""
    found = {}
    for table in ("tcp", "tcp6"):
        path = _PROC / str(pid) / "net" / table
        if path.exists():
            for line in path.read_text("ascii").splitlines()[1:]:
                fields = line.split()
                found[int(fields[9])] = _address(fields[2])
    return found


def _address(kernel: str) -> str:
    """ "0100007F:1F90" (words in the machine's byte order) as "127.0.0.1:8080"."""
    words, _, port = kernel.partition(":")
    pieces = (words[at : at + 8] for at in range(0, len(words), 8))
    raw = b"".join(int(piece, 16).to_bytes(4, sys.byteorder) for piece in pieces)
    return f"{_written(raw)}:{int(port, 16)}"


def _written(raw: bytes) -> str:
    if raw == bytes(15) + b"\1":
        return "127.0.0.1"
    if len(raw) == 16 and raw[:12] != bytes(10) + b"\xff\xff":
        return f"[{socket.inet_ntop(socket.AF_INET6, raw)}]"
    return socket.inet_ntoa(raw[-4:])


def _sockets(pid: int) -> Iterator[int]:
    """The inodes of the sockets of a process and all that it has started; none of a process that
    is gone or not ours."""
    with suppress(OSError):
        for descriptor in os.listdir(_PROC / str(pid) / "fd"):
            with suppress(OSError):
                target = os.readlink(_PROC / str(pid) / "fd" / descriptor)
                if target.startswith("socket:["):
                    yield int(target[8:-1])
    with suppress(OSError):
        for thread in os.listdir(_PROC / str(pid) / "task"):
            with suppress(OSError):
                children = (_PROC / str(pid) / "task" / thread / "children").read_text("ascii")
                for child in children.split():
                    yield from _sockets(int(child))
