"""Models `set` and `set-full`: elements are added, reads show the whole set.

`set` judges the last read alone; `set-full` every read: an element is *known* from its
acknowledgement, or from the first read that showed it, and must be in every read that
begins after that. It is lost when the latest read that lacks it is later than every read
that has it; a read that lacks it although a later one has it was stale, which only
`linearizable` forbids. After jepsen.checker, its defects left out: here a read of a
refused add is an anomaly, and duplicates are found.

An add without a value may have added anything, and one that was acknowledged with another value
than it was asked for may have added either. So neither is ever lost, and what a read shows is no
phantom where one of them may explain it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import compress
from typing import Any

import numpy as np
from dynamesis.checkers.explain.describe import as_text
from dynamesis.checkers.graph.causality import NEVER
from dynamesis.checkers.history.codes import NameTable
from dynamesis.checkers.history.columns import History
from dynamesis.checkers.history.pairing import FAIL, INFO, INVOKE, OK, Bools, Ints
from dynamesis.checkers.history.spelling import freeze
from dynamesis.checkers.models.operations import altered, limited
from dynamesis.checkers.verdict import DESCRIBED, Anomaly, CheckerResult, judge


@dataclass(frozen=True, eq=False)
class Sets:
    """By element: its first add (row, NEVER if none did), when an add of it was first
    acknowledged (NEVER if none was), whether all its adds were refused. By read: begin and end.
    Pairs of what was shown: `read` and `element` (numbers). `reasons`: what cannot be judged.
    `nameless`: from which row on an add may have added anything, NEVER if none may."""

    history: History
    names: list[Any]
    added: Ints
    acknowledged: Ints
    refused: Bools
    begin: Ints
    end: Ints
    read: Ints
    element: Ints
    reasons: list[str]
    nameless: int

    def seen(self) -> Bools:
        """Which of the pairs show an element that can have been there: its add had begun, and
        was not refused."""
        possible: Bools = ~self.refused[self.element]
        return possible & (self.added[self.element] < self.end[self.read])

    def spelled(self, element: int) -> str:
        """An element as the history spells it."""
        return self.history.spelled(self.names[element])


def sets_of(h: History) -> Sets:
    """The adds and reads of a history."""
    names = NameTable()
    rows = np.flatnonzero((h.kind == INVOKE) & (h.process >= 0))
    every = rows[h.rows("add")[rows]]
    adds, nameless = _named(h, every)
    other = _acknowledged_as(h, adds)
    asked = [h.value_of(r) for r in adds.tolist()]
    numbers = np.array([names[freeze(e)] for e in asked], np.int64)
    instead = [(names[freeze(e)], row) for row, e in other.items()]
    reads, ends, shown, odd = _reads(h, rows)
    element = np.array([names[freeze(e)] for s in shown for e in s], np.int64)
    read = np.repeat(np.arange(len(reads)), [len(s) for s in shown])
    count = len(names) - 1
    added, acknowledged = np.full(count, NEVER), np.full(count, NEVER)
    refused = np.zeros(count, np.bool_)
    pair = h.pair[adds]
    status = np.where(pair >= 0, h.kind[pair], INFO)
    status = np.where(np.isin(adds, list(other)), INFO, status)
    np.minimum.at(added, numbers, adds)
    np.minimum.at(acknowledged, numbers, np.where(status == OK, pair, NEVER))
    refused[numbers] = True
    refused[numbers[status != FAIL]] = False
    for number, row in instead:
        added[number], refused[number] = min(added[number], row), False
    reasons = [*_nameless(h, every), *altered(h, "add"), *odd, *_twice(h, names, adds, numbers)]
    return Sets(
        h, names.all(), added, acknowledged, refused, reads, ends, read, element, reasons, nameless
    )  # fmt: skip


def _named(h: History, adds: Ints) -> tuple[Ints, int]:
    """The adds that have an element, and from which row on one that has none, and may have
    happened, may have added anything; NEVER if there is no such add."""
    bare = np.array([h.value_of(row) is None for row in adds.tolist()], np.bool_)
    pair = h.pair[adds]
    possible = bare & ((pair < 0) | (h.kind[pair] != FAIL))
    return adds[~bare], int(adds[possible].min(initial=NEVER))


def _acknowledged_as(h: History, adds: Ints) -> dict[int, Any]:
    """By row of its invocation: the other element that an acknowledgement names."""
    pair = h.pair[adds]
    suspect = (pair >= 0) & (h.kind[pair] == OK) & (h.value[pair] >= 0)
    suspect &= h.value[pair] != h.value[adds]
    found = {}
    for row in adds[suspect].tolist():
        done = h.value_of(int(h.pair[row]))
        if done is not None and freeze(done) != freeze(h.value_of(row)):
            found[row] = done
    return found


def _reads(h: History, rows: Ints) -> tuple[Ints, Ints, list[list[Any]], list[str]]:
    """Begin, end and elements of each read that succeeded, and why some are left out."""
    reads = rows[h.rows("read")[rows] & (h.pair[rows] >= 0)]
    reads = reads[h.kind[h.pair[reads]] == OK]
    values = list(map(h.value_of, h.pair[reads].tolist()))
    good = np.array([isinstance(value, list) for value in values], np.bool_)
    odd = [
        f"index {h.pair[reads[i]]}, field value: expected the list of elements read, got "
        f"{h.spelled(values[i])}"
        for i in np.flatnonzero(~good).tolist()
    ]
    return reads[good], h.pair[reads[good]], list(compress(values, good.tolist())), limited(odd)


def _nameless(h: History, adds: Ints) -> list[str]:
    bad = [r for r in adds.tolist() if h.value[r] < 0 or h.value_of(r) is None]
    return limited(f"index {r}, field value: expected an element to add, got none" for r in bad)


def _twice(h: History, names: NameTable, adds: Ints, numbers: Ints) -> list[str]:
    """An element that is added again: a read of it does not name its add."""
    _, first = np.unique(numbers, return_index=True)
    again = np.delete(adds, first)
    return limited(
        f"index {r}, field value: {h.spelled(h.value_of(r))} is added twice: a read of it does "
        "not name its add"
        for r in again.tolist()
    )


def check_set(h: History) -> CheckerResult:
    """Judge the last read: nothing acknowledged before it is lost, nothing is made up."""
    s = sets_of(h)
    if not len(s.begin):
        return judge((), [*s.reasons, "no read succeeded"])
    last = int(np.argmax(s.end))
    shown = s.element[s.read == last]
    lost = np.flatnonzero(s.acknowledged < s.begin[last])
    lost = lost[~np.isin(lost, shown)]
    found = [_lost(s, e, last, int(s.acknowledged[e])) for e in lost.tolist()]
    found += unexpected(s, [last])
    recovered = np.isin(np.flatnonzero((s.added < NEVER) & (s.acknowledged == NEVER)), shown)
    details = {
        "acknowledged": int(np.count_nonzero(s.acknowledged < NEVER)),
        "read": len(np.unique(shown)),
        "recovered": int(np.count_nonzero(recovered)),
    }
    if not np.any(s.acknowledged < s.begin[last]):
        s.reasons.append("no add was acknowledged before the last read")
    return capped(found, s.reasons, details)


def check_set_full(h: History, linearizable: bool = False) -> CheckerResult:
    """Judge every read. With `linearizable`, stale reads are anomalies too."""
    s = sets_of(h)
    if not len(s.begin):
        return judge((), [*s.reasons, "no read succeeded"])
    known, seen = s.acknowledged.copy(), s.seen()
    np.minimum.at(known, s.element[seen], s.end[s.read[seen]])
    since = known.tolist()
    by_begin = np.argsort(s.begin, kind="stable")
    rank = np.empty(len(by_begin), np.int64)
    rank[by_begin] = np.arange(len(by_begin))
    present = np.full(len(s.names), -1, np.int64)
    np.maximum.at(present, s.element, rank[s.read])
    absent = _last_absent(s, rank)
    after = (absent >= 0) & (s.begin[by_begin[np.maximum(absent, 0)]] > known)
    lost, stale = after & (present < absent), after & (present > absent)
    last = by_begin[np.maximum(absent, 0)].tolist()
    found = [_lost(s, e, last[e], since[e]) for e in np.flatnonzero(lost).tolist()]
    found += unexpected(s, range(len(s.begin)))
    if linearizable:
        found += [_stale(s, e, last[e], since[e]) for e in np.flatnonzero(stale).tolist()]
    stable = (known < NEVER) & ~lost & (present >= 0)
    details = {
        "stable": int(np.count_nonzero(stable)),
        "lost": int(np.count_nonzero(lost)),
        "stale": int(np.count_nonzero(stale)),
        "never_read": int(np.count_nonzero((s.added < NEVER) & (present < 0))),
    }
    if not np.any(stable | lost):
        s.reasons.append("no element was known and read")
    return capped(found, s.reasons, details)


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


def unexpected(s: Sets, reads: Sequence[int]) -> Iterator[Anomaly]:
    """What these reads show and cannot have: from nowhere, refused, of the future, twice. An
    add that began after the read ended proves no abort: a refused one then proves nothing."""
    chosen = np.isin(s.read, np.asarray(reads))
    read, element = s.read[chosen], s.element[chosen]
    end, added, refused = s.end[read], s.added[element], s.refused[element]
    later = added > end
    nowhere = ((added == NEVER) | (later & refused)) & (s.nameless > end)
    later &= s.nameless > end
    for name, bad, why in (
        ("phantom", nowhere, "which no operation had added"),
        ("aborted-read", refused & ~later, "whose add was refused"),
        ("future-read", later & ~nowhere, "not yet added"),
    ):
        for i in np.flatnonzero(bad).tolist():
            phantom = name == "phantom"
            rows = {int(end[i])} | (set() if phantom else {int(added[i])})
            text = f"the read that ended at index {end[i]} shows {s.spelled(element[i])}, {why}"
            text += as_text(s.names[element[i]]) if phantom else ""
            yield Anomaly(name, f"{text}.", None, tuple(sorted(rows)))
    code = read * (len(s.names) + 1) + element
    twice, count = np.unique(code, return_counts=True)
    for c in twice[count > 1].tolist():
        row, what = int(s.end[c // (len(s.names) + 1)]), s.spelled(c % (len(s.names) + 1))
        text = f"the read that ended at index {row} shows {what} more than once."
        yield Anomaly("duplicate-elements", text, None, (row,))


def _lost(s: Sets, element: int, read: int, known: int) -> Anomaly:
    """`known`: the row from which on the element was known, an acknowledgement or a read."""
    acknowledged = known == s.acknowledged[element]
    when = f"acknowledged at index {known}" if acknowledged else f"shown by the read at {known}"
    rows = {int(s.added[element]), known, int(s.end[read])}
    why = f"{s.spelled(element)} was {when}, but not in the read at index {s.end[read]} or later."
    return Anomaly("lost-element", why, None, tuple(sorted(rows)))


def _stale(s: Sets, element: int, read: int, known: int) -> Anomaly:
    rows = {int(s.added[element]), known, int(s.end[read])}
    lacking = f"the read at index {s.end[read]} lacks it"
    why = f"{s.spelled(element)} was known from index {known} on, but {lacking}."
    return Anomaly("stale-read", why, None, tuple(sorted(rows)))


def capped(
    found: list[Anomaly], reasons: list[str], details: Mapping[str, object]
) -> CheckerResult:
    """A verdict that describes some anomalies of each name and counts the rest."""
    kept: dict[str, list[Anomaly]] = {}
    for anomaly in found:
        kept.setdefault(anomaly.name, []).append(anomaly)
    more = {n: len(same) - DESCRIBED for n, same in kept.items() if len(same) > DESCRIBED}
    return judge([a for same in kept.values() for a in same[:DESCRIBED]], reasons, details, more)
