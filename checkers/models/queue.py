"""Model `queue`: what was enqueued is dequeued, once, and nothing else is.

`enqueue` adds a value, `dequeue` gives one (nil: there was none), `drain` gives all that were left,
as a list; one that broke off (info) may have a list too, of what it had got, and may have taken one
more. Deliveries of a value are counted against the enqueues of it: those that did not fail
and had begun before the delivery ended. After `total-queue` of jepsen.checker, whose duplicates
and indeterminate dequeues do not count.

Order is judged per producer only: two values that one process enqueued, the one before the
other, come out in that order. Deliveries that overlap may have happened in either order.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from dynamesis.checkers.explain.describe import counted, listed
from dynamesis.checkers.graph.causality import NEVER
from dynamesis.checkers.history.columns import History
from dynamesis.checkers.history.pairing import FAIL, INFO, INVOKE, OK
from dynamesis.checkers.history.spelling import freeze
from dynamesis.checkers.models.operations import altered, limited
from dynamesis.checkers.models.sets import capped
from dynamesis.checkers.verdict import Anomaly, CheckerResult, judge

#: values of which a proof names the rows
_NAMED = 4


@dataclass(frozen=True)
class Enqueued:
    """An enqueue that may have happened. `end`: where it was acknowledged, else NEVER."""

    begin: int
    end: int
    process: int


@dataclass(frozen=True)
class Delivered:
    """A value that a dequeue or a drain gave, and which of the values of that drain it was."""

    begin: int
    end: int
    place: int


@dataclass
class Queue:
    """The operations of one queue by value, and what else counts: the dequeues and drains of
    unknown outcome by their beginnings, and (begin, end) of those after which nothing was left."""

    enqueued: defaultdict[Any, list[Enqueued]] = field(default_factory=lambda: defaultdict(list))
    refused: defaultdict[Any, list[int]] = field(default_factory=lambda: defaultdict(list))
    delivered: defaultdict[Any, list[Delivered]] = field(default_factory=lambda: defaultdict(list))
    #: what dequeues of unknown outcome showed: it must have come from somewhere
    shown: list[tuple[Any, Delivered]] = field(default_factory=list)
    doubtful: list[int] = field(default_factory=list)
    doubtful_drains: list[int] = field(default_factory=list)
    emptied: list[tuple[int, int]] = field(default_factory=list)
    reasons: list[str] = field(default_factory=list)
    #: from where on an enqueue without a value may have enqueued anything
    nameless: int = NEVER
    acknowledged: int = 0
    answers: int = 0


def check_queue(h: History, at_least_once: bool = False, fifo: bool = False) -> CheckerResult:
    """Judge one queue. `at_least_once`: a value may be delivered again. `fifo`: what one process
    enqueued comes out in that order. Both are counted in any case."""
    reasons = altered(h, "enqueue")
    if reasons:
        return judge((), reasons)
    queue = _read(h)
    reasons = limited(queue.reasons)
    strange = list(_too_many(h, queue))
    unexpected = [a for a in strange if a.name == "unexpected"]
    again = [a for a in strange if a.name == "duplicated"]
    swapped = list(_reordered(h, queue))
    missing = _missing(queue)
    lost, doubt = _lost(h, queue, missing)
    reasons += doubt
    if not queue.acknowledged:
        reasons.append("no enqueue was acknowledged")
    if not queue.answers:
        reasons.append("no dequeue and no drain succeeded")
    details = {
        "enqueued": queue.acknowledged,
        "delivered": sum(map(len, queue.delivered.values())),
        "recovered": sum(_recovered(queue)),
        "missing": len(missing),
        "dequeues_in_doubt": len(queue.doubtful) + len(queue.doubtful_drains),
        "duplicated": len(again),
        "reordered": len(swapped),
    }
    found = [*lost, *unexpected, *([] if at_least_once else again), *(swapped if fifo else [])]
    return capped(found, reasons, details)


def _read(h: History) -> Queue:
    queue = Queue()
    last_delivery = -1
    empties: list[tuple[int, int]] = []
    for row in np.flatnonzero((h.kind == INVOKE) & (h.process >= 0)).tolist():
        end = int(h.pair[row])
        kind = int(h.kind[end]) if end >= 0 else INFO
        f = h.fs[h.f[row]]
        if f == "enqueue":
            _enqueue(h, queue, row, end, kind)
        elif kind == INFO:
            partly = f == "drain" and end >= 0 and isinstance(h.value_of(end), list)
            (queue.doubtful if f == "dequeue" or partly else queue.doubtful_drains).append(row)
            if partly:
                _deliver(queue, row, end, _given(h, queue, f, end) or [])
            elif f == "dequeue" and end >= 0 and (value := h.value_of(end)) is not None:
                queue.shown.append((value, Delivered(row, end, 0)))
        elif kind == OK:
            queue.answers += 1
            given = _given(h, queue, f, end)
            _deliver(queue, row, end, given or [])
            if given is None:
                queue.doubtful_drains.append(row)
            elif f == "drain":
                queue.emptied.append((row, end))
            elif given:
                last_delivery = max(last_delivery, end)
            else:
                empties.append((row, end))
    # one that found nothing although another found something later proves nothing
    queue.emptied += [(row, end) for row, end in empties if row > last_delivery]
    for deliveries in queue.delivered.values():
        deliveries.sort(key=lambda d: d.end)
    return queue


def _enqueue(h: History, queue: Queue, row: int, end: int, kind: int) -> None:
    value = h.value_of(row)
    if value is None:
        queue.reasons.append(f"index {row}, field value: expected a value to enqueue, got none")
        if kind != FAIL:
            queue.nameless = min(queue.nameless, row)
    elif kind == FAIL:
        queue.refused[freeze(value)].append(row)
    else:
        done = end if kind == OK else NEVER
        queue.acknowledged += kind == OK
        queue.enqueued[freeze(value)].append(Enqueued(row, done, int(h.process[row])))


def _deliver(queue: Queue, row: int, end: int, values: list[Any]) -> None:
    for place, value in enumerate(values):
        queue.delivered[freeze(value)].append(Delivered(row, end, place))


def _given(h: History, queue: Queue, f: str, end: int) -> list[Any] | None:
    """The values that a dequeue or drain gave; None where that cannot be understood: it may have
    taken any, and left any."""
    value = h.value_of(end)
    if f == "dequeue":
        return [] if value is None else [value]
    if isinstance(value, list) and None not in value:
        return value
    text = h.spelled(value)
    queue.reasons.append(
        f"index {end}, field value: expected the list of values drained, got {text}"
    )
    return None


def _too_many(h: History, queue: Queue) -> Iterator[Anomaly]:
    """Deliveries for which there is no enqueue, or no more; but for those that an enqueue without
    a value may explain."""
    for value, d in queue.shown:
        begun = [e.begin for e in queue.enqueued.get(freeze(value), ())]
        if not bisect_left(begun, d.end) and d.end <= queue.nameless:
            yield _unexpected(h, queue, freeze(value), d, begun)
    for value, deliveries in queue.delivered.items():
        begun = [e.begin for e in queue.enqueued.get(value, ())]
        counted: list[int] = []
        for d in deliveries:
            possible = bisect_left(begun, d.end)
            if d.end > queue.nameless and len(counted) >= possible:
                continue
            if not possible:
                yield _unexpected(h, queue, value, d, begun)
            elif len(counted) >= possible:
                rows = tuple(sorted({*begun[:possible][:_NAMED], *counted[:_NAMED], d.end}))
                times = "once" if possible == 1 else f"{possible} times"
                why = (
                    f"{h.spelled(value)} was enqueued {times} at most, and delivered at index "
                    f"{d.end} again, after {listed([f'index {row}' for row in counted])}."
                )
                yield Anomaly("duplicated", why, None, rows)
            else:
                counted.append(d.end)


def _unexpected(h: History, queue: Queue, value: Any, d: Delivered, begun: list[int]) -> Anomaly:
    shown = f"{h.spelled(value)} was delivered at index {d.end}"
    refused = [row for row in queue.refused.get(value, ()) if row < d.end]
    rows: tuple[int, ...] = (d.end,)
    if refused:
        why, rows = f"{shown}, and its enqueue at index {refused[0]} failed", (refused[0], d.end)
    elif begun:
        why, rows = f"{shown}, before its enqueue at index {begun[0]} began", (d.end, begun[0])
    else:
        why = f"{shown}, and no operation had enqueued it"
    return Anomaly("unexpected", f"{why}.", None, rows)


def _missing(queue: Queue) -> list[tuple[Any, Enqueued]]:
    """The acknowledged enqueues that no delivery accounts for, the last of each value."""
    missing = []
    for value, enqueues in queue.enqueued.items():
        done = sorted((e for e in enqueues if e.end < NEVER), key=lambda e: e.end)
        gone = len(done) - len(queue.delivered.get(value, ()))
        missing += [(value, e) for e in done[-gone:] if gone > 0]
    return missing


def _lost(
    h: History, queue: Queue, missing: list[tuple[Any, Enqueued]]
) -> tuple[list[Anomaly], list[str]]:
    """What is missing although the queue was empty after it was acknowledged, where dequeues in
    doubt cannot have taken all of it; and what may be in the queue still, as a reason."""
    last = max(queue.emptied, default=None)
    gone = [(v, e) for v, e in missing if last is not None and e.end < last[0]]
    there = len(missing) - len(gone)
    reasons = []
    if there:
        reasons.append(
            f"{counted(there, 'value')} that {'was' if there == 1 else 'were'} enqueued may be in "
            "the queue still: no drain succeeded, and no dequeue found it empty, since"
        )
    if last is None or not gone or any(row < last[1] for row in queue.doubtful_drains):
        return [], reasons
    takers = [row for row in queue.doubtful if row < last[1]]
    if not takers:
        return [_lost_one(h, value, e, last) for value, e in gone], reasons
    if len(gone) <= len(takers):
        return [], reasons
    values = listed([h.spelled(value) for value, _ in gone])
    why = (
        f"of {counted(len(gone), 'value')} ({values}) acknowledged and never delivered at least "
        f"{len(gone) - len(takers)} must be lost: nothing was left at index {last[1]}, and only "
        f"{counted(len(takers), 'dequeue')} of unknown outcome may have taken one each."
    )
    rows = {e.end for _, e in gone[:_NAMED]} | {*takers[:_NAMED], last[1]}
    return [Anomaly("lost", why, None, tuple(sorted(rows)))], reasons


def _lost_one(h: History, value: Any, e: Enqueued, last: tuple[int, int]) -> Anomaly:
    why = (
        f"{h.spelled(value)} was enqueued at index {e.begin}, acknowledged at index {e.end}, and "
        f"never delivered; nothing was left at index {last[1]}."
    )
    return Anomaly("lost", why, None, (e.begin, e.end, last[1]))


def _recovered(queue: Queue) -> Iterator[int]:
    """By value: how many deliveries only an enqueue of unknown outcome accounts for."""
    for value, enqueues in queue.enqueued.items():
        done = sum(e.end < NEVER for e in enqueues)
        yield max(0, min(len(queue.delivered.get(value, ())), len(enqueues)) - done)


def _reordered(h: History, queue: Queue) -> Iterator[Anomaly]:
    """Values of one process of which the later was delivered before the earlier. Those that were
    enqueued or delivered more than once have no order."""
    by_process: defaultdict[int, list[tuple[Enqueued, Any, Delivered]]] = defaultdict(list)
    for value, deliveries in queue.delivered.items():
        enqueues = queue.enqueued.get(value, [])
        if len(enqueues) == len(deliveries) == 1 and enqueues[0].begin < deliveries[0].end:
            by_process[enqueues[0].process].append((enqueues[0], value, deliveries[0]))
    for sent in by_process.values():
        sent.sort(key=lambda each: each[0].begin)
        first = sent[-1]
        for earlier in reversed(sent[:-1]):
            if _before(first[2], earlier[2]):
                yield _swapped(h, earlier, first)
            if (earlier[2].end, earlier[2].place) < (first[2].end, first[2].place):
                first = earlier


def _before(one: Delivered, other: Delivered) -> bool:
    if one.end == other.end:
        return one.place < other.place
    return one.end < other.begin


def _swapped(
    h: History,
    earlier: tuple[Enqueued, Any, Delivered],
    later: tuple[Enqueued, Any, Delivered],
) -> Anomaly:
    why = (
        f"process {h.name_of(earlier[0].process)} enqueued {h.spelled(earlier[1])} at index "
        f"{earlier[0].begin} and then {h.spelled(later[1])} at index {later[0].begin}, but the "
        f"later was delivered first, at index {later[2].end}, the earlier at {earlier[2].end}."
    )
    rows = {earlier[0].begin, later[0].begin, later[2].end, earlier[2].end}
    return Anomaly("reordered", why, None, tuple(sorted(rows)))
