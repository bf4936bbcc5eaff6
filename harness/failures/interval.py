"""How often something fails, with how well that is known (harness/results/interval.py)."""

from __future__ import annotations

from dataclasses import dataclass

from dynamesis.harness.report.words import counted
from dynamesis.harness.results.documents import JsonObject
from dynamesis.harness.results.interval import interval


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
        return interval(self.failed, self.runs)

    def __add__(self, other: Rate) -> Rate:
        return Rate(self.failed + other.failed, self.runs + other.runs)

    def __str__(self) -> str:
        low, high = self.interval
        return f"{self.failed} of {counted(self.runs, 'run')} ({low:.0%} to {high:.0%})"

    def to_dict(self) -> JsonObject:
        """Plain data; shares from 0 to 1, rounded to a thousandth."""
        low, high = (round(each, 3) for each in self.interval)
        counts = {"failed": self.failed, "runs": self.runs}
        return counts | {"rate": round(self.value, 3), "low": low, "high": high}
