"""The reason for an edge between two transactions over lists, by key and element."""

from __future__ import annotations

import numpy as np
from dynamesis.checkers.elle.list_append import Lists
from dynamesis.checkers.elle.txn_describe import key_name
from dynamesis.checkers.graph.cycles import (
    WR,
    WW,
    Step,
)


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
