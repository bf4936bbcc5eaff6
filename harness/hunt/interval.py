"""How often something fails, with how well that is known.

The interval is Wilson's (1927): unlike the textbook's p +- 1.96 s it stays within 0 and 1, and
means something after three runs, and after none that failed.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt

from dynamesis.harness.results.documents import JsonObject

#: standard deviations on either side of the mean that hold 95% of a normal distribution
_Z95 = 1.959964


@dataclass(frozen=True)
class Rate:
    """`failed` of `runs` runs failed."""

    failed: int
    runs: int

    @property
    def value(self) -> float:
        """From 0 to 1; 0 after no run at all."""
        return self.failed / self.runs if self.runs else 0.0

    @property
    def interval(self) -> tuple[float, float]:
        """Where the true rate is, with a confidence of 95%."""
        if not self.runs:
            return 0.0, 1.0
        n, z2 = self.runs, _Z95 * _Z95
        middle = (self.value + z2 / (2 * n)) / (1 + z2 / n)
        half = _Z95 / (1 + z2 / n) * sqrt(self.value * (1 - self.value) / n + z2 / (4 * n * n))
        low = 0.0 if self.failed == 0 else max(0.0, middle - half)
        high = 1.0 if self.failed == n else min(1.0, middle + half)
        return low, high

    def __add__(self, other: Rate) -> Rate:
        return Rate(self.failed + other.failed, self.runs + other.runs)

    def __str__(self) -> str:
        low, high = self.interval
        return f"{self.failed} of {self.runs} runs ({low:.0%} to {high:.0%})"

    def to_dict(self) -> JsonObject:
        """Plain data; shares from 0 to 1, rounded to a thousandth."""
        low, high = (round(each, 3) for each in self.interval)
        counts = {"failed": self.failed, "runs": self.runs}
        return counts | {"rate": round(self.value, 3), "low": low, "high": high}
