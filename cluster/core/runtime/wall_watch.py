"""Notices that the machine's clock has been set: its wall time against its monotonic time.

Nothing that waits goes by the wall clock; last-write-wins and the ages in plain vectors do, and
the times of the event log. So the log shows when it stopped being one that can be read.
"""

from __future__ import annotations

from dynamesis.cluster.core.runtime.runtime import Runtime

#: seconds between two looks
_LOOK = 1.0
#: ms by which the wall clock may be off before it counts as set
_SET = 100


class WallWatch:
    """Looks at the wall clock every second. A node that is given none (0) has nothing to see."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._began = 0.0
        self._wall = 0

    def start(self) -> None:
        self._runtime.every(_LOOK, self.look)

    def look(self) -> None:
        """Log by how many ms the clock went further than the time that has passed."""
        runtime = self._runtime
        if self._wall:
            by = runtime.wall - self._wall - round((runtime.now - self._began) * 1000)
            if abs(by) >= _SET:
                runtime.emit("clock-set", by=by)
        self._began, self._wall = runtime.now, runtime.wall
