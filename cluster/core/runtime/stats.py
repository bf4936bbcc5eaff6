"""What a node counts about its own work: how long requests took, what reads showed, what
was refused and why.

Latencies are kept in buckets that grow by the fourth root of 2, so that a quantile is
right within a fifth at any scale, in slots of some seconds, so that old ones drop out.
"""

from __future__ import annotations

from bisect import bisect_left

_PER_DOUBLING = 4
#: the upper bound of the first bucket, seconds, and the number of buckets (to about 100 s)
_FIRST = 1e-4
_BUCKETS = 80
#: the window is this many slots of this many seconds
SLOTS = 6
SLOT = 10.0

#: upper bounds of the buckets, seconds
BOUNDS = tuple(_FIRST * 2 ** (i / _PER_DOUBLING) for i in range(_BUCKETS))


def bucket(seconds: float) -> int:
    """The first bucket whose bound is not below `seconds`; the last one takes the rest."""
    return bisect_left(BOUNDS, seconds, 0, _BUCKETS - 1)


class Latencies:
    """Of one kind of request: `total` since the start, by bucket; quantiles of the last
    minute."""

    def __init__(self) -> None:
        self.total = [0] * _BUCKETS
        self.sum = 0.0
        self._slots = [[0] * _BUCKETS for _ in range(SLOTS)]
        #: the number of the slot of now, and that slot
        self._slot = 0
        self._present = self._slots[0]
        self._slot_ends = SLOT

    def record(self, now: float, seconds: float) -> None:
        at = bisect_left(BOUNDS, seconds, 0, _BUCKETS - 1)  # as `bucket`
        if now >= self._slot_ends:
            self._turn(now)
        self._present[at] += 1
        self.total[at] += 1
        self.sum += seconds

    def quantile(self, now: float, q: float) -> float | None:
        """The latency (s) that a share `q` of the last minute's requests did not exceed;
        None if there were none."""
        self._turn(now)
        counts = [sum(column) for column in zip(*self._slots, strict=True)]
        wanted = q * sum(counts)
        if not wanted:
            return None
        seen = 0
        for bound, count in zip(BOUNDS, counts, strict=True):
            seen += count
            if seen >= wanted:
                return bound
        return BOUNDS[-1]

    def _turn(self, now: float) -> None:
        """Empty the slots whose time is over."""
        slot = int(now / SLOT)
        if slot <= self._slot:
            return
        for passed in range(max(self._slot + 1, slot - SLOTS + 1), slot + 1):
            self._slots[passed % SLOTS] = [0] * _BUCKETS
        self._slot = slot
        self._present = self._slots[slot % SLOTS]
        self._slot_ends = (slot + 1) * SLOT


class Stats:
    """`siblings` and `clock`: number of siblings, or of actors, -> reads that showed it.
    `refusals` by code."""

    def __init__(self) -> None:
        self.latency = {"get": Latencies(), "put": Latencies()}
        self.siblings: dict[int, int] = {}
        self.clock: dict[int, int] = {}
        self.refusals: dict[str, int] = {}
        self.read_repairs = 0

    def read(self, siblings: int, actors: int) -> None:
        """A client was shown so many siblings, under a clock of so many actors."""
        self.siblings[siblings] = self.siblings.get(siblings, 0) + 1
        self.clock[actors] = self.clock.get(actors, 0) + 1

    def refused(self, code: str) -> None:
        self.refusals[code] = self.refusals.get(code, 0) + 1
