"""The process of one node, and what it left running in its group."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

#: s between two looks at a process that is about to change
_LOOK = 0.005


class StoreProcess:
    """The process of one node, leader of a group. It must be waited for, or `exit_code` looked
    at, to be reaped."""

    def __init__(self, process: subprocess.Popen[bytes], exited: Callable[[int], None]) -> None:
        self._process = process
        self._exited = exited
        self._reaped = False
        self.pid = process.pid

    @property
    def exit_code(self) -> int | None:
        """None while it lives; minus the signal's number if one ended it. What it left behind
        in its group is killed."""
        if self._reaped:
            return self._process.returncode
        # while the leader is not reaped, its group's number belongs to nothing else
        ended = os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        if ended is None:
            return None
        self._to_group(signal.SIGKILL)
        code = self._process.wait()
        self._reaped = True
        self._exited(self.pid)
        return code

    @property
    def state(self) -> str:
        """ "running", "paused" or "down"."""
        if self.exit_code is not None:
            return "down"
        return "paused" if _kernel_state(self.pid) in ("T", "t") else "running"

    def send(self, number: int) -> None:
        """Send a signal to the group; nothing if the process is gone."""
        if self.exit_code is None:
            self._to_group(number)

    def _to_group(self, number: int) -> None:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, number)

    async def pause(self) -> bool:
        self.send(signal.SIGSTOP)
        while (state := self.state) == "running":
            await asyncio.sleep(_LOOK)
        return state == "paused"

    async def kill(self) -> None:
        self.send(signal.SIGKILL)
        while self.exit_code is None:
            await asyncio.sleep(_LOOK)

    async def stop(self, grace: float) -> None:
        """SIGTERM; SIGKILL after `grace` s, and immediately to a paused process."""
        if self.state != "paused":
            self.send(signal.SIGTERM)
            loop = asyncio.get_running_loop()
            deadline = loop.time() + grace
            while self.exit_code is None and loop.time() < deadline:
                await asyncio.sleep(_LOOK)
        await self.kill()


def _kernel_state(pid: int) -> str:
    """The state letter of a process that we have not reaped."""
    try:
        # the name before it is in brackets, and may hold anything
        return Path(f"/proc/{pid}/stat").read_text("ascii", "replace").rpartition(") ")[2][:1]
    except OSError:
        command = ["ps", "-o", "state=", "-p", str(pid)]
        shown = subprocess.run(command, capture_output=True, encoding="utf-8", check=False)
        return shown.stdout.strip()[:1]
