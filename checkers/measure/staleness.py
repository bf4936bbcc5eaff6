"""Measured, not judged: how stale reads were, how likely fresh, how long until all agreed.

k-staleness of a get: how many acknowledged versions of its key it knew nothing of, though
they were acknowledged before it began; t-staleness: for how long the oldest of these had
been. Beside them the bound of Bailis et al. (Probabilistically Bounded Staleness, VLDB
2012) for the chance of missing the latest write when R and W replicas of N are drawn at
random.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import comb
from typing import Any

import numpy as np
from dynamesis.checkers.dynamo.session_guarantees import COUNTED, missing_of_gets
from dynamesis.checkers.graph.causality import Causality
from dynamesis.checkers.graph.run import Run
from dynamesis.checkers.history.arrays import shares, tally
from dynamesis.checkers.history.pairing import OK, Ints
from dynamesis.checkers.measure.availability import availability
from dynamesis.checkers.measure.percentiles import percentiles
from dynamesis.checkers.verdict import CheckerResult, judge

#: percentiles of how stale reads are
_MARKS = (50, 99, 99.9)
#: edges of the buckets, in ms since the latest acknowledgement, by which freshness is reported
BUCKETS_MS = (0, 1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 5000)


def check_staleness(run: Run) -> CheckerResult:
    """Always valid; the figures are its details."""
    c, test = run.order, run.test
    h = c.history
    gets = np.flatnonzero((h.kind == OK) & h.rows("get"))
    details: dict[str, object] = {
        "availability": availability(run),
        "pbs_miss": _pbs(test or {}),
    }
    if len(h) > COUNTED:
        return judge((), (), {**details, "note": "too long to measure every read"})
    k, t, since = _staleness(run, gets)
    details["k"] = _counts(k)
    marks = percentiles(t.tolist(), _MARKS) if len(t) else []
    details["t_ms"] = {f"p{p:g}": mark for p, mark in zip(_MARKS, marks, strict=False)}
    details["fresh_by_ms_since_ack"] = _freshness(k, since)
    details["converged_s"] = _convergence(run)
    return judge((), (), details)


def _staleness(run: Run, gets: Ints) -> tuple[Ints, Ints, Ints]:
    """By get: versions missed, for how many ms the earliest of them had been acknowledged, and
    the ms since the latest acknowledgement of its key before it began (-1: none)."""
    c, h = run.order, run.history
    place = dict(zip(gets.tolist(), range(len(gets)), strict=True))
    k, t = np.zeros(len(gets), np.int64), np.zeros(len(gets), np.int64)
    for versions, kind, row, missing in missing_of_gets(run):
        if kind == "stale-read":
            oldest = int(versions[(missing & -missing).bit_length() - 1])
            k[place[row]] = missing.bit_count()
            t[place[row]] = h.time[h.pair[row]] - h.time[c.ended[oldest]]
    return k, t // 1_000_000, _since_acknowledged(c, gets)


def _since_acknowledged(c: Causality, gets: Ints) -> Ints:
    h = c.history
    acknowledged = np.flatnonzero(c.outcome == OK)
    span = len(h) + 1
    ends = np.sort(c.key[acknowledged] * span + c.ended[acknowledged])
    begin, key = h.pair[gets], h.key_of[gets]
    latest = np.searchsorted(ends, key * span + begin) - 1
    row = ends[np.maximum(latest, 0)] - key * span if len(ends) else np.full(len(gets), -1)
    known = (latest >= 0) & (row >= 0)
    since = h.time[begin] - h.time[np.where(known, row, 0)]
    return np.where(known, since // 1_000_000, -1)


def _counts(values: Ints) -> dict[str, int]:
    numbers, times = tally(values)
    return {str(n): many for n, many in zip(numbers.tolist(), times.tolist(), strict=True)}


def _freshness(k: Ints, since: Ints) -> dict[str, float]:
    """Share of gets that missed nothing, by ms since the latest acknowledgement."""
    bucket = np.searchsorted(BUCKETS_MS, since, side="right") - 1
    known = bucket >= 0
    fresh = shares(bucket[known], k[known] == 0)
    return {f">={BUCKETS_MS[number]}": share for number, share in fresh.items()}


def _pbs(test: Mapping[str, Any]) -> float | None:
    """Chance that a read quorum misses the latest write's quorum entirely."""
    n, r, w = (test.get(name) for name in ("n", "r", "w"))
    if not (isinstance(n, int) and isinstance(r, int) and isinstance(w, int)) or r > n:
        return None
    return comb(n - w, r) / comb(n, r) if n - w >= 0 else 0.0


def _convergence(run: Run) -> float | None:
    """Seconds from heal to quiet."""
    h, timeline = run.history, run.timeline
    healed = timeline.phases.get("heal")
    if healed is None or timeline.quiesced is None or not timeline.quiet:
        return None
    return h.seconds(timeline.quiesced) - h.seconds(healed)
