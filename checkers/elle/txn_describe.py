"""Findings about transactions, and their text."""

from __future__ import annotations

from dataclasses import dataclass

from dynamesis.checkers.elle.txn import Txns

#: elements of a list that are shown in full
_LISTED = 12


@dataclass(frozen=True)
class Finding:
    """An anomaly between a few transactions, by number. `shape`: the name by which it is
    judged, where a model forbids less than all of that name."""

    name: str
    key: int | None
    txns: tuple[int, ...]
    why: str
    shape: str = ""

    @property
    def judged_as(self) -> str:
        """Its shape, or its name."""
        return self.shape or self.name


def index_of(t: Txns, txn: int) -> int:
    """The history index of the event with most information about a transaction."""
    return t.source(txn)


def proof(t: Txns, txns: tuple[int, ...]) -> tuple[int, ...]:
    """The history indices of these transactions, each once."""
    return tuple(sorted({index_of(t, txn) for txn in txns}))


def key_name(t: Txns, key: int) -> str:
    """A key in prose: text in quotes, others as the history spells them."""
    name = t.keys[key]
    return repr(name) if isinstance(name, str) else t.history.spelled(name)


def shown(t: Txns, mop: int) -> str:
    """What a micro-operation read or wrote, as the history spells it; a long list cut."""
    spelled = t.history.spelled
    if t.write[mop] or not t.lists:
        return spelled(t.name(int(t.value[mop])))
    start, length = int(t.starts[mop]), int(t.value[mop])
    elements = t.elements[start : start + length]
    if length <= _LISTED:
        return spelled([t.name(e) for e in elements.tolist()])
    first, second, *_, last_but_one, last = (spelled(t.name(e)) for e in elements.tolist())
    return f"[{first}, {second}, ... {last_but_one}, {last}]"


def clause(t: Txns, mop: int) -> str:
    """A micro-operation as a clause: "the transaction at index 9 read key 3 as [1, 2]"."""
    return f"the transaction at index {index_of(t, int(t.txn[mop]))} {did(t, mop)}"


def did(t: Txns, mop: int) -> str:
    """A micro-operation without its subject: "read key 3 as [1, 2]"."""
    key = key_name(t, int(t.key[mop]))
    if t.write[mop]:
        return f"{'appended' if t.lists else 'wrote'} {shown(t, mop)} to key {key}"
    return f"read key {key} as {shown(t, mop)}"


def aborted(t: Txns, read: int, write: int) -> Finding:
    """A read of what a failed transaction wrote: G1a, or phantom where that had not begun."""
    reader, writer = int(t.txn[read]), int(t.txn[write])
    if t.row[writer] > t.ended[reader]:
        why = f"{clause(t, read)}, which was not yet written when that read ended"
        return Finding("phantom", int(t.key[read]), (reader,), why)
    why = f"{clause(t, read)}, but {clause(t, write)} and failed"
    return Finding("G1a", int(t.key[read]), (writer, reader), why)
