"""Models `set` and `set-full`: elements are added, reads show the whole set.

`set` judges the last read alone; `set-full` every read: an element is *known* from its
acknowledgement, or from the first read that showed it, and must be in every read that
begins after that. It is lost when the latest read that lacks it is later than every read
that has it; a read that lacks it although a later one has it was stale, which only
`linearizable` forbids. After jepsen.checker, its defects left out: here a read of a
refused add is an anomaly, and duplicates are found.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from .causality import NEVER
from .columns import History, Names
from .pairing import FAIL, INFO, INVOKE, OK, Ints
from .spelling import freeze
from .verdict import DESCRIBED, Anomaly, Verdict, judge


@dataclass(frozen=True, eq=False)
class Sets:
    """By element: its add (row, NEVER if nobody added it), when that was acknowledged (NEVER
    if not), whether it was refused. By read: begin and end. Pairs of what was shown:
    `read` and `element` (numbers)."""

    names: list[Any]
    added: Ints
    acknowledged: Ints
    refused: Any
    begin: Ints
    end: Ints
    read: Ints
    element: Ints


def _sets(h: History) -> Sets | str:
    names = Names()
    rows = np.flatnonzero((h.kind == INVOKE) & (h.process >= 0))
    adds = rows[h.rows("add")[rows]]
    numbers = np.array([names[freeze(h.value_of(r))] for r in adds.tolist()], np.int64)
    if len(np.unique(numbers)) < len(numbers):
        return "an element is added twice: a read of it does not name its add"
    reads = rows[h.rows("read")[rows] & (h.pair[rows] >= 0)]
    ends = h.pair[reads]
    reads, ends = reads[h.kind[ends] == OK], ends[h.kind[ends] == OK]
    told = map(h.value_of, ends.tolist())
    shown = [[] if value is None else value for value in told]
    for row, value in zip(ends.tolist(), shown, strict=True):
        if not isinstance(value, list):
            return f"index {row}, field value: expected the list of elements read, got {value!r}"
    element = np.array([names[freeze(e)] for s in shown for e in s], np.int64)
    read = np.repeat(np.arange(len(reads)), [len(s) for s in shown])
    count = len(names) - 1
    added, acknowledged = np.full(count, NEVER), np.full(count, NEVER)
    refused = np.zeros(count, np.bool_)
    pair = h.pair[adds]
    status = np.where(pair >= 0, h.kind[pair], INFO)
    added[numbers] = adds
    acknowledged[numbers] = np.where(status == OK, pair, NEVER)
    refused[numbers] = status == FAIL
    return Sets(names.all(), added, acknowledged, refused, reads, ends, read, element)


def check_set(h: History) -> Verdict:
    """Judge the last read: nothing acknowledged before it is lost, nothing is made up."""
    s = _sets(h)
    if isinstance(s, str):
        return judge((), [s])
    if not len(s.begin):
        return judge((), ["no read succeeded"])
    last = int(np.argmax(s.end))
    shown = s.element[s.read == last]
    lost = np.flatnonzero(s.acknowledged < s.begin[last])
    lost = lost[~np.isin(lost, shown)]
    found = [_lost(s, e, last) for e in lost.tolist()]
    found += _unexpected(s, [last])
    recovered = np.isin(np.flatnonzero((s.added < NEVER) & (s.acknowledged == NEVER)), shown)
    details = {
        "acknowledged": int(np.count_nonzero(s.acknowledged < NEVER)),
        "read": len(np.unique(shown)),
        "recovered": int(np.count_nonzero(recovered)),
    }
    reasons = [] if np.any(s.acknowledged < s.begin[last]) else ["no add was acknowledged"]
    return capped(found, reasons, details)


def check_set_full(h: History, linearizable: bool = False) -> Verdict:
    """Judge every read. With `linearizable`, stale reads are anomalies too."""
    s = _sets(h)
    if isinstance(s, str):
        return judge((), [s])
    if not len(s.begin):
        return judge((), ["no read succeeded"])
    known = s.acknowledged.copy()
    np.minimum.at(known, s.element, s.end[s.read])
    by_begin = np.argsort(s.begin, kind="stable")
    rank = np.empty(len(by_begin), np.int64)
    rank[by_begin] = np.arange(len(by_begin))
    present = np.full(len(s.names), -1, np.int64)
    np.maximum.at(present, s.element, rank[s.read])
    absent = _last_absent(s, rank)
    after = (absent >= 0) & (s.begin[by_begin[np.maximum(absent, 0)]] > known)
    lost, stale = after & (present < absent), after & (present > absent)
    found = [_lost(s, e, int(by_begin[absent[e]])) for e in np.flatnonzero(lost).tolist()]
    found += _unexpected(s, range(len(s.begin)))
    if linearizable:
        found += [_stale(s, e, int(by_begin[absent[e]])) for e in np.flatnonzero(stale).tolist()]
    stable = (known < NEVER) & ~lost & (present >= 0)
    details = {
        "stable": int(np.count_nonzero(stable)),
        "lost": int(np.count_nonzero(lost)),
        "stale": int(np.count_nonzero(stale)),
        "never_read": int(np.count_nonzero((s.added < NEVER) & (present < 0))),
    }
    judged = np.any(stable | lost)
    return capped(found, [] if judged else ["no element was known and read"], details)


def _last_absent(s: Sets, rank: Ints) -> Ints:
    """By element: the latest read (by beginning) that lacks it, -1 if none. Its reads from
    the latest down must be without a gap until there."""
    pairs = np.unique(s.element * len(rank) + (len(rank) - 1 - rank[s.read]))
    element, back = pairs // len(rank), pairs % len(rank)
    first = np.searchsorted(element, np.arange(len(s.names)))
    gap = back != np.arange(len(back)) - first[element]
    run = np.bincount(element, minlength=len(s.names))
    at = np.flatnonzero(gap)
    np.minimum.at(run, element[at], at - first[element[at]])
    return len(rank) - 1 - run


def _unexpected(s: Sets, reads: Sequence[int]) -> Iterator[Anomaly]:
    """What these reads show and cannot have: from nowhere, refused, of the future, twice."""
    chosen = np.isin(s.read, np.asarray(reads))
    read, element = s.read[chosen], s.element[chosen]
    end = s.end[read]
    for name, bad, why in (
        ("phantom", s.added[element] == NEVER, "which nobody added"),
        ("aborted-read", s.refused[element], "whose add was refused"),
        ("future-read", (s.added[element] < NEVER) & (s.added[element] > end), "not yet added"),
    ):
        for i in np.flatnonzero(bad).tolist():
            rows = {int(end[i])} | ({int(s.added[element[i]])} - {NEVER})
            text = f"the read that ended at index {end[i]} shows {s.names[element[i]]!r}, {why}."
            yield Anomaly(name, text, None, tuple(sorted(rows)))
    code = read * (len(s.names) + 1) + element
    twice, count = np.unique(code, return_counts=True)
    for c in twice[count > 1].tolist():
        row, what = int(s.end[c // (len(s.names) + 1)]), s.names[c % (len(s.names) + 1)]
        text = f"the read that ended at index {row} shows {what!r} more than once."
        yield Anomaly("duplicate-elements", text, None, (row,))


def _lost(s: Sets, element: int, read: int) -> Anomaly:
    known = int(s.acknowledged[element])
    when = f"acknowledged at index {known}" if known < NEVER else "shown by an earlier read"
    rows = {int(s.added[element]), known, int(s.end[read])} - {NEVER}
    why = f"{s.names[element]!r} was {when}, but the read at index {s.end[read]} lacks it for good."
    return Anomaly("lost-element", why, None, tuple(sorted(rows)))


def _stale(s: Sets, element: int, read: int) -> Anomaly:
    rows = {int(s.added[element]), int(s.acknowledged[element]), int(s.end[read])} - {NEVER}
    why = f"{s.names[element]!r} was known before the read at index {s.end[read]}, which lacks it."
    return Anomaly("stale-read", why, None, tuple(sorted(rows)))


def capped(found: list[Anomaly], reasons: list[str], details: dict[str, Any]) -> Verdict:
    """A verdict that describes some anomalies of each name and counts the rest."""
    kept: dict[str, list[Anomaly]] = {}
    for anomaly in found:
        kept.setdefault(anomaly.name, []).append(anomaly)
    more = {n: len(same) - DESCRIBED for n, same in kept.items() if len(same) > DESCRIBED}
    return judge([a for same in kept.values() for a in same[:DESCRIBED]], reasons, details, more)


def check_unique_ids(h: History) -> Verdict:
    """Model `unique-ids`: every `generate` gives another value."""
    rows = np.flatnonzero((h.kind == OK) & (h.process >= 0) & h.rows("generate"))
    order = rows[np.argsort(h.same_value[rows], kind="stable")]
    same = np.flatnonzero(h.same_value[order][1:] == h.same_value[order][:-1])
    found = [
        Anomaly(
            "duplicate-ids",
            f"index {order[i]} and index {order[i + 1]} both gave {h.value_of(int(order[i]))!r}.",
            None,
            (int(order[i]), int(order[i + 1])),
        )
        for i in same.tolist()
    ]
    details = {"generated": len(rows)}
    return capped(found, [] if len(rows) else ["no id was generated"], details)


def check_counter(h: History) -> Verdict:
    """Model `counter`: a read lies between the sum of what was certainly added before it began
    and of what may have been added before it ended; each add counts by its sign."""
    rows = np.flatnonzero((h.kind == INVOKE) & (h.process >= 0))
    adds = rows[h.rows("add")[rows]]
    pair = h.pair[adds]
    status = np.where(pair >= 0, h.kind[pair], INFO)
    adds, pair, status = (x[status != FAIL] for x in (adds, pair, status))
    amounts = [h.value_of(row) for row in adds.tolist()]
    if not all(isinstance(a, int) and not isinstance(a, bool) for a in amounts):
        return judge((), ["expected integers as the values of add"])
    amount = np.array(amounts, np.int64)
    reads = rows[h.rows("read")[rows] & (h.pair[rows] >= 0)]
    reads = reads[h.kind[h.pair[reads]] == OK]
    bounds = _bounds(adds, np.where(status == OK, pair, NEVER), amount, reads, h.pair[reads])
    found, widest = [], 0
    for read, low, high in zip(reads.tolist(), *(b.tolist() for b in bounds), strict=True):
        row = int(h.pair[read])
        value = h.value_of(row)
        widest = max(widest, high - low)
        if not isinstance(value, int) or not low <= value <= high:
            why = f"the read at index {row} gave {value!r}; possible were {low} to {high}."
            found.append(Anomaly("out-of-bounds", why, None, (read, row)))
    reasons = [] if len(reads) else ["no read succeeded"]
    return capped(found, reasons, {"reads": len(reads), "widest_bounds": widest})


def _bounds(
    begin: Ints, acknowledged: Ints, amount: Ints, reads: Ints, ends: Ints
) -> tuple[Ints, Ints]:
    """Lowest and highest possible value of each read, by sums over adds sorted by row."""

    def sums(at: Ints, rows: Ints, values: Ints) -> Ints:
        order = np.argsort(rows, kind="stable")
        total = np.append([0], np.cumsum(values[order]))
        found: Ints = total[np.searchsorted(rows[order], at)]
        return found

    done = sums(reads, acknowledged, amount)
    up, down = np.maximum(amount, 0), np.minimum(amount, 0)
    low = done + sums(ends, begin, down) - sums(reads, acknowledged, down)
    high = done + sums(ends, begin, up) - sums(reads, acknowledged, up)
    return low, high
