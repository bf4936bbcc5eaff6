"""Model `bank`: transfers move money between accounts, so that every read of all accounts
has the same total.

Balances are exact numbers; one that is none makes the verdict unknown, and so does a transfer
that lacks what makes it one. After jepsen.tests.bank.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from dynamesis.checkers.history.columns import History
from dynamesis.checkers.history.exact import (
    Number,
    exact_value,
    from_float,
    is_number,
    number_json,
    number_text,
    rounding,
)
from dynamesis.checkers.history.op import Unheld
from dynamesis.checkers.history.pairing import INVOKE, OK
from dynamesis.checkers.history.spelling import JSON
from dynamesis.checkers.models.operations import altered, limited
from dynamesis.checkers.models.sets import capped
from dynamesis.checkers.verdict import Anomaly, CheckerResult

Balances = Mapping[str, Any]


@dataclass(frozen=True)
class Bank:
    """What reads are held to: the accounts, what they add up to (None: not known), whether one
    may be below zero."""

    history: History
    accounts: frozenset[str]
    total: Number | None
    may_owe: bool


def check_bank(h: History, test: Mapping[str, Any] | None = None) -> CheckerResult:
    """`test` may have accounts, total_amount and negative_balances (allowed if true); without
    accounts or a total those of the first read count."""
    known = test or {}
    reads, reasons = _balances(h)
    reasons += [*_transfers(h), *altered(h, "transfer"), *_odd_options(known)]
    given = _total_of(known)
    accounts = _accounts(h, known, reads)
    whole = [b for _, b in reads if accounts.issuperset(b) and None not in b.values()]
    total = _total(whole[0]) if given is None and whole else given
    bank = Bank(h, accounts, total, bool(known.get("negative_balances")))
    found = [anomaly for read in reads for anomaly in _wrong(bank, *read)]
    reasons += limited(reason for read in reads for reason in _close(bank, *read))
    if not reads and not reasons:
        reasons.append("no read succeeded")
    elif given is None and len(whole) < 2 and not found:
        reasons.append("fewer than two whole reads, and no total to compare one with")
    shown = None if total is None else number_json(total)
    details = {"reads": len(reads), "total": shown, "total_given": given is not None}
    return capped(found, reasons, details)


def _accounts(
    h: History, known: Mapping[str, Any], reads: list[tuple[int, Balances]]
) -> frozenset[str]:
    """The accounts that were given, else those of the first read and of all transfers: a bank may
    open an account with the first transfer to it."""
    given = known.get("accounts")
    if isinstance(given, list) and given:
        return frozenset(map(_name, given))
    return frozenset(reads[0][1]) | _transferred(h) if reads else frozenset()


def _transferred(h: History) -> frozenset[str]:
    """The accounts that transfers name."""
    rows = np.flatnonzero((h.kind == INVOKE) & (h.process >= 0) & h.rows("transfer")).tolist()
    values = [value for value in map(h.value_of, rows) if isinstance(value, dict)]
    named = [value.get(end) for value in values for end in ("from", "to")]
    return frozenset(_name(account) for account in named if account is not None)


def _balances(h: History) -> tuple[list[tuple[int, Balances]], list[str]]:
    """The reads whose balances are numbers or nil, and why others are left out."""
    rows = np.flatnonzero((h.kind == OK) & (h.process >= 0) & h.rows("read")).tolist()
    reads, odd = [], []
    for row in rows:
        value = exact_value(h, row)
        strange = _strange(h, row, value)
        if strange:
            odd.append(strange)
        else:
            reads.append((row, value))
    return reads, limited(odd)


def _strange(h: History, row: int, value: Any) -> str | None:
    """What is wrong with the value of a read, that it cannot be judged."""
    where = f"index {row}, field value"
    if not isinstance(value, dict) or not value:
        twice = ", each account once" if isinstance(value, Unheld) else ""
        return f"{where}: expected balances by account{twice}, got {_text(h, row)}"
    for account, balance in value.items():
        if balance is not None and not is_number(balance):
            plain = h.value_of(row)[account]
            return (
                f"{where}: expected a number as the balance of {h.spelled.key(account)}, got "
                f"{h.spelled(plain)}"
            )
    return None


def _text(h: History, row: int) -> str:
    return f"{h.spelled(h.value_of(row)):.200}"


def _transfers(h: History) -> list[str]:
    """What is wrong with transfers: each names two accounts and an amount."""
    rows = np.flatnonzero((h.kind == INVOKE) & (h.process >= 0) & h.rows("transfer")).tolist()
    return limited(reason for row in rows for reason in _transfer(h, row, exact_value(h, row)))


def _transfer(h: History, row: int, value: Any) -> Iterator[str]:
    if not isinstance(value, dict):
        yield f"index {row}, field value: expected from, to and amount, got {_text(h, row)}"
        return
    for name in ("from", "to", "amount"):
        if value.get(name) is None:
            yield f"index {row}, field value.{name}: expected a value, got none in {_text(h, row)}"
    amount = value.get("amount")
    if amount is not None and not is_number(amount):
        got = h.spelled(h.value_of(row)["amount"])
        yield f"index {row}, field value.amount: expected a number, got {got}"


def _odd_options(known: Mapping[str, Any]) -> Iterator[str]:
    accounts, total = known.get("accounts"), known.get("total_amount")
    if accounts is not None and not isinstance(accounts, list):
        yield "accounts: expected a list"
    if total is not None and _total_of(known) is None:
        yield "total_amount: expected a number"


def _total_of(known: Mapping[str, Any]) -> Number | None:
    """The total that was given, None if none was."""
    total = known.get("total_amount")
    if isinstance(total, float):
        try:
            return from_float(total)
        except ValueError:
            return None
    return total if is_number(total) else None


def _name(account: Any) -> str:
    """An account as the key of a map."""
    return account if isinstance(account, str) else JSON(account)


def _total(balances: Balances) -> Number:
    total: Number = sum(balances.values())
    return total


def _off(bank: Bank, balances: Balances) -> tuple[Number, Number]:
    """By how much the balances miss the total, and how much of that floats may be blamed for."""
    total: Number = 0 if bank.total is None else bank.total
    off: Number = _total(balances) - total
    return (max(off, -off), rounding([*balances.values(), total])) if off else (0, 0)


def _wrong(bank: Bank, row: int, balances: Balances) -> Iterator[Anomaly]:
    """The first thing that is wrong with a read."""
    named = bank.history.spelled.key
    strange = [named(a) for a in sorted(set(balances) - bank.accounts)]
    empty = [named(a) for a in sorted(balances) if balances[a] is None]
    read = f"the read at index {row}"
    if strange:
        why = f"{read} shows accounts that there are not: {', '.join(strange)}."
        yield Anomaly("unexpected-key", why, None, (row,))
        return
    if empty:
        yield Anomaly(
            "nil-balance", f"{read} shows no balance of {', '.join(empty)}.", None, (row,)
        )
        return
    off, margin = _off(bank, balances)
    negative = [named(a) for a in sorted(balances) if balances[a] < 0]
    if bank.total is not None and off > margin:
        why = f"{read} adds up to {number_text(_total(balances))}, not {number_text(bank.total)}."
        yield Anomaly("wrong-total", why, None, (row,))
    elif negative and not bank.may_owe:
        yield Anomaly(
            "negative-value", f"{read} has {', '.join(negative)} below zero.", None, (row,)
        )


def _close(bank: Bank, row: int, balances: Balances) -> Iterator[str]:
    """A total that is not the right one, by no more than what floats lose."""
    if bank.total is None or None in balances.values():
        return
    off, margin = _off(bank, balances)
    if 0 < off <= margin:
        yield (
            f"the read at index {row} adds up to {number_text(_total(balances))}, not "
            f"{number_text(bank.total)}, which is within the rounding of floats"
        )
