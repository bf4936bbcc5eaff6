"""Percentiles, interpolated between the two values that are nearest, as numpy has them: without
numpy's way to them, which takes twenty times as long as the answer where there are few values, and
loads what no history needs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import floor

import numpy as np

#: values from which on numpy sorts them faster
_MANY = 500


def percentiles(values: Sequence[float], marks: Iterable[float]) -> list[float]:
    """The percentile of `values`, of which there is at least one, at each of the `marks` (0 to
    100)."""
    many = len(values) >= _MANY
    ordered = np.sort(np.asarray(values, float)).tolist() if many else sorted(map(float, values))
    return [_at(ordered, mark / 100) for mark in marks]


def _at(ordered: Sequence[float], share: float) -> float:
    place = (len(ordered) - 1) * share
    before = floor(place)
    low, high = ordered[before], ordered[min(before + 1, len(ordered) - 1)]
    part = place - before
    # from the nearer end, so that it is exact at both
    return high - (high - low) * (1 - part) if part >= 0.5 else low + (high - low) * part
