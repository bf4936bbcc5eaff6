"""Model `list-append`: transactions over lists, where a read shows every append before it.

Since each element is appended once, the longest read of a key *is* its version order, and
every other read must be a prefix of it. So all dependencies are known: which append follows
which (ww), which read saw which append (wr), which read saw a state that an append then
replaced (rw). An element that was never read came after all that were read.
Kingsbury and Alvaro, Elle: Inferring Isolation Anomalies from Experimental Observations (VLDB
2020).

Reads are compared with the longest read as whole arrays; a read that is not a prefix is
an anomaly and yields no dependency.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Any

import numpy as np
from dynamesis.checkers.elle.txn import Txns, Writes
from dynamesis.checkers.graph.causality import spans
from dynamesis.checkers.graph.cycles import (
    GLUE,
    LATER,
    RW,
    WR,
    WW,
    Edges,
    Graph,
    each_to_each,
)
from dynamesis.checkers.graph.reach import strong_components
from dynamesis.checkers.history.pairing import FAIL, OK, Bools, Ints

#: elements compared at a time
_BLOCK = 500_000


@dataclass(frozen=True, eq=False)
class Lists:
    """The order of each key's elements, and the reads that fit it. Positions are numbered key
    after key."""

    txns: Txns
    writes: Writes
    #: by key: the micro-operation of a longest read
    longest: Ints
    #: where its elements begin: `order[start[k]:start[k] + length[k]]`
    start: Ints
    length: Ints
    #: by position: the element
    order: Ints
    #: the reads that are known, as micro-operations
    reads: Ints
    #: by read: whether it is a prefix of its key's order
    prefix: Bools

    @classmethod
    def of(cls, t: Txns) -> Lists:
        """Raises NotTransactions when an element is appended to a key twice."""
        writes = Writes.of(t)
        reads = np.flatnonzero(~t.write & t.known)
        longest, start, length = _longest(t, reads)
        order = t.elements[spans(t.starts[longest], length)]
        prefix = _prefixes(t, reads, order, start)
        return cls(t, writes, longest, start, length, order, reads, prefix)

    @property
    def append(self) -> Ints:
        """By append: its micro-operation."""
        return self.writes.mops

    @cached_property
    def order_key(self) -> Ints:
        """By position: its key."""
        return np.repeat(np.arange(len(self.length)), self.length)

    @cached_property
    def writer(self) -> Ints:
        """By position: the append that put the element there, -1 if it was never appended."""
        return self.writes.find(self.order_key, self.order)

    @cached_property
    def place(self) -> Ints:
        """By append: its (first) position in its key's order, counted from 0; -1 if never
        read."""
        place = np.full(len(self.append), -1, np.int64)
        known = np.flatnonzero(self.writer >= 0)[::-1]
        place[self.writer[known]] = known - self.start[self.order_key[known]]
        return place

    @cached_property
    def repeats(self) -> Bools:
        """By key: whether an element is twice in its order, so that positions prove little."""
        at = np.arange(len(self.order)) - self.start[self.order_key]
        known = np.flatnonzero(self.writer >= 0)
        twice = known[self.place[self.writer[known]] != at[known]]
        strange = np.flatnonzero(self.writer < 0)
        strange = strange[np.lexsort((self.order[strange], self.order_key[strange]))]
        same = np.diff(self.order_key[strange]) == 0
        again = strange[1:][same & (np.diff(self.order[strange]) == 0)]
        found = np.zeros(len(self.length), np.bool_)
        found[self.order_key[np.append(twice, again)]] = True
        return found

    @cached_property
    def prefix_of(self) -> Bools:
        """By micro-operation: whether it is a read that is a prefix of its key's order."""
        found = np.zeros(len(self.txns.txn), np.bool_)
        found[self.reads[self.prefix]] = True
        return found

    def writer_of(self, append: Any) -> Any:
        """The transaction of each append."""
        return self.txns.txn[self.append[append]]


def _longest(t: Txns, reads: Ints) -> tuple[Ints, Ints, Ints]:
    """By key: a longest read (any number where the length is 0), start in the order, length."""
    keys = len(t.keys)
    longest, length = np.zeros(keys, np.int64), np.zeros(keys, np.int64)
    by_length = reads[np.argsort(t.value[reads], kind="stable")]
    longest[t.key[by_length]] = by_length
    length[t.key[by_length]] = t.value[by_length]
    return longest, np.cumsum(length) - length, length


def _prefixes(t: Txns, reads: Ints, order: Ints, start: Ints) -> Bools:
    """By read: is it a prefix of its key's order? Block by block, to bound memory."""
    prefix = np.ones(len(reads), np.bool_)
    length = t.value[reads]
    ends = np.cumsum(length)
    total = int(ends[-1]) if len(ends) else 0
    cuts = np.searchsorted(ends, np.arange(_BLOCK, total, _BLOCK), side="right")
    for first, last in pairwise([0, *cuts.tolist(), len(reads)]):
        block = reads[first:last]
        count = length[first:last]
        shown = t.elements[spans(t.starts[block], count)]
        differs = shown != order[spans(start[t.key[block]], count)]
        if differs.any():
            prefix[first + np.unique(np.repeat(np.arange(len(block)), count)[differs])] = False
    return prefix


def add_edges(edges: Edges, lists: Lists) -> None:
    """ww, wr and rw among transactions that are not known to have failed."""
    t, possible = lists.txns, lists.txns.status != FAIL
    writer = np.append(lists.writer, -1)
    by = np.where(writer >= 0, lists.writer_of(writer), 0) if len(lists.append) else writer
    present = (writer >= 0) & possible[by] if len(t) else writer >= 0

    following = np.flatnonzero(np.diff(lists.order_key) == 0)
    linked = following[present[following] & present[following + 1]]
    edges.add(WW, by[linked], by[linked + 1])

    reads = lists.reads[lists.prefix]
    reader, key, length = t.txn[reads], t.key[reads], t.value[reads]
    last = np.where(length > 0, lists.start[key] + length - 1, len(lists.order))
    seen = present[last]
    edges.add(WR, by[last[seen]], reader[seen])

    full = length == lists.length[key]
    after = np.where(full, len(lists.order), lists.start[key] + length)
    replaced = present[after]
    edges.add(RW, reader[replaced], by[after[replaced]])
    _unread_appends(edges, lists, possible, (by, present), (reader[full], key[full]))


def unread_pairs(lists: Lists, graph: Graph) -> tuple[Ints, Ints]:
    """Transactions of one strong component that follow one another, by number, among those that
    succeeded and appended to a key what no read shows."""
    t = lists.txns
    unread = lists.append[lists.place < 0]
    unread = unread[t.status[t.txn[unread]] == OK]
    labels = strong_components(graph.nodes, graph.source, graph.target)[t.txn[unread]]
    order = np.lexsort((t.txn[unread], labels, t.key[unread]))
    key, label, txn = t.key[unread][order], labels[order], t.txn[unread][order]
    pairs = (np.diff(key) == 0) & (np.diff(label) == 0) & (np.diff(txn) != 0)
    return txn[:-1][pairs], txn[1:][pairs]


def add_later(edges: Edges, lists: Lists) -> None:
    """rw from each read to all that appended after what it shows: a line of joints along the
    order of each key, ended by one for what was never read."""
    t, many = lists.txns, len(lists.order)
    line, ends = edges.joints(many), edges.joints(len(lists.length))
    following = np.flatnonzero(np.diff(lists.order_key) == 0)
    edges.add(GLUE, line[following], line[following + 1])
    some = np.flatnonzero(lists.length > 0)
    edges.add(GLUE, line[lists.start[some] + lists.length[some] - 1], ends[some])
    possible = t.status[lists.writer_of(np.arange(len(lists.append)))] != FAIL
    placed = np.flatnonzero((lists.place >= 0) & possible)
    at = lists.start[t.key[lists.append[placed]]] + lists.place[placed]
    edges.add(GLUE, line[at], lists.writer_of(placed))
    unread = np.flatnonzero((lists.place < 0) & possible)
    edges.add(GLUE, ends[t.key[lists.append[unread]]], lists.writer_of(unread))
    reads = lists.reads[lists.prefix]
    key, length = t.key[reads], t.value[reads]
    entry = np.append(line, [-1])[np.minimum(lists.start[key] + length, many)]
    reader = edges.reading_copies()[t.txn[reads]]
    edges.add(LATER, reader, np.where(length < lists.length[key], entry, ends[key]))


def _unread_appends(
    edges: Edges,
    lists: Lists,
    possible: Bools,
    last: tuple[Ints, Bools],
    readers: tuple[Ints, Ints],
) -> None:
    """Appends that were never read come after the last that was, and after all that read it."""
    t = lists.txns
    unread = np.flatnonzero(lists.place < 0)
    unread = unread[possible[lists.writer_of(unread)]]
    unread_key, unread_txn = t.key[lists.append[unread]], lists.writer_of(unread)
    by, present = last
    end = np.where(
        lists.length[unread_key] > 0,
        lists.start[unread_key] + lists.length[unread_key] - 1,
        len(lists.order),
    )
    edges.add(WW, by[end[present[end]]], unread_txn[present[end]])

    each_to_each(edges, RW, readers, (unread_txn, unread_key))
