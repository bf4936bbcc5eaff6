"""Models `bank` and `long-fork`: reads of several things at once must be one snapshot.

`bank`: transfers move money between accounts, so that every read of all accounts has the
same total. `long-fork`: each key is written once; two reads of the same keys, of which
one saw only x written and the other only y, place the two writes in opposite orders, as
parallel snapshot isolation allows and snapshot isolation forbids. After jepsen.tests.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import combinations
from math import isclose
from typing import Any

import numpy as np

from .columns import History
from .pairing import OK
from .sets import capped
from .txn import NIL, NotTransactions, Txns, read_txns
from .verdict import Anomaly, Verdict, judge


def check_bank(h: History, test: Mapping[str, Any] | None = None) -> Verdict:
    """`test` may have accounts, total_amount and negative_balances (allowed if true); without
    a total the first read's counts."""
    known = test or {}
    rows = np.flatnonzero((h.kind == OK) & (h.process >= 0) & h.rows("read")).tolist()
    reads = [(row, h.value_of(row)) for row in rows]
    bad = [row for row, value in reads if not isinstance(value, dict)]
    if bad:
        return judge((), [f"index {bad[0]}, field value: expected balances by account"])
    if not reads:
        return judge((), ["no read succeeded"])
    accounts, total = known.get("accounts"), known.get("total_amount")
    given = isinstance(total, int | float)
    if not isinstance(accounts, list) or not accounts:
        accounts = list(reads[0][1])
    total = total if given else _total(reads[0][1])
    found = [
        anomaly
        for row, balances in reads
        for anomaly in _bank_read(row, balances, {str(a) for a in accounts}, total, known)
    ]
    details = {"reads": len(reads), "total": total, "total_given": given}
    return capped(found, [], details)


def _total(balances: Mapping[str, Any]) -> Any:
    return sum(b for b in balances.values() if isinstance(b, int | float))


def _add_up(balances: Mapping[str, Any], total: Any) -> bool:
    """Sums of fractions depend on the order in which they are taken."""
    found = _total(balances)
    whole = isinstance(found, int) and isinstance(total, int)
    return bool(found == total) if whole else isclose(found, total, rel_tol=1e-9, abs_tol=1e-9)


def _bank_read(
    row: int, balances: Mapping[str, Any], accounts: set[str], total: Any, known: Mapping[str, Any]
) -> Iterator[Anomaly]:
    strange = sorted(set(balances) - accounts)
    empty = sorted(a for a, b in balances.items() if b is None)
    negative = sorted(a for a, b in balances.items() if isinstance(b, int | float) and b < 0)
    said = f"the read at index {row}"
    if strange:
        yield Anomaly("unexpected-key", f"{said} shows accounts {strange}.", None, (row,))
    elif empty:
        yield Anomaly("nil-balance", f"{said} shows no balance of {empty}.", None, (row,))
    elif not _add_up(balances, total):
        why = f"{said} adds up to {_total(balances)}, not {total}."
        yield Anomaly("wrong-total", why, None, (row,))
    elif negative and not known.get("negative_balances"):
        yield Anomaly("negative-value", f"{said} has {negative} below zero.", None, (row,))


def check_long_fork(h: History) -> Verdict:
    """Transactions of one write, or of reads of a whole group of keys."""
    try:
        t = read_txns(h, "w", lists=False)
    except NotTransactions as error:
        return judge((), [str(error)])
    written = t.key[t.write]
    if len(np.unique(written)) < len(written):
        return judge((), ["a key is written more than once: forks cannot be told"])
    groups: dict[tuple[int, ...], dict[tuple[bool, ...], int]] = {}
    ok = np.flatnonzero(t.status == OK)
    first = np.searchsorted(t.txn, np.append(ok, len(t)))
    last = np.searchsorted(t.txn, ok, side="right")
    for txn, start, end in zip(ok.tolist(), first.tolist(), last.tolist(), strict=False):
        mops = sorted(range(start, end), key=lambda m: int(t.key[m]))
        if len(mops) > 1 and not t.write[start:end].any():
            keys = tuple(int(t.key[m]) for m in mops)
            seen = tuple(bool(t.value[m] != NIL) for m in mops)
            groups.setdefault(keys, {}).setdefault(seen, txn)
    found = [a for keys, states in groups.items() for a in _forks(t, keys, states)]
    reads = sum(map(len, groups.values()))
    reasons = [] if groups else ["no transaction read several keys"]
    return capped(found, reasons, {"groups": len(groups), "states": reads})


def _forks(
    t: Txns, keys: tuple[int, ...], states: Mapping[tuple[bool, ...], int]
) -> Iterator[Anomaly]:
    for (one, a), (other, b) in combinations(states.items(), 2):
        only_a = [k for k, x, y in zip(keys, one, other, strict=True) if x and not y]
        only_b = [k for k, x, y in zip(keys, one, other, strict=True) if y and not x]
        if only_a and only_b:
            x, y = t.keys[only_a[0]], t.keys[only_b[0]]
            rows = t.source(a), t.source(b)
            why = (
                f"the transaction at index {rows[0]} saw key {x!r} written and {y!r} not, the one "
                f"at index {rows[1]} saw {y!r} written and {x!r} not."
            )
            yield Anomaly("long-fork", why, None, tuple(sorted(rows)))
