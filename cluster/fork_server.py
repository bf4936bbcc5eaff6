"""`python -m dynamesis.cluster.fork_server`: has the code of a node loaded, and forks nodes.

Loading that code takes an interpreter some 0.25 s of CPU, a fork of one that has it a few
milliseconds. It is started by cluster.process.forks, whose orders come by the socket that is its
stdin: the command line of a node as JSON, with three file descriptors: the node's stdin, its
output, and where it writes its pid.

A node is a process as if it had been exec'd by the process that orders it, and is its child: the
fork server forks a process that forks the node and ends, so that the kernel gives the node to its
nearest ancestor that takes orphans, which is the one that orders it. So a node ends with that one
and by itself, whatever becomes of the fork server; it has a session and a command line of its own.

A node begins only when a byte comes by its stdin: one of which nothing is known, since the other
end has given it up, ends there.
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import json
import os
import socket
import sys
import time
from pathlib import Path

from dynamesis.cluster.__main__ import main
from dynamesis.cluster.core.node import node  # noqa: F401  # what main loads as it is called
from dynamesis.cluster.process.forks import LONGEST, READY
from dynamesis.cluster.process.interpreter import loop_factory
from dynamesis.cluster.process.parent import end_with, follow
from dynamesis.cluster.storage import lmdb  # noqa: F401  # the usual engine

#: s between two looks whether a node has been given to its parent
_LOOK = 0.0002


def serve(orders: socket.socket, parent: int) -> list[str] | None:
    """Fork a node for each order, until there are no more; then None. In a node: its command
    line."""
    orders.send(READY)
    while True:
        order, descriptors, _, _ = socket.recv_fds(orders, LONGEST, 3)
        if not order:
            return None
        if _forked(descriptors, parent):
            command: list[str] = json.loads(order)
            return command


def _forked(descriptors: list[int], parent: int) -> bool:
    """Whether this process is the node, which has these descriptors and this parent then."""
    try:
        between = os.fork()
    except OSError:  # the other end sees that no node came, and starts it in another way
        between = -1
    if between == 0:
        between = os.getpid()
        try:
            if os.fork() == 0:
                _become_node(descriptors, between, parent)
                return True
        finally:
            if os.getpid() == between:
                os._exit(0)
    for descriptor in descriptors:
        os.close(descriptor)
    if between > 0:
        os.waitpid(between, 0)
    return False


def _become_node(descriptors: list[int], between: int, parent: int) -> None:
    """Be the child of `parent`, in a session of its own, with its streams."""
    try:
        stdin, output, report = descriptors
        while os.getppid() == between:
            time.sleep(_LOOK)
        end_with(parent)
        os.setsid()
        os.dup2(stdin, 0)  # from here on the socket of the orders is closed
        os.dup2(output, 1)
        os.dup2(output, 2)
        os.write(report, b"%d" % os.getpid())
        for descriptor in descriptors:
            os.close(descriptor)
        if not os.read(0, 1):
            os._exit(1)
    except OSError:
        os._exit(1)


def show_command(command: list[str]) -> None:
    """Have `ps` show this command line, as far as there is room where the first one was. The kernel
    takes that memory for one text up to a zero as soon as its last byte is none."""
    with contextlib.suppress(OSError, ValueError, IndexError):
        fields = Path("/proc/self/stat").read_bytes().rpartition(b")")[2].split()
        begin, end = int(fields[45]), int(fields[46])
        line = b" ".join(map(os.fsencode, command))
        if begin > 0 and begin + len(line) + 1 < end:
            ctypes.memmove(begin, line.ljust(end - begin - 1, b"\0") + b".", end - begin)


def _run() -> int:
    parent = os.getppid()
    follow()
    show_command([*sys.orig_argv[:-1]])
    loop_factory()
    # a fork copies each page that a count of references is written in: collections write in all
    gc.collect()
    gc.freeze()
    with socket.socket(fileno=os.dup(0)) as orders:
        os.set_inheritable(orders.fileno(), False)
        command = serve(orders, parent)
    if command is None:
        return 0
    show_command(command)
    sys.argv = [sys.argv[0], *command[-2:]]
    return main(sys.argv[1:])


if __name__ == "__main__":
    sys.exit(_run())
