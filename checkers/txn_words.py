"""Findings about transactions, and how they are put into words."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from .txn import Txns


@dataclass(frozen=True)
class Finding:
    """An anomaly between a few transactions, by number."""

    name: str
    key: int | None
    txns: tuple[int, ...]
    why: str


def index_of(t: Txns, txn: int) -> int:
    """The history index that tells most about a transaction."""
    return t.source(txn)


def proof(t: Txns, txns: tuple[int, ...]) -> tuple[int, ...]:
    """The history indices of these transactions, each once."""
    return tuple(sorted({index_of(t, txn) for txn in txns}))


def shown(t: Txns, mop: int) -> Any:
    """What a micro-operation read or wrote."""
    if t.write[mop] or not t.lists:
        return t.name(int(t.value[mop]))
    start = int(t.starts[mop])
    return [t.name(e) for e in t.elements[start : start + int(t.value[mop])].tolist()]


def said(t: Txns, mop: int) -> str:
    """A micro-operation as a clause: "the transaction at index 9 read key 3 as [1, 2]"."""
    return f"the transaction at index {index_of(t, int(t.txn[mop]))} {did(t, mop)}"


def did(t: Txns, mop: int) -> str:
    """A micro-operation without its subject: "read key 3 as [1, 2]"."""
    key = repr(t.keys[t.key[mop]])
    if t.write[mop]:
        return f"{'appended' if t.lists else 'wrote'} {shown(t, mop)!r} to key {key}"
    return f"read key {key} as {_short(shown(t, mop))}"


def _short(value: Any) -> str:
    if isinstance(value, list) and len(value) > 12:
        return f"[{value[0]!r}, {value[1]!r}, ... {value[-2]!r}, {value[-1]!r}]"
    return repr(value)
