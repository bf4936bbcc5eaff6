"""What is known of a node that does not come up: why its command starts nothing, how its log
ends, where its processes listen (as /proc has it, on Linux)."""

from __future__ import annotations

import os
import shutil
import socket
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from dynamesis.harness.targets.site import NodeSite

_PROC = Path("/proc")
_LISTEN = "0A"
#: bytes and lines of the end of a log that are shown
_TAIL_BYTES, _TAIL_LINES = 16 << 10, 10
#: bytes of the beginning and of the end of a log that are kept with the results
_KEPT = 16 << 20


def listening(group: int) -> list[str]:
    """The host:port of every TCP socket on which a process of this group listens; none where that
    is not known."""
    found: set[str] = set()
    for pid in _members(group):
        held = set(_sockets(pid))
        found |= {address for inode, address in _listeners(pid) if inode in held}
    return sorted(found)


def elsewhere(group: int, wanted: str) -> str:
    """What is different from what was wanted, host:port, in a few words."""
    seen = listening(group)
    if not seen:
        return f"it does not listen at {wanted}, its port for clients, nor anywhere else"
    port = wanted.rpartition(":")[2]
    same = [address for address in seen if address.rpartition(":")[2] == port]
    if same:
        return f"it listens at {', '.join(same)}; it must listen at {wanted}"
    return f"it listens at {', '.join(seen)}, and not at {wanted}, its port for clients"


def _members(group: int) -> Iterator[int]:
    with suppress(OSError):
        for entry in os.listdir(_PROC):
            with suppress(OSError):
                if entry.isdecimal() and os.getpgid(int(entry)) == group:
                    yield int(entry)


def _sockets(pid: int) -> Iterator[str]:
    folder = _PROC / str(pid) / "fd"
    with suppress(OSError):
        for descriptor in os.listdir(folder):
            with suppress(OSError):
                target = os.readlink(folder / descriptor)
                if target.startswith("socket:["):
                    yield target[8:-1]


def _listeners(pid: int) -> Iterator[tuple[str, str]]:
    """(inode, host:port) of what listens in the network namespace of a process."""
    for family, table in ((socket.AF_INET, "tcp"), (socket.AF_INET6, "tcp6")):
        with suppress(OSError):
            for line in (_PROC / str(pid) / "net" / table).read_text("ascii").splitlines()[1:]:
                fields = line.split()
                if fields[3] == _LISTEN:
                    yield fields[9], _address(family, fields[1])


def _address(family: socket.AddressFamily, kernel: str) -> str:
    """ "0100007F:1F90" (words in the machine's byte order) as "127.0.0.1:8080"."""
    words, _, port = kernel.partition(":")
    pieces = (words[at : at + 8] for at in range(0, len(words), 8))
    raw = b"".join(int(piece, 16).to_bytes(4, sys.byteorder) for piece in pieces)
    host = socket.inet_ntop(family, raw)
    return f"[{host}]:{int(port, 16)}" if ":" in host else f"{host}:{int(port, 16)}"


def not_a_program(name: str) -> str:
    """Why a command cannot be started."""
    path = Path(name)
    if not path.is_absolute() and "/" not in name:
        return f"{name} is not a program on this machine"
    if path.is_dir():
        return f"{name} is a folder, not a program"
    if path.exists():
        return f"{name} may not be executed (chmod +x {name})"
    return f"{name} is not there"


def tail(node: NodeSite) -> list[str]:
    """The last lines of its log."""
    if not node.log.exists():
        return []
    with node.log.open("rb") as content:
        content.seek(max(0, node.log.stat().st_size - _TAIL_BYTES))
        lines = content.read().decode("utf-8", "replace").splitlines()
    return [line for line in lines if line.strip()][-_TAIL_LINES:]


def keep(log: Path, into: Path) -> None:
    """Copy a log; of one that is longer than twice _KEPT the beginning and the end, with a line
    between them."""
    size = log.stat().st_size
    if size <= 2 * _KEPT:
        shutil.copy2(log, into)
        return
    with log.open("rb") as content, into.open("wb") as kept:
        kept.write(content.read(_KEPT))
        kept.write(b"\n... %d bytes left out ...\n" % (size - 2 * _KEPT))
        content.seek(size - _KEPT)
        kept.write(content.read(_KEPT))
