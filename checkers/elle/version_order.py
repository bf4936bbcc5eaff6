"""The order of a register's versions, as far as it can be inferred.

- nil comes before every version (always);
- `wfr`: what a transaction reads of a key comes before what it writes to it;
- `sequential`: each process meets a key's versions in their order;
- `linearizable`: so do all processes in real time: what completed before another began met
  no later version.

Each is used where it is assumed, or where the consistency model implies it: an order against it
would be an anomaly that the model forbids. Then the edges that follow have the level of what
they rest on (`cycles`). Inference is sound for what it rests on, and linear: of the
transactions of a key that completed before another began, only those matter that no third one
separates from it, and these are neighbours in the order of completion.

Only versions that their transaction left behind have a place: what it overwrote itself, or
what failed, has no place in the order (Adya), and a read of it adds nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, fields
from functools import partial

import numpy as np
from dynamesis.checkers.elle.consistency import ALL, NONE, WRITES, VersionOrder
from dynamesis.checkers.elle.txn import Txns
from dynamesis.checkers.graph.causality import spans
from dynamesis.checkers.graph.reach import strong_components
from dynamesis.checkers.history.pairing import OK, Bools, Ints

INFERENCES = ("wfr", "sequential", "linearizable")
SOURCES = ("nil", *INFERENCES, "wfr")
#: in SOURCES: wfr by the consistency model; its writer is read, so that wr implies what ww would
IMPLIED_WFR = len(INFERENCES) + 1


@dataclass(frozen=True, eq=False)
class Visits:
    """One row for each transaction and key that it touched, failed ones left out."""

    txn: Ints
    key: Ints
    #: the version that it read from outside, -1 for none
    read: Ints
    #: the version that it left behind, -1 for none
    write: Ints

    @property
    def first(self) -> Ints:
        """What the transaction met first."""
        return np.where(self.read >= 0, self.read, self.write)

    @property
    def last(self) -> Ints:
        """What it met or made last."""
        return np.where(self.write >= 0, self.write, self.read)

    def those(self, rows: Bools | Ints) -> Visits:
        """Some rows."""
        return Visits(*(getattr(self, field.name)[rows] for field in fields(self)))


@dataclass(frozen=True, eq=False)
class Order:
    """Edges lower -> upper of the version order, each pair of versions once."""

    lower: Ints
    upper: Ints
    #: the transactions from which the edge was inferred
    before: Ints
    after: Ints
    #: the inference, a number in SOURCES
    source: Ints
    #: of `cycles`: 0 data, 1 order of a process, 2 real time
    level: Ints

    def those(self, rows: Bools | Ints) -> Order:
        """Some edges."""
        return Order(*(getattr(self, field.name)[rows] for field in fields(self)))

    def joined(self, other: Order, versions: int) -> Order:
        """With the edges of another that are not there yet."""
        columns = [
            np.concatenate([getattr(self, f.name), getattr(other, f.name)]) for f in fields(self)
        ]
        whole = Order(*columns)
        return whole.those(np.sort(_first_of_each(whole, versions)))

    def on_cycle(self, versions: int) -> Bools:
        """Which edges lie on a cycle."""
        labels = strong_components(versions, self.lower, self.upper)
        on_cycle: Bools = labels[self.lower] == labels[self.upper]
        return on_cycle


@dataclass(frozen=True, eq=False)
class Inferred:
    """The version order as far as it was inferred, and what contradicts it."""

    #: without a cycle
    order: Order
    #: edges of what is assumed that contradict one another
    against: Order
    #: edges that do so by what the consistency model implies, of other keys
    implied: Order


def infer(
    t: Txns, visits: Visits, key_of: Ints, written: int, assumed: Sequence[str], by: VersionOrder
) -> Inferred:
    """The version order under these assumptions (of INFERENCES) and what the consistency model
    implies. `key_of`: by version; the first are `written`, the others nil of each key."""
    versions = len(key_of)
    base = [_after_nil(t, visits, written)]
    if "wfr" in assumed:
        base.append(_own(visits, SOURCES.index("wfr")))
    if "sequential" in assumed:
        base.append(_in_process(t, visits, ALL, 0))
    if "linearizable" in assumed:
        base.append(_in_time(t, visits, ALL, 0))
    order = _merged(base, versions)
    cyclic = order.on_cycle(versions)
    against, order = order.those(cyclic), order.those(~cyclic)
    implied = against.those(np.zeros(len(against.lower), np.bool_))
    # where what is assumed is contradicted, what the model implies has nothing to add
    odd = np.zeros(len(t.keys), np.bool_)
    odd[key_of[against.lower]] = True
    for more, weaker in _implied(t, visits.those(~odd[visits.key]), assumed, by):
        whole = order.joined(more, versions)
        if not whole.on_cycle(versions).any():
            order = whole
            continue
        # what was written before what was read: it explains more where both contradict reads
        for part in (weaker(), more):
            whole = order.joined(part, versions)
            cyclic = whole.on_cycle(versions)
            implied = implied.joined(whole.those(cyclic), versions)
            # what was there is free of cycles, and stays
            cyclic[: len(order.lower)] = False
            order = whole.those(~cyclic)
    return Inferred(order, against, implied)


def _implied(
    t: Txns, visits: Visits, assumed: Sequence[str], by: VersionOrder
) -> Iterator[tuple[Order, Callable[[], Order]]]:
    """What the model implies beyond what is assumed, and of each the part that rests on writes
    alone."""
    if by.wfr and "wfr" not in assumed:
        own = _own(visits, IMPLIED_WFR)
        yield own, lambda: own
    for scope, name, infer_, level in (
        (by.process, "sequential", _in_process, 1),
        (by.realtime, "linearizable", _in_time, 2),
    ):
        if scope != NONE and name not in assumed and "linearizable" not in assumed:
            yield infer_(t, visits, scope, level), partial(infer_, t, visits, WRITES, level)


def _merged(parts: list[Order], versions: int) -> Order:
    whole = Order(*(np.concatenate([getattr(p, f.name) for p in parts]) for f in fields(Order)))
    return whole.those(_first_of_each(whole, versions))


def _first_of_each(order: Order, versions: int) -> Ints:
    codes = order.lower.astype(np.int64) * versions + order.upper
    kept = np.flatnonzero(order.lower != order.upper)
    first: Ints = kept[np.unique(codes[kept], return_index=True)[1]]
    return first


def _edges(low: Ints, up: Ints, before: Ints, after: Ints, source: int, level: int) -> Order:
    many = len(low)
    return Order(
        low, up, before, after, np.full(many, source, np.int8), np.full(many, level, np.int8)
    )


def _after_nil(t: Txns, visits: Visits, written: int) -> Order:
    """nil before every version, for keys where nil was read."""
    nil = np.full(len(t.keys), -1, np.int64)
    saw = visits.read >= written
    nil[visits.key[saw]] = visits.txn[saw]
    wrote = np.flatnonzero((visits.write >= 0) & (nil[visits.key] >= 0))
    key = visits.key[wrote]
    return _edges(written + key, visits.write[wrote], nil[key], visits.txn[wrote], 0, 0)


def _own(visits: Visits, source: int) -> Order:
    both = visits.those((visits.read >= 0) & (visits.write >= 0))
    return _edges(both.read, both.write, both.txn, both.txn, source, 0)


def _in_process(t: Txns, visits: Visits, scope: int, level: int) -> Order:
    met = visits.those(visits.write >= 0) if scope == WRITES else visits
    return _met(met, *_next_in_process(t, met, _later(met, scope)), scope, 2, level)


def _in_time(t: Txns, visits: Visits, scope: int, level: int) -> Order:
    met = visits.those(visits.write >= 0) if scope == WRITES else visits
    return _met(met, *_next_in_time(t, met, _later(met, scope)), scope, 3, level)


def _later(visits: Visits, scope: int) -> Bools:
    """Which visits what came before them binds."""
    return np.ones(len(visits.txn), np.bool_) if scope == ALL else visits.write >= 0


def _met(visits: Visits, earlier: Ints, later: Ints, scope: int, source: int, level: int) -> Order:
    """All that the earlier visit met comes before all that the later one met (or wrote). Most
    visits met one version only, so that the second pair of each is a small part."""
    first, last = visits.first, visits.last
    lows = [(last, None), (first, first != last)] if scope != WRITES else [(visits.write, None)]
    ups = [(first, None), (last, first != last)] if scope == ALL else [(visits.write, None)]
    parts = []
    for low, of_earlier in lows:
        for up, of_later in ups:
            kept = _both(earlier, of_earlier, later, of_later)
            a, b = earlier[kept], later[kept]
            parts.append(_edges(low[a], up[b], visits.txn[a], visits.txn[b], source, level))
    return Order(*(np.concatenate([getattr(p, f.name) for p in parts]) for f in fields(Order)))


def _both(earlier: Ints, of_earlier: Bools | None, later: Ints, of_later: Bools | None) -> Ints:
    """Which pairs have an earlier visit among these and a later one among those."""
    kept = np.ones(len(earlier), np.bool_)
    if of_earlier is not None:
        kept &= of_earlier[earlier]
    if of_later is not None:
        kept &= of_later[later]
    return np.flatnonzero(kept)


def _next_in_process(t: Txns, visits: Visits, binding: Bools) -> tuple[Ints, Ints]:
    """Pairs of visits to a key by one process of which the earlier succeeded and the later is
    `binding`, with no third between that is both."""
    process = t.process[visits.txn]
    order = np.lexsort((visits.txn, visits.key, process))
    if not len(order):
        return order, order
    place = np.arange(len(order))
    fresh = np.ones(len(order), np.bool_)
    fresh[1:] = (np.diff(process[order]) != 0) | (np.diff(visits.key[order]) != 0)
    begin = np.maximum.accumulate(np.where(fresh, place, 0))
    done = (t.status[visits.txn] == OK)[order]
    last = np.maximum.accumulate(np.where(done & binding[order], place, -1))
    start = np.maximum(begin, np.append([-1], last[:-1]))
    count = np.where(binding[order], place - start, 0)
    earlier, later = spans(start, count), np.repeat(place, count)
    kept = done[earlier]
    return order[earlier[kept]], order[later[kept]]


def _next_in_time(t: Txns, visits: Visits, binding: Bools) -> tuple[Ints, Ints]:
    """Pairs of visits to a key of which one ended before the other, a `binding` one, began, with
    no third between that is binding. In order of completion these are neighbours: all that
    ended after the latest beginning among those binding that had ended by then."""
    span = np.int64(len(t.history) + 1)
    begun = t.row[visits.txn] + visits.key * span
    done = np.flatnonzero(t.status[visits.txn] == OK)
    if not len(done):
        return done, done
    done = done[np.argsort(t.ended[visits.txn[done]] + visits.key[done] * span, kind="stable")]
    ended = t.ended[visits.txn[done]] + visits.key[done] * span
    latest = np.maximum.accumulate(
        np.where(binding[done], begun[done], visits.key[done] * span - 1)
    )
    behind = np.searchsorted(ended, begun)
    same_key = (behind > 0) & (visits.key[done[np.maximum(behind - 1, 0)]] == visits.key)
    later = np.flatnonzero(same_key & binding)
    start = np.searchsorted(ended, latest[behind[later] - 1], side="right")
    count = behind[later] - start
    return done[spans(start, count)], np.repeat(later, count)
