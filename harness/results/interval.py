"""How well a rate is known: Wilson's interval (1927).

Unlike the textbook's p +- 1.96 s it stays within 0 and 1, and has a meaning after three runs and
where none has failed."""

from __future__ import annotations

from math import ceil, sqrt

#: standard deviations on either side of the mean that hold 95% of a normal distribution
_Z = 1.959964


def interval(failed: int, tried: int) -> tuple[float, float]:
    """Where the true rate is with a confidence of 95%, from 0 to 1, when `failed` of `tried` runs
    have failed; all of 0 to 1 when none was tried."""
    if not tried:
        return 0.0, 1.0
    rate, z2 = failed / tried, _Z * _Z
    middle = (rate + z2 / (2 * tried)) / (1 + z2 / tried)
    half = _Z / (1 + z2 / tried) * sqrt(rate * (1 - rate) / tried + z2 / (4 * tried * tried))
    low = 0.0 if failed == 0 else max(0.0, middle - half)
    high = 1.0 if failed == tried else min(1.0, middle + half)
    return low, high


def enough(width: float) -> int:
    """So many runs make every rate known to `width`, from 0 to 1: what a rate of one half takes,
    which takes the most."""
    return max(1, ceil(_Z * _Z * (1 / (width * width) - 1)))
