"""The process that outlives the harness for one moment, to kill what it left behind.

It runs alone, by path, on the standard library only, so that it starts in some
milliseconds and shares nothing with the harness. It reads "add PID START" and
"drop PID" on its standard input; when that ends, or no more comes and its parent is
another, the harness is gone, and every process still listed gets SIGKILL, which also
works on stopped ones. A pid is never trusted alone: the start time shows whether it still
names the same process.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import subprocess
import sys
import time

#: s until a folder must have been deleted
_PATIENCE = 5.0


def start_time(pid: int) -> str | None:
    """An opaque mark of when `pid` started; None if there is no such process."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as stat:
            return stat.read().rpartition(b")")[2].split()[19].decode()
    except FileNotFoundError:
        if os.path.isdir("/proc/self"):
            return None
    except ProcessLookupError:
        return None
    listing = subprocess.run(
        ["ps", "-o", "lstart=", "-p", str(pid)], capture_output=True, encoding="utf-8", check=False
    )
    return "_".join(listing.stdout.split()) or None


#: what the environment of a node's processes has: the folder of the node
MARK = "DYNAMESIS_NODE"


def marked(folder: str) -> dict[int, str]:
    """The processes that began as nodes in this folder, or were started by them, wherever they
    have gone since: a daemon leaves its group, and keeps its environment (Linux). pid -> its
    command line."""
    found = {}
    mark = f"{MARK}={folder}".encode()
    for entry in filter(str.isdecimal, os.listdir("/proc") if os.path.isdir("/proc/self") else ()):
        with contextlib.suppress(OSError):
            with open(f"/proc/{entry}/environ", "rb") as environ:
                values = environ.read().split(b"\0")
            if mark in values or any(value.startswith(mark + b"/") for value in values):
                with open(f"/proc/{entry}/cmdline", "rb") as line:
                    words = line.read().decode("utf-8", "replace").split("\0")
                found[int(entry)] = " ".join(words).strip()
    return found


def end(pid: int) -> None:
    """SIGKILL, if there is such a process."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.kill(pid, signal.SIGKILL)


def watch(descriptor: int, parent: int) -> dict[int, str]:
    """Follow the orders on `descriptor` to the end; what is then still listed."""
    listed: dict[int, str] = {}
    buffer = b""
    while True:
        orphaned = os.getppid() != parent
        if not select.select([descriptor], [], [], 0 if orphaned else 0.5)[0]:
            if orphaned:
                return listed
            continue
        chunk = os.read(descriptor, 65536)
        if not chunk:
            return listed
        *lines, buffer = (buffer + chunk).split(b"\n")
        for line in lines:
            order, pid, *start = line.decode().split()
            if order == "add":
                listed[int(pid)] = start[0]
            else:
                listed.pop(int(pid), None)


def remove(folder: str) -> None:
    """Delete a folder in which processes that are being killed may still write for a moment. One
    that has gone already costs nothing, not even an import: the harness waits for this process.
    """
    deadline = time.monotonic() + _PATIENCE
    while os.path.lexists(folder) and time.monotonic() < deadline:
        import shutil

        shutil.rmtree(folder, ignore_errors=True)
        time.sleep(0.01)


def main() -> None:
    """The arguments: the pid of the harness, and a folder that ends with it, if there is one."""
    for quiet in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(quiet, signal.SIG_IGN)
    for pid, start in watch(0, int(sys.argv[1])).items():
        if start_time(pid) == start:
            end(pid)
    for folder in sys.argv[2:]:
        if os.path.lexists(folder):  # the harness did not get to deleting it
            for pid in marked(folder):
                end(pid)
            remove(folder)


if __name__ == "__main__":
    main()
