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

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Any

import numpy as np
from dynamesis.checkers.elle.txn import Txns, Writes
from dynamesis.checkers.elle.txn_describe import Finding, aborted, clause, key_name
from dynamesis.checkers.graph.causality import spans
from dynamesis.checkers.graph.cycles import (
    GLUE,
    LATER,
    RW,
    WR,
    WW,
    Edges,
    Graph,
    Step,
    each_to_each,
)
from dynamesis.checkers.graph.reach import strong_components
from dynamesis.checkers.history.pairing import FAIL, OK, Bools, Ints

#: elements compared at once
_BLOCK = 2_000_000


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


def findings(lists: Lists) -> Iterator[Finding]:
    """Every anomaly that needs no cycle."""
    yield from _orders(lists)
    yield from _unwritten_and_aborted(lists)
    yield from _dirty_updates(lists)
    yield from _intermediate(lists)


def _orders(lists: Lists) -> Iterator[Finding]:
    t = lists.txns
    for mop in lists.reads[~lists.prefix].tolist():
        key = int(t.key[mop])
        long = int(lists.longest[key])
        yield Finding(
            "incompatible-order",
            key,
            (int(t.txn[mop]), int(t.txn[long])),
            f"{clause(t, mop)}, but {clause(t, long)}: neither is a prefix of the other",
        )
    for mop in [*np.unique(lists.longest[lists.length > 1]), *lists.reads[~lists.prefix]]:
        shown = t.elements[t.starts[mop] : t.starts[mop] + t.value[mop]]
        if len(np.unique(shown)) < len(shown):
            values, counts = np.unique(shown, return_counts=True)
            twice = t.history.spelled(t.name(int(values[counts > 1][0])))
            yield Finding(
                "duplicate-elements",
                int(t.key[mop]),
                (int(t.txn[mop]),),
                f"{clause(t, int(mop))}: {twice} more than once, though appended once",
            )


def _unwritten_and_aborted(lists: Lists) -> Iterator[Finding]:
    """What reads show that no successful append can have put there."""
    t = lists.txns
    odd = lists.reads[~lists.prefix]
    shown = np.concatenate([lists.longest[lists.length > 0], odd])
    mop = np.repeat(shown, t.value[shown])
    element = t.elements[spans(t.starts[shown], t.value[shown])]
    append = lists.writes.find(t.key[mop], element)
    for at in np.flatnonzero(append < 0).tolist():
        what = t.history.spelled(t.name(int(element[at])))
        why = f"{clause(t, int(mop[at]))}, but {what} was never appended"
        yield Finding("phantom", int(t.key[mop[at]]), (int(t.txn[mop[at]]),), why)
    if not len(lists.append):
        return
    failed = (append >= 0) & (t.status[lists.writer_of(append)] == FAIL)
    for at in np.flatnonzero(failed).tolist():
        yield aborted(t, int(mop[at]), int(lists.append[append[at]]))


def _dirty_updates(lists: Lists) -> Iterator[Finding]:
    """A committed append on top of one that failed."""
    t = lists.txns
    if not len(lists.append):
        return
    known = np.flatnonzero(lists.writer >= 0)
    status = t.status[lists.writer_of(lists.writer[known])]
    for key in np.unique(lists.order_key[known[status == FAIL]]).tolist():
        dirty = -1
        of_key = known[lists.order_key[known] == key]
        for append in lists.writer[of_key].tolist():
            writer = int(lists.writer_of(append))
            if t.status[writer] == FAIL:
                dirty = append if dirty < 0 else dirty
            elif t.status[writer] == OK:
                if dirty >= 0:
                    why = (
                        f"{clause(t, int(lists.append[dirty]))} and failed, yet "
                        f"{clause(t, int(lists.append[append]))} on top of it and was committed"
                    )
                    yield Finding("dirty-update", key, (int(lists.writer_of(dirty)), writer), why)
                dirty = -1


def _intermediate(lists: Lists) -> Iterator[Finding]:
    """G1b: a read that ends in an append which its transaction itself appended after."""
    t = lists.txns
    if not len(lists.append):
        return
    group = t.txn[lists.append] * len(t.keys) + t.key[lists.append]
    order = np.lexsort((lists.append, group))
    inner = np.zeros(len(order), np.bool_)
    inner[order[:-1]] = group[order[1:]] == group[order[:-1]]
    reads = lists.reads[lists.prefix & (t.value[lists.reads] > 0)]
    last = lists.writer[lists.start[t.key[reads]] + t.value[reads] - 1]
    bad = (last >= 0) & inner[last] & (lists.writer_of(last) != t.txn[reads])
    for at in np.flatnonzero(bad).tolist():
        writer = int(lists.writer_of(last[at]))
        why = (
            f"{clause(t, int(reads[at]))}, which ends in the middle of a transaction: "
            f"{clause(t, int(lists.append[last[at]]))} and then appended more"
        )
        yield Finding("G1b", int(t.key[reads[at]]), (writer, int(t.txn[reads[at]])), why)


def explain(lists: Lists, step: Step, a: str, b: str) -> str:
    """The reason for an edge between two transactions, by key and element."""
    if step.kind == WR:
        return _read_it(lists, step, a, b)
    if step.kind == WW:
        return _appended_after(lists, step, a, b)
    return _did_not_see(lists, step, a, b)


def _read_it(lists: Lists, step: Step, a: str, b: str) -> str:
    t = lists.txns
    for mop in _reads_of(lists, step.b):
        if t.value[mop] and _writer_at(lists, mop, int(t.value[mop]) - 1) == step.a:
            element = _spelled(lists, int(t.elements[t.starts[mop] + t.value[mop] - 1]))
            return f"{b} read {a}'s append of {element} to key {key_name(t, int(t.key[mop]))}"
    raise AssertionError(f"no reason for a wr edge from {step.a} to {step.b}")


def _did_not_see(lists: Lists, step: Step, a: str, b: str) -> str:
    """The append that follows a read directly, or else any that does."""
    t = lists.txns
    later: list[int] = []
    for mop in _reads_of(lists, step.a):
        key, length = int(t.key[mop]), int(t.value[mop])
        if length < lists.length[key] and _writer_at(lists, mop, length) == step.b:
            return _unseen(lists, int(lists.writer[lists.start[key] + length]), a, b)
        later += [
            append
            for append in _appends_of(lists, step.b)
            if t.key[lists.append[append]] == key
            and (lists.place[append] < 0 or lists.place[append] >= length)
        ]
    return _unseen(lists, later[0], a, b)


def _unseen(lists: Lists, append: int, a: str, b: str) -> str:
    t, write = lists.txns, int(lists.append[append])
    element, key = _spelled(lists, int(t.value[write])), key_name(t, int(t.key[write]))
    return f"{a} did not see {b}'s append of {element} to key {key}"


def _appended_after(lists: Lists, step: Step, a: str, b: str) -> str:
    t = lists.txns
    for under in _appends_of(lists, step.a):
        key = int(t.key[lists.append[under]])
        span = slice(int(lists.start[key]), int(lists.start[key] + lists.length[key]))
        for at in np.flatnonzero(lists.writer[span] == under).tolist():
            last = at + 1 == lists.length[key]
            over = -1 if last else int(lists.writer[span][at + 1])
            if last:
                over = next((i for i in _appends_of(lists, step.b) if _unread(lists, i, key)), -1)
            if over >= 0 and int(lists.writer_of(over)) == step.b:
                first, second = (
                    _spelled(lists, int(t.value[lists.append[i]])) for i in (under, over)
                )
                name = key_name(t, key)
                return f"{b} appended {second} to key {name} after {a} appended {first}"
    raise AssertionError(f"no reason for a ww edge from {step.a} to {step.b}")


def _unread(lists: Lists, append: int, key: int) -> bool:
    return bool(lists.place[append] < 0 and lists.txns.key[lists.append[append]] == key)


def _spelled(lists: Lists, element: int) -> str:
    return lists.txns.history.spelled(lists.txns.name(element))


def _reads_of(lists: Lists, txn: int) -> list[int]:
    t = lists.txns
    first, last = np.searchsorted(t.txn, [txn, txn + 1])
    known = lists.prefix_of
    return [m for m in range(first, last) if known[m]]


def _appends_of(lists: Lists, txn: int) -> list[int]:
    t = lists.txns
    first, last = np.searchsorted(t.txn, [txn, txn + 1])
    own = np.array([m for m in range(first, last) if t.write[m]], np.int64)
    found: list[int] = lists.writes.find(t.key[own], t.value[own]).tolist()
    return found


def _writer_at(lists: Lists, mop: int, place: int) -> int:
    append = int(lists.writer[lists.start[lists.txns.key[mop]] + place])
    return int(lists.writer_of(append)) if append >= 0 else -1
