"""The one place where a node reads wall time. Off unless `clock_faults` is on, it can be
made wrong by the command `clock` of the admin port:

- `offset_ms`: so much ahead, or behind where it is below zero;
- `strobe_ms`: and that only every other stretch of so many ms;
- `drift_ppm`: so much more every second, in millionths of the time that has passed since; at
  -1,000,000 the clock is frozen;
- `grain_ms`: nothing between two multiples of so many ms is ever shown.

Monotonic time, by which everything waits, is left alone, as in a machine whose wall clock
is set by hand. What the clock shows now is `clock` in `status`.
"""

from __future__ import annotations

import time
from collections.abc import Callable

#: how far the clock can be put off (ms: a hundred years), and how fast (ppm: it stops
#: still, or runs at twice its pace)
MOST_OFF = 100 * 366 * 86_400_000
MOST_DRIFT = 1_000_000


class WallClock:
    """Shows wall time, as wrong as it was set."""

    def __init__(
        self,
        monotonic_ns: Callable[[], int] = time.monotonic_ns,
        time_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        """By these clocks of the machine, which are right."""
        self._monotonic_ns = monotonic_ns
        self._time_ns = time_ns
        self._offset = 0
        self._drift = 0
        self._strobe = 0
        self._grain = 0
        self._since = 0
        self._frozen: int | None = None
        #: what `ns` asks: another one while it is wrong
        self.read: Callable[[], int] = time_ns

    def set(
        self, offset_ms: int = 0, strobe_ms: int = 0, drift_ppm: int = 0, grain_ms: int = 0
    ) -> None:
        """Be wrong from now on in just this way; by nothing, be right
        again. Raises ValueError."""
        _within("offset_ms", offset_ms, -MOST_OFF, MOST_OFF)
        _within("strobe_ms", strobe_ms, 0, MOST_OFF)
        _within("drift_ppm", drift_ppm, -MOST_DRIFT, MOST_DRIFT)
        _within("grain_ms", grain_ms, 0, MOST_OFF)
        self._offset, self._strobe, self._drift = offset_ms, strobe_ms, drift_ppm
        self._grain = grain_ms * 1_000_000
        self._since, now = self._monotonic_ns(), self._time_ns()
        self._frozen = now if drift_ppm == -MOST_DRIFT else None
        wrong = any((offset_ms, strobe_ms, drift_ppm, grain_ms))
        self.read = self._wrong_ns if wrong else self._time_ns

    def ns(self) -> int:
        """ns since 1970, as far as this node knows."""
        return self.read()

    def _wrong_ns(self) -> int:
        now = self._time_ns()
        return now + self.error_ns(now)

    def status(self) -> dict[str, int | list[int]]:
        """The time in ms, between which two moments (ns) of the machine's monotonic clock it was
        read, and how the clock was set wrong."""
        before = self._monotonic_ns()
        wall = self.ns()
        return {
            "wall": wall // 1_000_000,
            "between_ns": [before, self._monotonic_ns()],
            "offset_ms": self._offset,
            "strobe_ms": self._strobe,
            "drift_ppm": self._drift,
            "grain_ms": self._grain // 1_000_000,
        }

    @property
    def steps(self) -> bool:
        """Whether it is frozen, permanently or until its next step."""
        return self._frozen is not None or self._grain > 0

    def error_ns(self, now: int | None = None) -> int:
        """ns by which it is ahead of the machine's, which shows `now`."""
        now = self._time_ns() if now is None else now
        passed = self._monotonic_ns() - self._since
        off = self._offset * 1_000_000
        if self._strobe and passed // (self._strobe * 1_000_000) % 2:
            off = 0
        if self._frozen is not None:
            off += self._frozen - now
        else:
            off += passed * self._drift // 1_000_000
        return off - ((now + off) % self._grain if self._grain else 0)


def _within(name: str, value: object, low: int, high: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise ValueError(f"{name}: {value!r}; allowed: {low} to {high}")
