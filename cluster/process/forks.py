"""The side of the supervisor of what forks nodes (cluster.fork_server).

A node that is forked is a child of this process, as one that is exec'd: it is waited for by its
pid, and the kernel ends it with us. For the moment of a fork this process takes orphans
(PR_SET_CHILD_SUBREAPER of Linux), which the node is then.

What a fork cannot give a node, it gets by being exec'd: another version, a preloaded library,
other variables than the fork server began with. So does each node if the fork server is gone.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import json
import os
import select
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO

from dynamesis.cluster.process.parent import PARENT
from dynamesis.cluster.process.runtime import NodeRuntime

#: what the fork server sends once it has loaded everything, and bytes of an order at most
READY = b"ready"
LONGEST = 65_536
#: s until it must be ready, and until a node must have been forked
_READY_WITHIN, _FORKED_WITHIN = 30.0, 10.0
#: bytes of a command line for which its own has room
_ROOM = 4_096
_PR_SET_CHILD_SUBREAPER, _PR_GET_CHILD_SUBREAPER = 36, 37
_one_at_a_time = threading.Lock()


class ForkedProcess:
    """A node that was forked: what the supervisor needs of a subprocess.Popen."""

    def __init__(self, pid: int, stdin: IO[bytes]) -> None:
        self.pid = pid
        self.stdin = stdin
        self._code: int | None = None

    def poll(self) -> int | None:
        """Its exit code, minus the number of the signal that ended it; None while it lives."""
        if self._code is None:
            try:
                pid, status = os.waitpid(self.pid, os.WNOHANG)
            except ChildProcessError:  # something else in this process has reaped it
                self._code = 0
            else:
                self._code = os.waitstatus_to_exitcode(status) if pid else None
        return self._code


class ForkServer:
    """A process that forks nodes of this runtime with these variables. `log`: the file for what
    goes wrong in it."""

    def __init__(self, runtime: NodeRuntime, variables: Mapping[str, str], log: Path) -> None:
        """Start it; it is not ready yet. Raises OSError."""
        self._runtime = runtime
        self._variables = dict(variables)
        self._is_ready = False
        self._orders, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        try:
            with theirs, log.open("ab") as errors:
                self._process = subprocess.Popen(
                    runtime.module("dynamesis.cluster.fork_server", "-" * _ROOM),
                    stdin=theirs.fileno(),
                    stdout=subprocess.DEVNULL,
                    stderr=errors,
                    env={**variables, PARENT: str(os.getpid())},
                    start_new_session=True,
                )
        except BaseException:
            self._orders.close()
            raise

    @property
    def pid(self) -> int:
        return self._process.pid

    async def until_ready(self) -> None:
        """Wait until it can fork; or until it is clear that it never will."""
        if self._is_ready:
            return
        self._orders.setblocking(False)
        with contextlib.suppress(OSError, TimeoutError):
            async with asyncio.timeout(_READY_WITHIN):
                loop = asyncio.get_running_loop()
                self._is_ready = await loop.sock_recv(self._orders, len(READY)) == READY

    def fork(
        self, runtime: NodeRuntime, variables: Mapping[str, str], config: Path, output: IO[bytes]
    ) -> ForkedProcess | None:
        """The node of a configuration file; None if it has to be exec'd."""
        if not self._is_ready or (runtime, variables) != (self._runtime, self._variables):
            return None
        try:
            forked = self._order(runtime.arguments(config), output)
        except OSError:
            forked = None
        self._is_ready = forked is not None
        return forked

    def _order(self, command: Sequence[str], output: IO[bytes]) -> ForkedProcess | None:
        """Raises OSError."""
        theirs, ours = os.pipe()
        stdin = open(ours, "wb", buffering=0)  # noqa: SIM115  # it lives as long as the node
        try:
            pid = self._forked([theirs, output.fileno()], json.dumps(command).encode())
            if pid is not None:
                stdin.write(b"\n")  # it begins
                return ForkedProcess(pid, stdin)
        except BaseException:
            stdin.close()
            raise
        finally:
            os.close(theirs)
        stdin.close()
        return None

    def _forked(self, streams: list[int], order: bytes) -> int | None:
        """The pid of a node with these streams, our child; None if none comes. Raises OSError."""
        reports, report = os.pipe()
        try:
            with _adopting():
                try:
                    socket.send_fds(self._orders, [order], [*streams, report])
                finally:
                    os.close(report)
                return _reported(reports)
        finally:
            os.close(reports)

    def close(self) -> None:
        """End it; the nodes live on."""
        self._is_ready = False
        self._orders.close()
        self._process.kill()
        self._process.wait()


def fork_server(runtime: NodeRuntime, variables: Mapping[str, str], log: Path) -> ForkServer | None:
    """One that is being started; None where there is no such thing, or it does not start."""
    if runtime.other or not sys.platform.startswith("linux"):
        return None
    try:
        return ForkServer(runtime, variables, log)
    except OSError:
        return None


@contextlib.contextmanager
def _adopting() -> Iterator[None]:
    """Meanwhile, what becomes an orphan among the descendants of this process is its child. Raises
    OSError."""
    with _one_at_a_time:
        before = ctypes.c_int(0)
        _prctl(_PR_GET_CHILD_SUBREAPER, ctypes.addressof(before))
        _prctl(_PR_SET_CHILD_SUBREAPER, 1)
        try:
            yield
        finally:
            _prctl(_PR_SET_CHILD_SUBREAPER, before.value)


def _prctl(option: int, value: int) -> None:
    if ctypes.CDLL(None, use_errno=True).prctl(option, ctypes.c_ulong(value), 0, 0, 0) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def _reported(reports: int) -> int | None:
    """The pid that a node writes of itself; None if there is none."""
    poll = select.poll()
    poll.register(reports, select.POLLIN)
    if not poll.poll(_FORKED_WITHIN * 1000):
        return None
    pid = os.read(reports, 32)
    return int(pid) if pid else None
