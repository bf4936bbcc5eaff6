"""What is drawn over time beside the operations: quantiles, rates, siblings, repairs.

Times are in s since the test began, latencies in ms. Windows are equal, at most WINDOWS of them.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from dynamesis.checkers.history.history import History
from dynamesis.checkers.history.pairing import INFO, INVOKE, OK
from dynamesis.checkers.logs.logs import Logs
from dynamesis.harness.results.documents import JsonObject

WINDOWS = 120
QUANTILES = (50, 95, 99)
#: what nodes log when they bring a copy to where it belongs, by what stored it
REPAIRS = ("read-repair", "handoff", "anti-entropy", "transfer")


def windows(h: History) -> tuple[float, float]:
    """(seconds of a window, seconds of the test)."""
    length = max(float(h.time.max(initial=0)) / 1e9, 1e-3)
    for size in (0.001, 0.01, 0.05, 0.1, 0.25, 0.5, 1, 2, 5, 10, 30, 60, 300, 600, 3600):
        if length / size <= WINDOWS:
            return size, length
    return length / WINDOWS, length


def measures(h: History, logs: Logs | None) -> JsonObject:
    """All series, each by window: {window, length, at, latency, rate, siblings, repairs, hints}."""
    size, length = windows(h)
    count = max(1, math.ceil(round(length / size, 6)))
    widths = np.full(count, float(size))  # the last one is rarely whole
    widths[-1] = max(length - size * (count - 1), size / 4)
    rows = np.flatnonzero((h.kind == INVOKE) & (h.process >= 0))
    end = h.pair[rows]
    ok = (end >= 0) & (h.kind[np.maximum(end, 0)] == OK)
    place = np.minimum((h.time[rows] / 1e9 / size).astype(np.int64), count - 1)
    took = (h.time[np.maximum(end, 0)] - h.time[rows]) / 1e6
    outcome = np.where(end >= 0, h.kind[np.maximum(end, 0)], INFO)
    found: JsonObject = {
        "window": size,
        "length": length,
        "at": [round(size * i, 4) for i in range(count)],
        "latency": _quantiles(place[ok], took[ok], count),
        "rate": {
            name: np.round(
                np.bincount(place[outcome == OK + i], minlength=count) / widths, 2
            ).tolist()
            for i, name in enumerate(("ok", "fail", "info"))
        },
        "siblings": _siblings(h, size, count),
    }
    if logs is not None and logs.began is not None:
        found |= _repairs(logs, size, count)
    return found


def _quantiles(place: Any, took: Any, count: int) -> dict[str, list[float | None]]:
    order = np.argsort(place, kind="stable")
    edges = np.searchsorted(place[order], np.arange(count + 1))
    lines: dict[str, list[float | None]] = {f"p{q}": [None] * count for q in QUANTILES}
    for i in range(count):
        here = took[order[edges[i] : edges[i + 1]]]
        if len(here):
            for q, value in zip(QUANTILES, np.percentile(here, QUANTILES), strict=True):
                lines[f"p{q}"][i] = round(float(value), 3)
    return lines


def _siblings(h: History, size: float, count: int) -> JsonObject:
    """By window the mean and the most siblings of a get; empty without gets that show some."""
    gets = np.flatnonzero((h.kind == OK) & h.rows("get") & h.shown & (h.process >= 0))
    if not len(gets):
        return {}
    many = h.sib_start[gets + 1] - h.sib_start[gets]
    place = np.minimum((h.time[gets] / 1e9 / size).astype(np.int64), count - 1)
    total = np.bincount(place, minlength=count)
    mean = np.bincount(place, many, minlength=count) / np.maximum(total, 1)
    most = np.zeros(count, np.int64)
    np.maximum.at(most, place, many)
    kept = [(round(float(a), 3), int(b)) if n else (None, None)
            for n, a, b in zip(total, mean, most, strict=True)]  # fmt: skip
    return {"mean": [a for a, _ in kept], "most": [b for _, b in kept]}


def _repairs(logs: Logs, size: float, count: int) -> JsonObject:
    """By window how many copies each kind of repair stored, and how many hints were kept and
    handed off."""
    began = logs.began or 0
    by: dict[str, list[int]] = {}

    def add(name: str, event: Mapping[str, Any]) -> None:
        place = int((event.get("mono", began) - began) / 1e9 / size)
        if 0 <= place < count:
            by.setdefault(name, [0] * count)[place] += 1

    for event in logs.events:
        if event["event"] == "stored" and event.get("why") in REPAIRS and "key" in event:
            add(str(event["why"]), event)
        elif event["event"] == "stored" and event.get("hint_for"):
            add("hint kept", event)
        elif event["event"] == "handed-off":
            add("hint handed off", event)
    hints = {name: by.pop(name) for name in ("hint kept", "hint handed off") if name in by}
    return {"repairs": by, "hints": hints}
