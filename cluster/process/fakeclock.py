"""The wall clock of a process made wrong from outside, by libfaketime.

The library is preloaded into the node, and adds to every reading of wall time what is
in a file. It looks there each time, for some 10 us: with its cache, the shortest of which
lasts up to two seconds, a strobe would often not be seen at all. Monotonic time, by which
everything waits, is left alone: hence a drift is not a rate of the library's, which would
stretch every wait too, but many small steps. A frozen clock, or one that advances in steps,
is a date in that file instead of a difference.

The file is replaced by rename, so that no reader sees half of it.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Mapping
from pathlib import Path

from dynamesis.cluster.process.wallclock import WallClock

#: What the library leaves behind in memory when its process is killed.
_SHARED = ("/dev/shm/faketime_shm_{}", "/dev/shm/sem.faketime_sem_{}")
#: s between two new contents of the file under a clock that drifts, and at least
_STEP, _LEAST = 0.05, 0.01


class FakeClock:
    """The clock of one node: a file, and its writer. It is right until it is set otherwise."""

    def __init__(self, library: Path, file: Path) -> None:
        self._library = library
        self._file = file
        self._clock = WallClock()
        self._writer: asyncio.Task[None] | None = None

    def environment(self, inherited: Mapping[str, str]) -> dict[str, str]:
        """What the process must be started with."""
        preload = " ".join(filter(None, [str(self._library), inherited.get("LD_PRELOAD")]))
        return {
            "LD_PRELOAD": preload,
            "FAKETIME_TIMESTAMP_FILE": str(self._file),
            "FAKETIME_NO_CACHE": "1",
            # without it, a thread that waits for the interpreter's lock does so in a busy loop
            "FAKETIME_FORCE_MONOTONIC_FIX": "0",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            "NO_FAKE_STAT": "1",
        }

    def set(
        self, offset_ms: int = 0, strobe_ms: int = 0, drift_ppm: int = 0, grain_ms: int = 0
    ) -> None:
        """Be wrong from now on as in wallclock; by nothing, be right again. Raises ValueError."""
        self._clock.set(offset_ms, strobe_ms, drift_ppm, grain_ms)
        self.stop()
        self._write()
        if strobe_ms or drift_ppm or grain_ms:
            periods = [period / 1000 for period in (strobe_ms, grain_ms) if period]
            step = max(_LEAST, min([*periods, _STEP]))
            self._writer = asyncio.get_running_loop().create_task(self._go_on(step))

    @staticmethod
    def forget(pid: int) -> None:
        """The process is gone; take away what the library has left of it."""
        for pattern in _SHARED:
            Path(pattern.format(pid)).unlink(missing_ok=True)

    def stop(self) -> None:
        """Leave the file as it is."""
        if self._writer is not None:
            self._writer.cancel()
            self._writer = None

    async def _go_on(self, step: float) -> None:
        while True:
            await asyncio.sleep(step)
            self._write()

    def _write(self) -> None:
        fresh = self._file.with_suffix(".new")
        fresh.write_text(f"{self._content()}\n", encoding="ascii")
        os.replace(fresh, self._file)

    def _content(self) -> str:
        """What the library adds to all wall time; or, where the clock is frozen, what it
        shows instead: local time, which is how the library reads a date."""
        if not self._clock.steps:
            return f"{self._clock.error_ns() / 1e9:+.6f}"
        seconds, rest = divmod(self._clock.ns(), 1_000_000_000)
        shown = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(seconds))
        # half a microsecond more: the library reads the fraction as a float and cuts that, which
        # made one millisecond less of some
        return f"{shown}.{rest // 1000:06d}5"
