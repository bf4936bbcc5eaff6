"""One node as an operating-system process: started, signalled, watched, reaped.

It runs in a session of its own, so that a ctrl-C in the terminal reaches only the process that
started it. It ends with us, however we end: by the other end of a pipe, and by the signal that
the kernel sends when the thread that started it has ended (cluster.process.parent).
"""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path

from dynamesis.cluster.process.forks import ForkServer
from dynamesis.cluster.process.parent import PARENT
from dynamesis.cluster.process.runtime import NodeRuntime

#: seconds between two looks at a process that is about to change
LOOK = 0.002
#: the version of the process that starts a node
OURS = NodeRuntime()


class NodeProcess:
    """A started process. It must be waited for, or `exit_code` looked at, to be reaped."""

    def __init__(
        self,
        config: Path,
        stderr: Path,
        on_exit: Callable[[int], None],
        environment: Mapping[str, str],
        runtime: NodeRuntime = OURS,
        forks: ForkServer | None = None,
    ) -> None:
        """Start `python -m dynamesis.cluster --config config`, its stderr appended to a file.
        `environment`: its variables besides ours; `runtime`: the version of the node; `forks`: what
        it is forked from where that can be, instead of being exec'd.
        `on_exit(pid)` is called once it is reaped."""
        variables = {**runtime.environment(os.environ), **environment}
        with stderr.open("ab") as file:
            forked = None if forks is None else forks.fork(runtime, variables, config, file)
            self._process = forked or subprocess.Popen(
                runtime.arguments(config),
                stdin=subprocess.PIPE,
                stdout=file,
                stderr=file,
                env={**variables, **_tie()},
                start_new_session=True,
            )
        self._on_exit = on_exit
        self._reaped = False

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def exit_code(self) -> int | None:
        """None while it lives; minus the signal's number if one ended it."""
        code = self._process.poll()
        if code is not None and not self._reaped:
            self._reaped = True
            if self._process.stdin is not None:
                self._process.stdin.close()
            self._on_exit(self.pid)
        return code

    @property
    def state(self) -> str:
        """ "running", "paused" or "down"."""
        if self.exit_code is not None:
            return "down"
        return "paused" if _kernel_state(self.pid).startswith("T") else "running"

    def signal(self, number: signal.Signals) -> None:
        """Send a signal; nothing if the process is gone."""
        if self.exit_code is None:
            os.kill(self.pid, number)

    async def pause(self) -> bool:
        """SIGSTOP, and wait until the kernel shows it; False if the process is gone."""
        self.signal(signal.SIGSTOP)
        while (state := self.state) == "running":
            await asyncio.sleep(LOOK)
        return state == "paused"

    async def ended(self, timeout: float) -> bool:
        """Wait for the end; whether it came within `timeout` seconds."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + timeout
        while self.exit_code is None:
            if loop.time() > deadline:
                return False
            await asyncio.sleep(LOOK)
        return True

    async def kill(self) -> None:
        """SIGKILL, and reap."""
        self.signal(signal.SIGKILL)
        while self.exit_code is None:
            await asyncio.sleep(LOOK)

    async def stop(self, grace: float) -> None:
        """SIGTERM; SIGKILL after `grace` seconds, and immediately to a paused process: it would
        first have to work off all that waits for it."""
        paused = self.state == "paused"
        if not paused:
            self.signal(signal.SIGTERM)
        if paused or not await self.ended(grace):
            await self.kill()


def _tie() -> dict[str, str]:
    return {PARENT: str(os.getpid())}


def _kernel_state(pid: int) -> str:
    """The state letter of a process that we have not reaped."""
    try:
        # the name before it is in brackets, and may hold anything
        return Path(f"/proc/{pid}/stat").read_text("ascii", "replace").rpartition(") ")[2]
    except OSError:
        command = ["ps", "-o", "state=", "-p", str(pid)]
        return subprocess.run(
            command, capture_output=True, encoding="utf-8", check=False
        ).stdout.strip()
