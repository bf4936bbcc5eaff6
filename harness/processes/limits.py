"""What a machine may run out of, in one line: what, where, what to do.

Some of it can be seen before anything is started. A node that may not open enough files, or
whose files may not grow, refuses what it should serve, and a test would blame the store.
"""

from __future__ import annotations

import errno
import os
import resource
from pathlib import Path

from dynamesis.harness.targets.system import EnvironmentFailed

#: bytes that a file of a node may come to in a test: the address space it begins with
LARGEST_FILE = 1 << 30
#: bytes that the disk under a test must have left
LEAST_SPACE = 4 << 20

_REMEDIES = {
    errno.ENOSPC: "free some space, or choose another folder",
    errno.EDQUOT: "free some space, or choose another folder",
    errno.EFBIG: "let files grow: ulimit -f unlimited",
    errno.EMFILE: "allow more open files: ulimit -n 4096",
    errno.ENFILE: "let this machine open more files: sysctl fs.file-max",
    errno.EROFS: "choose a folder that can be written",
    errno.EACCES: "choose a folder that this user can use",
    errno.EPERM: "choose a folder that this user can use",
    errno.EAGAIN: "allow more processes: ulimit -u",
    errno.ENOMEM: "free some memory",
    errno.EIO: "see to this disk",
    errno.ESTALE: "see to this disk",
}


def shortage(error: BaseException) -> str | None:
    """What the machine lacks, if that is what an exception comes from."""
    if isinstance(error, BaseExceptionGroup):
        return next(filter(None, map(shortage, error.exceptions)), None)
    if isinstance(error, MemoryError):
        return "there is no memory left: free some, or make the test smaller"
    if not isinstance(error, OSError) or error.errno not in _REMEDIES:
        return None
    where = f"{os.fsdecode(error.filename)}: " if error.filename else ""
    return f"{where}{os.strerror(error.errno)}: {_REMEDIES[error.errno]}"


def require(files: int) -> None:
    """Raises EnvironmentFailed where a process may not have so many files open, or no file
    of any use. Takes what the system allows without asking."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < files:
        wanted = files if hard == resource.RLIM_INFINITY else min(hard, max(files, 4096))
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
        if wanted < files:
            raise EnvironmentFailed(
                f"this test needs {files} open files in a process, and {hard} are allowed; "
                f"allow more: ulimit -n {files}"
            )
    size = resource.getrlimit(resource.RLIMIT_FSIZE)[0]
    if size != resource.RLIM_INFINITY and size < LARGEST_FILE:
        raise EnvironmentFailed(
            f"a file may grow to {size} bytes only, and those of a node to {LARGEST_FILE}; "
            f"let them grow: ulimit -f unlimited"
        )


def require_space(folder: Path) -> None:
    """Raises EnvironmentFailed where the disk under a folder is as good as full."""
    disk = os.statvfs(folder)
    left = disk.f_bavail * disk.f_frsize
    if disk.f_blocks and left < LEAST_SPACE:
        raise EnvironmentFailed(
            f"the disk under {folder} is full ({left} bytes are left): {_REMEDIES[errno.ENOSPC]}"
        )


def files_of(nodes: int, clients: int) -> int:
    """How many files the busiest process has open: the proxy that carries every link, each
    by two sockets, with a listener for each."""
    return 64 + nodes * nodes + 2 * nodes * (nodes + clients)
