"""Models `counter` and `unique-ids`.

`counter`: what a read shows lies between two sums, of what was certainly added before it
began and of what may have been added before it ended. Sums are exact whatever their size, so
that a store whose counter wraps at 64 bits is wrong. `unique-ids`: every id is given once.
After jepsen.checker.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
from dynamesis.checkers.graph.causality import NEVER
from dynamesis.checkers.history.columns import History
from dynamesis.checkers.history.exact import (
    Number,
    exact_values,
    is_number,
    number_json,
    number_text,
    rounding,
)
from dynamesis.checkers.history.pairing import FAIL, INFO, INVOKE, OK, Bools, Ints
from dynamesis.checkers.models.operations import altered, limited
from dynamesis.checkers.models.sets import capped
from dynamesis.checkers.verdict import Anomaly, CheckerResult, judge

#: amounts or sums: int64 where all sums fit, else Python numbers
Sums = npt.NDArray[Any]
#: the largest sum of amounts for which 64 bits are enough, with room for differences
_FITS = 2**61


def check_unique_ids(h: History) -> CheckerResult:
    """Every `generate` gives another value. An id that is nil is none."""
    rows = np.flatnonzero((h.kind == OK) & (h.process >= 0) & h.rows("generate"))
    none = rows[h.same_value[rows] < 0]
    reasons = limited(f"index {r}, field value: expected an id, got none" for r in none.tolist())
    rows = rows[h.same_value[rows] >= 0]
    order = rows[np.argsort(h.same_value[rows], kind="stable")]
    same = np.flatnonzero(h.same_value[order][1:] == h.same_value[order][:-1])
    found = [_duplicate(h, int(order[i]), int(order[i + 1])) for i in same.tolist()]
    if not len(rows):
        reasons.append("no id was generated")
    return capped(found, reasons, {"generated": len(rows)})


def _duplicate(h: History, one: int, other: int) -> Anomaly:
    why = f"index {one} and index {other} both gave {h.spelled(h.value_of(one))}."
    return Anomaly("duplicate-ids", why, None, (one, other))


def check_counter(h: History) -> CheckerResult:
    """Each read lies within its bounds; each add counts by its sign."""
    return bounded_reads(h, lambda reads: np.ones(len(reads), np.bool_))[0]


def bounded_reads(h: History, wanted: Callable[[Ints], Bools]) -> tuple[CheckerResult, Ints]:
    """The verdict on the reads that are `wanted`, by the rows of their invocations; and the rows
    where these ended."""
    rows = np.flatnonzero((h.kind == INVOKE) & (h.process >= 0))
    adds, reads = rows[h.rows("add")[rows]], rows[h.rows("read")[rows] & (h.pair[rows] >= 0)]
    reads = reads[(h.kind[h.pair[reads]] == OK) & wanted(reads)]
    asked = exact_values(h, adds.tolist())
    odd = [row for row, a in zip(adds.tolist(), asked, strict=True) if not is_number(a)]
    reasons = [*_no_numbers(h, odd, "to add"), *altered(h, "add")]
    if reasons:
        return judge((), reasons), h.pair[reads]
    shown = exact_values(h, h.pair[reads].tolist())
    good = np.array([is_number(value) for value in shown], np.bool_)
    reasons = _no_numbers(h, h.pair[reads[~good]].tolist(), "as the sum read")
    bounds = _Bounds.of(h, adds, asked, reads[good])
    values = [value for value in shown if is_number(value)]
    found, close, widest = _beyond(reads[good], h.pair[reads[good]], values, bounds)
    reasons += limited(close)
    if not len(reads):
        reasons.append("no read succeeded")
    if not bounds.acknowledged and not any(values):
        reasons.append("no add was acknowledged, and none was read")
    details = {"reads": len(reads), "widest_bounds": number_json(widest)}
    return capped(found, reasons, details), h.pair[reads]


def _no_numbers(h: History, rows: list[int], what: str) -> list[str]:
    return limited(
        f"index {row}, field value: expected a number {what}, got {h.spelled(h.value_of(row))}"
        for row in rows
    )


class _Bounds:
    """Lowest and highest possible value of each read, in order; by how much sums may be off
    where the store adds floats; and how many adds were acknowledged."""

    def __init__(self, low: Sums, high: Sums, margin: Number, acknowledged: int) -> None:
        self.low, self.high = low, high
        self.margin, self.acknowledged = margin, acknowledged

    @classmethod
    def of(cls, h: History, adds: Ints, asked: list[Number], reads: Ints) -> _Bounds:
        pair = h.pair[adds]
        status = np.where(pair >= 0, h.kind[pair], INFO)
        possible = status != FAIL
        amounts = [a for a, counts in zip(asked, possible.tolist(), strict=True) if counts]
        done = np.where(status == OK, pair, NEVER)[possible]
        low, high = _bounds(adds[possible], done, _array(amounts), reads, h.pair[reads])
        return cls(low, high, rounding(amounts), int(np.count_nonzero(status == OK)))


def _array(amounts: list[Number]) -> Sums:
    """Amounts as int64 where any sum of them fits, else as Python numbers."""
    fits = all(type(a) is int for a in amounts) and sum(max(a, -a) for a in amounts) < _FITS
    return np.array(amounts, np.int64 if fits else object)


def _bounds(
    begin: Ints, acknowledged: Ints, amount: Sums, reads: Ints, ends: Ints
) -> tuple[Sums, Sums]:
    """Lowest and highest possible value of each read, by sums over adds sorted by row."""

    def sums(at: Ints, rows: Ints, values: Sums) -> Sums:
        order = np.argsort(rows, kind="stable")
        zero = np.zeros(1, values.dtype)
        total = np.concatenate([zero, np.cumsum(values[order], dtype=values.dtype)])
        found: Sums = total[np.searchsorted(rows[order], at)]
        return found

    done = sums(reads, acknowledged, amount)
    up, down = np.maximum(amount, 0), np.minimum(amount, 0)
    low = done + sums(ends, begin, down) - sums(reads, acknowledged, down)
    high = done + sums(ends, begin, up) - sums(reads, acknowledged, up)
    return low, high


def _possible(low: Number, high: Number) -> str:
    """What a read can have given, in words."""
    if low == high:
        return f"possible was {number_text(low)} alone"
    return f"possible were {number_text(low)} to {number_text(high)}"


def _beyond(
    reads: Ints, ends: Ints, values: list[Number], bounds: _Bounds
) -> tuple[list[Anomaly], list[str], Number]:
    """The reads out of bounds; those that are so by no more than rounding; the widest bounds."""
    found: list[Anomaly] = []
    close: list[str] = []
    widest: Number = 0
    columns = (x.tolist() for x in (reads, ends, bounds.low, bounds.high))
    for read, row, low, high, value in zip(*columns, values, strict=True):
        widest = max(widest, high - low)
        if low <= value <= high:
            continue
        possible = _possible(low, high)
        why = f"the read at index {row} gave {number_text(value)}; {possible}"
        if low - bounds.margin <= value <= high + bounds.margin:
            close.append(f"{why}, which is within the rounding of floats")
        else:
            found.append(Anomaly("out-of-bounds", f"{why}.", None, (read, row)))
    return found, close, widest
