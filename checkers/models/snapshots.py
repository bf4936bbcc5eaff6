"""Model `long-fork`: two reads must not order two writes apart.

Each key is written once; two reads of which one saw only x written and the other only y place
the two writes in opposite orders, as parallel snapshot isolation allows and snapshot isolation
forbids. After jepsen.tests.long-fork.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import product
from typing import Any

import numpy as np
from dynamesis.checkers.elle.txn import NIL, NotTransactions, Txns, Writes, read_txns
from dynamesis.checkers.explain.describe import as_text
from dynamesis.checkers.history.columns import History
from dynamesis.checkers.history.pairing import FAIL, OK, Bools
from dynamesis.checkers.models.operations import limited
from dynamesis.checkers.models.sets import capped
from dynamesis.checkers.verdict import Anomaly, CheckerResult, judge


def check_long_fork(h: History) -> CheckerResult:
    """Transactions of one write, or of reads of several keys."""
    try:
        t = read_txns(h, "w", lists=False)
        writes = Writes.of(t)
    except NotTransactions as error:
        return judge((), [str(error)])
    written = t.key[t.write]
    if len(np.unique(written)) < len(written):
        return judge((), ["a key is written more than once: forks cannot be recognised"])
    reads, reasons = _reads(t)
    reasons += _values_apart(t, reads)
    states: dict[tuple[frozenset[int], frozenset[int]], int] = {}
    for txn, mops in reads:
        seen = frozenset(int(t.key[m]) for m in mops if t.value[m] != NIL)
        unseen = frozenset(int(t.key[m]) for m in mops if t.value[m] == NIL)
        states.setdefault((seen, unseen), txn)
    if not reads:
        reasons.append("no transaction read several keys")
    elif not np.any(t.status[t.txn[t.write]] == OK) and not any(seen for seen, _ in states):
        reasons.append("no write was acknowledged, and none was read")
    found = [*_impossible(t, writes), *_forks(t, states)]
    groups = len({seen | unseen for seen, unseen in states})
    return capped(found, reasons, {"groups": groups, "states": len(states)})


def _reads(t: Txns) -> tuple[list[tuple[int, range]], list[str]]:
    """The transactions that read several keys, with their micro-operations; and which are of
    no kind that this model knows: reads beside writes, several writes, a key read twice."""
    reads, odd = [], []
    first = np.searchsorted(t.txn, np.arange(len(t)))
    last = np.searchsorted(t.txn, np.arange(len(t)), side="right")
    wrote = np.bincount(t.txn[t.write], minlength=len(t))
    columns = (x.tolist() for x in (first, last, wrote, t.status, _repeats(t)))
    for txn, (start, end, writes, status, repeated) in enumerate(zip(*columns, strict=True)):
        if status != FAIL and (repeated or (writes and end - start > 1)):
            odd.append(
                f"index {t.source(txn)}, field value: expected one write, or reads of keys once "
                "each"
            )
        elif status == OK and not writes and end - start > 1:
            reads.append((txn, range(start, end)))
    return reads, limited(odd)


def _values_apart(t: Txns, reads: list[tuple[int, range]]) -> Iterator[str]:
    """Reads that show two values of one key: it was written more than once, by what the history
    does not show."""
    shown: dict[int, tuple[int, int]] = {}
    for txn, mops in reads:
        for m in mops:
            key, value = int(t.key[m]), int(t.value[m])
            first, seen = shown.setdefault(key, (txn, value)) if value != NIL else (txn, NIL)
            if value not in (NIL, seen):
                one, other = (t.history.spelled(t.name(v)) for v in (seen, value))
                yield (
                    f"index {t.source(txn)}, field value: expected {one} of key "
                    f"{_named(t, t.keys[key])}, which is to be written once, as index "
                    f"{t.source(first)} shows it, got {other}"
                )
                return


def _repeats(t: Txns) -> Bools:
    """Which transactions name a key more than once."""
    code, count = np.unique(t.txn * max(1, len(t.keys)) + t.key, return_counts=True)
    repeats = np.zeros(len(t), np.bool_)
    repeats[code[count > 1] // max(1, len(t.keys))] = True
    return repeats


def _impossible(t: Txns, writes: Writes) -> Iterator[Anomaly]:
    """Reads of what no operation wrote, or only a failed one, or one that had not yet begun. A
    history without any write is one of reads alone, which has nothing on the writers."""
    reads = np.flatnonzero(~t.write & t.known & (t.value != NIL) & bool(len(writes)))
    by = writes.find(t.key[reads], t.value[reads])
    writer = np.append(writes.mops, 0)[by]
    for mop, number, source in zip(reads.tolist(), by.tolist(), writer.tolist(), strict=True):
        txn, wrote = int(t.txn[mop]), int(t.txn[source])
        later, failed = t.row[wrote] > t.ended[txn], t.status[wrote] == FAIL
        if number < 0 or (later and failed):
            yield _impossible_read(t, mop, "phantom", "which no operation had written", None)
        elif failed:
            why = f"whose write at index {t.row[wrote]} failed"
            yield _impossible_read(t, mop, "aborted-read", why, wrote)
        elif later:
            why = f"whose write began at index {t.row[wrote]}"
            yield _impossible_read(t, mop, "future-read", why, wrote)


def _impossible_read(t: Txns, mop: int, name: str, why: str, wrote: int | None) -> Anomaly:
    row, spelled = t.source(int(t.txn[mop])), t.history.spelled
    seen, key = t.name(int(t.value[mop])), t.keys[t.key[mop]]
    rows = {row} | (set() if wrote is None else {int(t.row[wrote])})
    text = f"the transaction at index {row} saw {spelled(seen)} of key {_named(t, key)}, {why}"
    text += as_text(seen) if name == "phantom" else ""
    return Anomaly(name, f"{text}.", str(key), tuple(sorted(rows)))


def _named(t: Txns, key: Any) -> str:
    return repr(key) if isinstance(key, str) else t.history.spelled(key)


def _forks(
    t: Txns, states: Mapping[tuple[frozenset[int], frozenset[int]], int]
) -> Iterator[Anomaly]:
    """One for each two keys of which one read saw only the first, and another only the second."""
    only: dict[tuple[int, int], int] = {}
    for (seen, unseen), txn in states.items():
        for pair in product(seen, unseen):
            only.setdefault(pair, txn)
    for (x, y), one in only.items():
        other = only.get((y, x))
        if other is None or x > y:
            continue
        a, b = (_named(t, t.keys[key]) for key in (x, y))
        rows = t.source(one), t.source(other)
        why = (
            f"the transaction at index {rows[0]} saw key {a} written and {b} not, the one "
            f"at index {rows[1]} saw {b} written and {a} not."
        )
        yield Anomaly("long-fork", why, None, tuple(sorted(rows)))
