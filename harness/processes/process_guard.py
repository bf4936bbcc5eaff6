"""Nothing outlives the harness, not even when it is killed with SIGKILL.

Every process that the harness starts is registered with a watchdog in a session of
its own (harness/processes/watchdog.py), which kills what is left once the harness is gone.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

from dynamesis.harness.processes import watchdog
from dynamesis.harness.targets.system import EnvironmentFailed


class ProcessGuard:
    """The harness's end of the pipe to the watchdog."""

    def __init__(self, process: subprocess.Popen[bytes], scratch: Path | None = None) -> None:
        self._process = process
        self._scratch = scratch
        self._registered: set[int] = set()

    @classmethod
    def start(cls, scratch: Path | None = None) -> ProcessGuard:
        """Start the watchdog, which at the end also deletes the folder `scratch`. Raises
        EnvironmentFailed if it will not run."""
        command = [sys.executable, "-I", "-S", str(Path(watchdog.__file__)), str(os.getpid())]
        if scratch is not None:
            command.append(str(scratch.resolve()))
        try:
            process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
                cwd="/",
            )
        except OSError as error:
            raise EnvironmentFailed(f"the watchdog would not start: {error}") from error
        return cls(process, scratch)

    @property
    def pid(self) -> int:
        return self._process.pid

    def add(self, pid: int) -> None:
        """See to it that process `pid` does not outlive this one."""
        start = watchdog.start_time(pid)
        if start is not None:
            self._registered.add(pid)
            self._send(f"add {pid} {start}")

    def drop(self, pid: int) -> None:
        """Forget `pid`: it was reaped, or it may continue."""
        self._registered.discard(pid)
        self._send(f"drop {pid}")

    def close(self) -> None:
        """Let the watchdog kill what is still registered, and wait for it. Where nothing is, it
        finds nothing to do: the folder is deleted here, where the code for that is loaded."""
        assert self._process.stdin is not None
        if self._scratch is not None and not self._registered:
            shutil.rmtree(self._scratch, ignore_errors=True)
        with suppress(BrokenPipeError):
            self._process.stdin.close()
        self._process.wait()

    def __enter__(self) -> ProcessGuard:
        return self

    def __exit__(self, *ending: object) -> None:
        self.close()

    def _send(self, order: str) -> None:
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(f"{order}\n".encode())
            self._process.stdin.flush()
        except BrokenPipeError as error:
            raise EnvironmentFailed(
                f"the watchdog (pid {self.pid}) is gone; nothing would clean up after a crash; "
                f"run the command again"
            ) from error
