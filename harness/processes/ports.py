"""Which ports a test may use, so that two tests on one machine never meet.

Ports come in blocks of 100. A block belongs to the process that holds its lock, and a lock
vanishes with its holder, however that one dies. On Linux the lock is a socket with an abstract
name: those names are the machine's as its ports are (both belong to the network namespace),
for every user and wherever TMPDIR points. Elsewhere it is a file in /tmp. Ports below
32768 only: above lies the range from which the kernel takes the ports of outgoing
connections, where a closed port can even connect to itself.
"""

from __future__ import annotations

import errno
import fcntl
import os
import socket
import sys
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from dynamesis.harness.processes.limits import shortage
from dynamesis.harness.targets.system import EnvironmentFailed

BLOCK = 100
FIRST, LAST = 10_000, 31_999
#: The first port that an ordinary user may listen on.
UNPRIVILEGED = 1024
#: For systems without abstract names; the same folder for all users.
_FOLDER = Path("/tmp/dynamesis-ports")
_NAME = "\0dynamesis-ports-{}"


class Ports:
    """Ports that no other process will reserve until `close`, or until this process ends."""

    def __init__(self, numbers: Iterable[int], locks: Iterable[int]) -> None:
        self.numbers = tuple(numbers)
        self._locks = list(locks)
        self._next = 0

    def take(self) -> int:
        """One port that was not taken before. Raises EnvironmentFailed when all are."""
        if self._next == len(self.numbers):
            raise EnvironmentFailed(f"all {len(self.numbers)} reserved ports are in use")
        self._next += 1
        return self.numbers[self._next - 1]

    def close(self) -> None:
        """Give the ports back."""
        while self._locks:
            os.close(self._locks.pop())

    def __enter__(self) -> Ports:
        return self

    def __exit__(self, *ending: object) -> None:
        self.close()


def reserve(count: int, base: int | None = None) -> Ports:
    """Reserve `count` free ports: those from `base` on, or wherever there is room.

    Raises EnvironmentFailed, naming the port, when one that was asked for is taken.
    """
    try:
        return _anywhere(count) if base is None else _from_base(count, base)
    except OSError as error:
        why = shortage(error) or str(error)
        raise EnvironmentFailed(f"no port can be reserved: {why}") from error


def _anywhere(count: int) -> Ports:
    locks: list[int] = []
    numbers: list[int] = []
    for block in range(FIRST, LAST, BLOCK):
        if len(numbers) >= count:
            break
        lock = _lock(block)
        if lock is None:
            continue
        locks.append(lock)
        numbers.extend(port for port in range(block, block + BLOCK) if is_free(port))
    ports = Ports(numbers[:count], locks)
    if len(numbers) < count:
        ports.close()
        raise EnvironmentFailed(
            f"only {len(numbers)} of {count} ports between {FIRST} and {LAST} are free; "
            f"stop other tests, or name a range with room by --port-base"
        )
    return ports


def _from_base(count: int, base: int) -> Ports:
    last = base + count - 1
    if base < UNPRIVILEGED or last > LAST:
        raise EnvironmentFailed(
            f"ports {base} to {last} are outside {UNPRIVILEGED} to {LAST}; "
            f"choose another --port-base"
        )
    ports = Ports(range(base, last + 1), ())
    for block in range(base - base % BLOCK, last + 1, BLOCK):
        lock = _lock(block)
        if lock is None:
            ports.close()
            raise EnvironmentFailed(
                f"port {max(block, base)} is reserved by another test on this machine; "
                f"choose another --port-base, or leave it out"
            )
        ports._locks.append(lock)
    for port in ports.numbers:
        if not is_free(port):
            ports.close()
            raise EnvironmentFailed(
                f"port {port} is taken by another program; choose another --port-base, "
                f"or leave it out"
            )
    return ports


def is_free(port: int) -> bool:
    """Whether a server could listen on this port of the loopback address now. Raises OSError
    where nothing can be found out."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
            probe.listen(1)
        except OSError as error:
            if error.errno not in (errno.EADDRINUSE, errno.EACCES):
                raise
            return False
    return True


def _lock(block: int) -> int | None:
    """The descriptor that holds the block's lock; None if another process has it. Raises
    OSError."""
    if not sys.platform.startswith("linux"):
        return _lock_file(_FOLDER / f"{block}.lock")
    lock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    try:
        lock.bind(_NAME.format(block))
    except OSError as error:
        lock.close()
        if error.errno != errno.EADDRINUSE:
            raise
        return None
    return lock.detach()


def _lock_file(path: Path) -> int | None:
    descriptor = _open(path)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        return None
    return descriptor


def _open(path: Path) -> int:
    """Open the lock file, for reading only: other users' files must serve as well."""
    if not path.parent.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        with suppress(PermissionError):
            path.parent.chmod(0o1777)
    try:
        return os.open(path, os.O_RDONLY)
    except FileNotFoundError:
        return os.open(path, os.O_RDONLY | os.O_CREAT, 0o644)
