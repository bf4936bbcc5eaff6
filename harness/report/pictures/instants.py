"""Instants and durations in words that differ where they differ.

Histories of other tools may lie within a microsecond, those of a soak test within hours: how many
digits are of use follows from the stretch of time that is shown together.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from dynamesis.checkers.history.history import History

#: ns that a stretch of time must have at least, by digits of a second
_DIGITS = ((10_000_000, 3), (10_000, 6), (0, 9))
#: (ns below which it is used, ns of one, name) of the units of an instant
_UNITS = ((1_000, 1, "ns"), (1_000_000, 1_000, "\u00b5s"), (1_000_000_000, 1_000_000, "ms"))


def clock(shown: Iterable[int]) -> Callable[[int], str]:
    """What spells instants (ns since the test began) that are shown beside these: all with one unit
    and number of digits, three where 10 ms or more lie between the first and the last."""
    instants = [int(each) for each in shown] or [0]
    latest = max(instants)
    span = latest - min(instants) or latest
    digits = 3 if latest == 0 else next(n for least, n in _DIGITS if span >= least)
    if digits > 3:
        for below, ns, unit in _UNITS:
            if latest < below:
                places = 0 if ns == 1 else 3
                return lambda at: f"{int(at) / ns:.{places}f} {unit}"
    return lambda at: f"{int(at) / 1e9:.{digits}f} s"


def clock_of(h: History, rows: Iterable[int]) -> Callable[[int], str]:
    """What spells when a row happened, for rows that are shown beside these; of a history without
    times its index."""
    if not h.time.any():
        return lambda row: f"index {row}"
    spell = clock(int(h.time[row]) for row in rows)
    return lambda row: spell(int(h.time[row]))


def duration(ns: int) -> str:
    """How long something took: "41.2 ms", "12.3 \u00b5s", "20 ns"."""
    if ns >= 100_000 or ns == 0:
        return f"{ns / 1e6:.1f} ms"
    return f"{ns / 1e3:.1f} \u00b5s" if ns >= 1_000 else f"{ns} ns"
