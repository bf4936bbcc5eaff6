"""The process of one node, and what it left running in its group."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from textwrap import shorten

#: characters of a command line that an error has
_LONGEST_LINE = 80
#: s within which what a node left running can be known by its environment
_LEFT_SHOWS = 0.5
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
        #: pid -> command line of what was left in its group by a leader that ended with success
        self.left: dict[int, str] = {}

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
        if ended.si_code == os.CLD_EXITED and ended.si_status == 0:
            self.left = _members(self.pid)
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

    def how_ended(self, elsewhere: Mapping[int, str]) -> str:
        """The exit code, and what it left running: a job in the background of its group, or a
        daemon `elsewhere` (pid -> command line)."""
        ended = f"ended with exit code {self.exit_code}"
        for pid, line in (self.left or elsewhere).items():
            what = f"left {shorten(line, _LONGEST_LINE)} running in the background (pid {pid})"
            return f"{ended} and {what}; a node must run in the foreground"
        return ended

    async def until_left_shows(self, elsewhere: Callable[[], object], busy: float) -> None:
        """Wait until `elsewhere` shows what it left, if it may have left something. A process
        that is loading its program has no environment for a moment by which to know it: after an
        end with success, which is hardly that of a node, it is asked for a while, longer on a
        machine that is `busy` (1.0 when idle)."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + _LEFT_SHOWS * max(1.0, busy)
        while self.exit_code == 0 and not (self.left or elsewhere()) and loop.time() < deadline:
            await asyncio.sleep(_LOOK)

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


def _members(group: int) -> dict[int, str]:
    """pid -> command line of the processes of a group that live, without its leader (Linux)."""
    found = {}
    for entry in filter(str.isdecimal, os.listdir("/proc") if os.path.isdir("/proc/self") else ()):
        with suppress(OSError):
            # after the name: state, parent, group
            state, _, of = _after_name(int(entry))[:3]
            if int(of) == group != int(entry) and state not in ("Z", "X"):
                line = Path(f"/proc/{entry}/cmdline").read_text("utf-8", "replace")
                found[int(entry)] = line.replace("\0", " ").strip()
    return found


def _after_name(pid: int) -> list[str]:
    """The fields of a process's status line from its state on."""
    # the name before them is in brackets, and may hold anything
    return Path(f"/proc/{pid}/stat").read_text("ascii", "replace").rpartition(") ")[2].split()


def _kernel_state(pid: int) -> str:
    """The state letter of a process that we have not reaped."""
    try:
        return _after_name(pid)[0]
    except OSError:
        command = ["ps", "-o", "state=", "-p", str(pid)]
        shown = subprocess.run(command, capture_output=True, encoding="utf-8", check=False)
        return shown.stdout.strip()[:1]
