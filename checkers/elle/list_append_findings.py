"""Anomalies of list-append that need no cycle: reads that contradict each other, that show what
was never appended or was aborted, and that end in the middle of a transaction (G1a, G1b)."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from dynamesis.checkers.elle.list_append import Lists
from dynamesis.checkers.elle.txn_describe import Finding, aborted, clause
from dynamesis.checkers.explain.describe import as_text
from dynamesis.checkers.graph.causality import spans
from dynamesis.checkers.history.pairing import FAIL, OK


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
        seen = t.name(int(element[at]))
        why = f"{clause(t, int(mop[at]))}, but {t.history.spelled(seen)} was never appended"
        why += as_text(seen)
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
