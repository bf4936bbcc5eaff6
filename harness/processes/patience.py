"""Deadlines in the seconds of a machine that is not busy.

Where four processes want each core, everything takes four times as long: what is waited for is
not late, and a deadline by the wall clock would call it so. So time counts less the more
processes want to run, as the kernel counts them at each look. A deadline is still one: no second is
stretched to more than MOST.
"""

from __future__ import annotations

from collections.abc import Callable

from dynamesis.harness.processes.clock import MOST, clock

__all__ = ["MOST", "Headway", "Patience", "stretch"]

#: times that a deadline is put off at most, and what must have come of what was left each time
_PUT_OFF, _DONE = 3, 0.1


def stretch() -> float:
    """How many times as long as on an idle machine things take now: 1 to MOST."""
    return clock().stretch()


def _now() -> float:
    return clock().monotonic()


class Patience:
    """A deadline of `seconds`, in such time. Ask often: it goes by what it sees when asked."""

    def __init__(
        self,
        seconds: float,
        busy: Callable[[], float] = stretch,
        clock: Callable[[], float] = _now,
    ) -> None:
        self._left = seconds
        self._busy = busy
        self._clock = clock
        self._asked = clock()

    @property
    def over(self) -> bool:
        """Whether it has passed."""
        now = self._clock()
        self._left -= (now - self._asked) / self._busy()
        self._asked = now
        return self._left <= 0


class Headway:
    """A deadline of `seconds`, as a Patience, that is put off by as much again where a part of
    what was left has been done meanwhile; a few times at most."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._patience = Patience(seconds)
        self._before = 0
        self._times = 0

    def over(self, left: int) -> bool:
        """Whether it has passed, with so much `left` to be done; 0: that is not known."""
        self._before = max(self._before, left)
        if not self._patience.over:
            return False
        done = self._before - left
        if not left or done < _DONE * self._before or self._times == _PUT_OFF:
            return True
        self._patience, self._before = Patience(self._seconds), left
        self._times += 1
        return False
