"""What a transaction must see of itself, and the updates that two may not both make.

`internal`: a read differs from what the transaction itself last read or wrote of the key
(axiom INT of Cerone, Bernardi and Gotsman, 2015). `future-read`: it sees what it writes
only later. `lost-update`: two committed transactions read the same version of a key and
both write it, so that one's update rests on what the other had replaced.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from dynamesis.checkers.elle.list_append import Lists
from dynamesis.checkers.elle.txn import Txns
from dynamesis.checkers.elle.txn_describe import Finding, clause, did
from dynamesis.checkers.history.pairing import OK, Bools, Ints


def by_key(t: Txns) -> tuple[Ints, Bools]:
    """Micro-operations sorted by transaction and key, else in their order; and which of them
    have the one before them in common with transaction and key."""
    group = t.txn * len(t.keys) + t.key
    order = np.argsort(group, kind="stable")
    same = np.zeros(len(order), np.bool_)
    same[1:] = group[order[1:]] == group[order[:-1]]
    return order, same


def lost_updates(t: Txns, version: Ints, usable: Bools) -> Iterator[Finding]:
    """`version`: by micro-operation, a number of what a read saw; `usable`: which reads have
    one."""
    order, same = by_key(t)
    first = np.flatnonzero(~same)
    group = np.cumsum(~same) - 1
    writes = np.zeros(len(first), np.bool_)
    writes[group[t.write[order]]] = True
    reads = order[first]
    chosen = writes & ~t.write[reads] & usable[reads] & (t.status[t.txn[reads]] == OK)
    reads = reads[chosen]
    by_version = reads[np.lexsort((version[reads], t.key[reads]))]
    key, seen = t.key[by_version], version[by_version]
    again = np.flatnonzero((key[1:] == key[:-1]) & (seen[1:] == seen[:-1]))
    for at in again.tolist():
        a, b = int(by_version[at]), int(by_version[at + 1])
        why = f"{clause(t, a)} and {clause(t, b)}; both then wrote it"
        yield Finding("lost-update", int(key[at]), (int(t.txn[a]), int(t.txn[b])), why)


def list_internal(lists: Lists) -> Iterator[Finding]:
    """`internal` and `future-read` of lists. By positions in the key's order: the state after
    an append at place p has length p + 1, so that each micro-operation fixes the length
    that the next must find (after an append that was never read, or a read that is not a
    prefix: one that no prefix can)."""
    t = lists.txns
    prefix = lists.prefix_of
    place = np.full(len(t.txn), -1, np.int64)
    place[lists.append] = lists.place
    order, same = by_key(t)
    no_place = np.where(t.write, place < 0, ~prefix)
    after = np.where(no_place, -2, np.where(t.write, place + 1, t.value))
    before = np.where(t.write, place, t.value)
    fits = np.append([True], before[order[1:]] == after[order[:-1]])
    ok = (t.status[t.txn] == OK)[order]
    bad = np.flatnonzero(same & ok & ~fits)
    group = np.cumsum(~same)
    reads = np.flatnonzero(prefix[order])
    blamed: set[int] = set()
    for at in bad.tolist():
        next_read = int(np.searchsorted(reads, at))
        if next_read == len(reads) or group[reads[next_read]] != group[at]:
            continue
        mop = int(order[reads[next_read]])
        if lists.repeats[t.key[mop]]:
            continue  # there positions prove nothing: see _odd_internal
        if mop not in blamed:
            blamed.add(mop)
            yield _internal(t, mop)
    yield from _odd_internal(lists, order, same)
    yield from _future_reads(lists, place, prefix)


def _internal(t: Txns, mop: int) -> Finding:
    first = int(np.searchsorted(t.txn, t.txn[mop]))
    before = first + int(np.flatnonzero(t.key[first:mop] == t.key[mop])[-1])
    last = f"although the last thing it had done with it was this: it {did(t, before)}"
    why = f"{clause(t, mop)}, {last}"
    return Finding("internal", int(t.key[mop]), (int(t.txn[mop]),), why)


def _odd_internal(lists: Lists, order: Ints, same: Bools) -> Iterator[Finding]:
    """The same for reads that are not a prefix, and where an element is there twice, one by one:
    there the elements decide."""
    t = lists.txns
    where = np.empty(len(order), np.int64)
    where[order] = np.arange(len(order))
    for mop in lists.reads[~lists.prefix | lists.repeats[t.key[lists.reads]]].tolist():
        at = int(where[mop])
        appended: list[int] = []
        while same[at] and t.write[order[at - 1]]:
            at -= 1
            appended.insert(0, int(t.value[order[at]]))
        shown = _elements(t, mop)
        expected = appended
        if same[at]:
            expected = _elements(t, int(order[at - 1])) + appended
            wrong = shown != expected
        else:
            wrong = bool(appended) and shown[-len(appended) :] != appended
        if wrong and t.status[t.txn[mop]] == OK:
            yield _internal(t, mop)


def _elements(t: Txns, mop: int) -> list[int]:
    start = int(t.starts[mop])
    shown: list[int] = t.elements[start : start + int(t.value[mop])].tolist()
    return shown


def _future_reads(lists: Lists, place: Ints, prefix: Bools) -> Iterator[Finding]:
    """A read long enough to show an append that comes later in its own transaction. The
    longest read so far in each group is a running maximum that the group's number resets."""
    t = lists.txns
    order, same = by_key(t)
    seen = np.where(prefix[order], t.value[order] + 1, 0)
    base = np.cumsum(~same) * (int(seen.max(initial=0)) + 1)
    longest = np.maximum.accumulate(base + seen)
    before = np.zeros(len(order), np.int64)
    before[1:] = (longest[:-1] - base[1:])[: len(order) - 1]
    late = same & (place[order] >= 0) & (before > place[order] + 1)
    late &= (t.status[t.txn] == OK)[order]
    for at in np.flatnonzero(late).tolist():
        mop = int(order[at])
        why = f"{clause(t, mop)}, but had read it before that"
        yield Finding("future-read", int(t.key[mop]), (int(t.txn[mop]),), why)


def register_internal(t: Txns) -> Iterator[Finding]:
    """`internal` of registers: a read that differs from the micro-operation before it."""
    order, same = by_key(t)
    previous = np.roll(order, 1)
    fits = t.value[order] == t.value[previous]
    ok = (t.status[t.txn] == OK)[order]
    for at in np.flatnonzero(same & ok & ~t.write[order] & ~fits).tolist():
        yield _internal(t, int(order[at]))
