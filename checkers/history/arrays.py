"""What checkers ask of arrays of numbers, as numpy has it, without what numpy loads and looks for
on its way: of a few hundred numbers that takes ten times as long as the answer."""

from __future__ import annotations

import numpy as np
from dynamesis.checkers.history.pairing import Bools, Ints, in_order


def line_ends(content: bytes) -> int:
    """How many newlines there are: numpy counts many faster than `bytes.count`, which stops at
    each."""
    return int(np.count_nonzero(np.frombuffer(content, np.uint8) == ord("\n")))


def distinct(values: Ints) -> Ints:
    """The values, each once, in order."""
    return tally(values)[0]


def tally(values: Ints) -> tuple[Ints, Ints]:
    """The values, each once, in order; and how many there are of each."""
    ordered = np.sort(values)
    first = np.ones(len(ordered), np.bool_)
    np.not_equal(ordered[1:], ordered[:-1], out=first[1:])
    starts = np.flatnonzero(first)
    return ordered[starts], np.diff(starts, append=len(ordered))


def alike(values: Ints) -> tuple[Ints, Ints]:
    """Where each value is first, in the order of the values; and by place which of these it is."""
    order = in_order(values)
    ordered = values[order]
    first = np.ones(len(ordered), np.bool_)
    np.not_equal(ordered[1:], ordered[:-1], out=first[1:])
    which = np.empty(len(ordered), np.int64)
    which[order] = np.cumsum(first) - 1
    return order[first], which


def among(numbers: Ints, chosen: Ints, count: int) -> Bools:
    """Which of the numbers are among the chosen; all of both are from 0 to below `count`."""
    table = np.zeros(count, np.bool_)
    table[chosen] = True
    found: Bools = table[numbers]
    return found


def shares(groups: Ints, good: Bools) -> dict[int, float]:
    """By group, in order: the share of its members that are good, to four digits."""
    numbers, many = tally(groups)
    of_good = np.bincount(np.searchsorted(numbers, groups[good]), minlength=len(numbers))
    each = zip(numbers.tolist(), of_good.tolist(), many.tolist(), strict=True)
    return {number: round(some / every, 4) for number, some, every in each}
