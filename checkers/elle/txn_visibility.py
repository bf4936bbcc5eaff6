"""What models weaker than consistent-view forbid within two transactions.

`fractured`: a transaction saw one write of another and misses a second, of another key (RAMP:
Bailis et al. 2014); `vanished`: and the read that misses it comes after the one that saw it
(OTV of monotonic atomic view, HAT 2013); `cursor`: a transaction read a version and wrote the
key, with a third party's version between the two (G-cursor of Adya 1999). Each is a G-single.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from dynamesis.checkers.elle.consistency import CURSOR, FRACTURED, VANISHED
from dynamesis.checkers.elle.list_append import Lists
from dynamesis.checkers.elle.rw_register import Registers
from dynamesis.checkers.elle.txn import Txns
from dynamesis.checkers.elle.txn_describe import Finding, clause, did, index_of
from dynamesis.checkers.elle.txn_internal import by_key
from dynamesis.checkers.elle.version_order import Order
from dynamesis.checkers.graph.causality import spans
from dynamesis.checkers.graph.reach import reachable
from dynamesis.checkers.history.pairing import FAIL, OK, Bools, Ints

#: pairs of reads compared at a time
_BLOCK = 1_000_000


@dataclass(frozen=True, eq=False)
class Views:
    """Reads from outside by committed transactions, sorted by transaction."""

    txns: Txns
    #: the micro-operation of each read
    read: Ints
    #: the transaction that wrote what the read saw; -1: none
    source: Ints
    #: does a read show an older state of the key than a write left? (two micro-operations)
    misses: Callable[[Ints, Ints], Bools]
    #: of a read whose transaction then wrote the key, and the last such write: the transaction
    #: whose version is between; -1 if none is known
    between: Callable[[Ints, Ints], Ints]


def _outside(t: Txns, usable: Bools) -> Ints:
    """Usable reads of committed transactions, each the first of its key."""
    order, same = by_key(t)
    first = order[~same]
    return np.sort(first[usable[first] & ~t.write[first] & (t.status[t.txn[first]] == OK)])


def _shown(t: Txns, usable: Bools) -> tuple[Ints, Ints]:
    """The first usable read of each key by each committed transaction, and by micro-operation
    how many appends of its own to the key come before: what precedes these in the list was
    seen from outside, although the transaction had appended by then. (A read need not show them:
    that is `internal`.)"""
    order, same = by_key(t)
    group = np.cumsum(~same) - 1
    writes = t.write[order].astype(np.int64)
    before = np.cumsum(writes) - writes
    own = np.zeros(len(t.txn), np.int64)
    own[order] = before - before[np.flatnonzero(~same)][group]
    able = np.flatnonzero(usable[order] & (writes == 0) & (t.status[t.txn[order]] == OK))
    _, first = np.unique(group[able], return_index=True)
    return np.sort(order[able[first]]), own


def of_lists(lists: Lists) -> Views:
    """By places in the order of a key."""
    t = lists.txns
    read, own = _shown(t, lists.prefix_of)
    place = np.full(len(t.txn), -1, np.int64)
    place[lists.append] = lists.place
    # what was never appended has the number -1, and so the last of these
    by_append = np.append(t.txn[lists.append], -1)
    writer = np.append(by_append[lists.writer], -1)
    none = len(lists.order)
    seen = t.value - np.minimum(own, _own_at_the_end(lists, writer[:none]))

    def at(reads: Ints, offset: int) -> Ints:
        where = seen[reads] + offset
        there = (where >= 0) & (where < lists.length[t.key[reads]])
        found: Ints = writer[np.where(there, lists.start[t.key[reads]] + where, none)]
        return found

    def misses(reads: Ints, writes: Ints) -> Bools:
        later: Bools = (place[writes] < 0) | (place[writes] >= seen[reads])
        return later

    def between(reads: Ints, _writes: Ints) -> Ints:
        following = at(reads, 0)
        return np.where(following == t.txn[reads], -1, following)

    return Views(t, read, at(read, -1), misses, between)


def _own_at_the_end(lists: Lists, writer: Ints) -> Ints:
    """By micro-operation: how many of the last elements that a read shows its own transaction
    appended. `writer`: by position, the transaction."""
    t, key = lists.txns, lists.order_key
    at = np.arange(len(writer))
    fresh = np.ones(len(writer), np.bool_)
    fresh[1:] = (np.diff(writer) != 0) | (np.diff(key) != 0)
    run = at - np.maximum.accumulate(np.where(fresh, at, 0)) + 1
    found = np.zeros(len(t.txn), np.int64)
    reads = np.flatnonzero(lists.prefix_of & (t.value > 0))
    last = lists.start[t.key[reads]] + t.value[reads] - 1
    found[reads] = np.where(writer[last] == t.txn[reads], run[last], 0)
    return found


def of_registers(registers: Registers, order: Order) -> Views:
    """By paths in the order of versions."""
    t = registers.txns
    version = registers.version
    usable = (version >= 0) & ~t.write
    usable[usable] = registers.final[version[usable]]
    read = _outside(t, usable)

    def misses(reads: Ints, writes: Ints) -> Bools:
        low, up = version[reads], version[writes]
        joined = reachable(registers.count, order.lower, order.upper, low, up)
        missed: Bools = joined & (low != up)
        return missed

    def between(reads: Ints, writes: Ints) -> Ints:
        start = np.searchsorted(order.upper, version[writes], sorter=by_upper)
        count = np.searchsorted(order.upper, version[writes], "right", sorter=by_upper) - start
        edges = by_upper[spans(start, count)]
        pair = np.repeat(np.arange(len(reads)), count)
        low, middle = version[reads[pair]], order.lower[edges]
        other = (low != middle) & (registers.writer[middle] != t.txn[reads[pair]])
        other &= reachable(registers.count, order.lower, order.upper, low, middle)
        found = np.full(len(reads), -1, np.int64)
        found[pair[other]] = registers.writer[middle[other]]
        return found

    by_upper = np.argsort(order.upper, kind="stable")
    return Views(t, read, registers.writer[version[read]], misses, between)


def fractured(views: Views, name: str) -> Iterator[Finding]:
    """FRACTURED, or VANISHED: pairs of reads of one transaction, block by block."""
    t, read = views.txns, views.read
    owner = t.txn[read]
    begin, end = np.searchsorted(owner, owner), np.searchsorted(owner, owner, "right")
    saw = np.flatnonzero(views.source >= 0)
    saw = saw[(t.status[views.source[saw]] != FAIL) & (views.source[saw] != owner[saw])]
    cuts = np.cumsum((end - begin)[saw]) // _BLOCK
    for some in np.split(saw, np.flatnonzero(np.diff(cuts)) + 1):
        a = np.repeat(some, (end - begin)[some])
        b = spans(begin[some], (end - begin)[some])
        kept = (read[a] < read[b]) if name == VANISHED else a != b
        a, b = a[kept], b[kept]
        missed = _last_write(t, views.source[a], t.key[read[b]])
        a, b, missed = (x[missed >= 0] for x in (a, b, missed))
        for i in np.flatnonzero(views.misses(read[b], missed)).tolist():
            first, second, write = int(read[a[i]]), int(read[b[i]]), int(missed[i])
            why = (
                f"{clause(t, first)}, of the transaction at index "
                f"{index_of(t, int(t.txn[write]))}, which also {did(t, write)}; yet it "
                f"{did(t, second)}, which is older"
            )
            txns = int(t.txn[write]), int(t.txn[first])
            yield Finding("G-single", int(t.key[second]), txns, why, name)


def _last_write(t: Txns, txn: Ints, key: Ints) -> Ints:
    """The last write of each of these transactions to a key, as micro-operation; -1 if none."""
    writes = np.flatnonzero(t.write)
    if not len(writes):
        return np.full(len(txn), -1, np.int64)
    code = t.txn[writes] * len(t.keys) + t.key[writes]
    order = np.argsort(code, kind="stable")
    wanted = txn * len(t.keys) + key
    at = np.searchsorted(code[order], wanted, "right") - 1
    found = order[np.maximum(at, 0)]
    return np.where((at >= 0) & (code[found] == wanted), writes[found], -1)


def cursor(views: Views) -> Iterator[Finding]:
    """CURSOR: what was read had been replaced before the transaction's own write."""
    t, read = views.txns, views.read
    write = _last_write(t, t.txn[read], t.key[read])
    updating = write >= 0
    read, write = read[updating], write[updating]
    other = views.between(read, write)
    possible = (other >= 0) & (t.status[other] != FAIL)
    for i in np.flatnonzero(possible).tolist():
        by = int(_last_write(t, other[i : i + 1], t.key[read[i : i + 1]])[0])
        why = (
            f"{clause(t, int(read[i]))} and {did(t, int(write[i]))}, although before that write "
            f"{clause(t, by)}"
        )
        txns = int(other[i]), int(t.txn[read[i]])
        yield Finding("G-single", int(t.key[read[i]]), txns, why, CURSOR)


def findings(of: Callable[[], Views], wanted: frozenset[str]) -> Iterator[Finding]:
    """What is wanted of FRACTURED, VANISHED and CURSOR."""
    if not wanted & {FRACTURED, VANISHED, CURSOR}:
        return
    views = of()
    # what vanished is fractured too
    name = FRACTURED if FRACTURED in wanted else VANISHED
    if name in wanted:
        yield from fractured(views, name)
    if CURSOR in wanted:
        yield from cursor(views)
