"""What a history of our own must be beside well-formed.

The harness writes it, and so it owes more than another tool does: time that never runs
back, a reason for every failure, and events of harness and nemesis in the form that
docs/history.md gives. What such an event leaves out, no checker may guess.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from itertools import pairwise
from typing import Any

import numpy as np
from dynamesis.checkers.history.codes import HARNESS, NEMESIS
from dynamesis.checkers.history.columns import History
from dynamesis.checkers.history.pairing import FAIL, INFO, INVOKE
from dynamesis.checkers.history.timeline import PHASES
from dynamesis.checkers.history.wellformed import WRITES, Problem, first


def first_breach(history: History) -> Problem | None:
    """The first breach of these rules; None for a history that keeps them."""
    rules = (_times, _errors, _foreign_bases, _phases, _faults, _quiesced, _node_answers, _dumped)
    found = [problem for rule in rules for problem in rule(history)]
    return min(found, key=lambda problem: problem.row, default=None)


def first_unknown_node(history: History, test: Mapping[str, Any] | None) -> Problem | None:
    """The first event of a node that neither test.json nor the history names as taking part; None
    if there is none, or if test.json names no nodes."""
    named = (test or {}).get("nodes")
    if not isinstance(named, list):
        return None
    known = {*map(str, named), *_newcomers(history)}
    ring = (test or {}).get("ring")
    if isinstance(ring, Mapping):
        known.update(map(str, ring.get("owners") or ()))
    strange = [number for number, node in enumerate(history.nodes) if node not in known]
    if not strange:
        return None
    found = (
        problem._replace(message=f"expected one of {', '.join(sorted(known))}; {problem.message}")
        for column, field in ((history.node, "node"), (history.replica, "replica"))
        for problem in first(np.isin(column, strange), field, "")
    )
    earliest = min(found, key=lambda problem: problem.row, default=None)
    if earliest is None:
        return None
    column = history.node if earliest.field == "node" else history.replica
    return earliest._replace(message=earliest.message + _got(history.nodes[column[earliest.row]]))


def _newcomers(h: History) -> Iterator[str]:
    """Nodes that came later: of rings, of views, of changes of the membership."""
    rows = _events(h, HARNESS, lambda f: f in ("ring", "membership"))
    for value in map(h.value_of, rows + _events(h, NEMESIS, lambda f: f.startswith("start-"))):
        fields = value if isinstance(value, dict) else {}
        for field in ("node", "nodes", "owners", "members", "joins", "among"):
            names = fields.get(field)
            yield from map(str, names if isinstance(names, list) else [names])


def _times(h: History) -> Iterator[Problem]:
    back = np.append([False], h.time[1:] < h.time[:-1])
    for problem in first(back, "time", ""):
        before = int(h.time[problem.row - 1])
        bound = f"expected no less than {before}, the time of the line before"
        yield problem._replace(message=f"{bound}, got {int(h.time[problem.row])}")


def _errors(h: History) -> Iterator[Problem]:
    """Clients and dumps give a reason; the nemesis ends what it does with info as a rule."""
    ends = (h.kind == FAIL) | ((h.kind == INFO) & (h.pair >= 0) & (h.process != NEMESIS))
    ends[list(h.errors)] = False
    yield from first(ends, "error", "expected why it did not end in ok, got none")


def _foreign_bases(h: History) -> Iterator[Problem]:
    """Workloads send another key's context by a mistake that a client can make: its own
    context, or one it got before its number was retired. No client can send any other."""
    rows = np.flatnonzero((h.kind == INVOKE) & h.rows(*WRITES) & (h.basis >= 0))
    rows = rows[h.key_of[h.basis[rows]] != h.key_of[rows]]
    rows = rows[h.process[h.basis[rows]] != h.process[rows]]
    if not len(rows):
        return
    lost = np.flatnonzero((h.kind == INFO) & (h.process >= 0))
    retired = dict(zip(h.process[lost].tolist(), lost.tolist(), strict=True))
    for row in rows.tolist():
        basis = int(h.basis[row])
        if retired.get(int(h.process[basis]), row) >= row:
            key, other = h.keys[h.key_of[row]], h.keys[h.key_of[basis]]
            yield Problem(
                row,
                "basis",
                f"expected the index of a completion of key {key}, got {basis}, which is of key "
                f"{other} and of another process",
            )
            return


def _phases(h: History) -> Iterator[Problem]:
    rows = _events(h, HARNESS, lambda f: f == "phase")
    names = [(row, h.value_of(row)) for row in rows]
    for row, name in names:
        if name not in PHASES:
            yield Problem(row, "value", f"expected a phase, {', '.join(PHASES)}; got {name!r:.60}")
            return
    for (_, before), (row, name) in pairwise(names):
        if PHASES.index(name) <= PHASES.index(before):
            yield Problem(row, "value", f"expected a phase after {before}, got {name}")
            return


def _faults(h: History) -> Iterator[Problem]:
    """By number: what has evidence or ends has started."""
    started: set[str] = set()
    for row in _events(h, NEMESIS, _of_fault):
        value, f = h.value_of(row), h.fs[h.f[row]]
        if not isinstance(value, dict):
            yield Problem(row, "value", f"expected an object, got {value!r:.60}")
            continue
        number = value.get("fault")
        if not isinstance(number, int) or isinstance(number, bool):
            yield Problem(row, "value.fault", f"expected the number of a fault, {_got(number)}")
        elif f.startswith("start-"):
            started.add(str(number))
        elif str(number) not in started:
            message = f"expected the number of a fault that started, {_got(number)}"
            yield Problem(row, "value.fault", message)
        if f == "evidence" and not isinstance(value.get("bit"), bool):
            yield Problem(row, "value.bit", f"expected true or false, {_got(value.get('bit'))}")


def _of_fault(f: str) -> bool:
    return f == "evidence" or f.startswith(("start-", "stop-"))


def _got(value: Any) -> str:
    return "got none" if value is None else f"got {value!r:.60}"


def _quiesced(h: History) -> Iterator[Problem]:
    for row in _events(h, HARNESS, lambda f: f == "quiesce"):
        value = h.value_of(row)
        if not isinstance(value, dict):
            yield Problem(row, "value", f"expected an object, {_got(value)}")
        elif not isinstance(value.get("quiet"), bool):
            message = f"expected true or false, {_got(value.get('quiet'))}"
            yield Problem(row, "value.quiet", message)


def _node_answers(h: History) -> Iterator[Problem]:
    """A node's answer about itself names the node."""
    for row in _events(h, HARNESS, lambda f: f in ("membership", "sizes")):
        value = h.value_of(row)
        if not isinstance(value, dict) or not isinstance(value.get("node"), str):
            message = f"expected an object that names its node, {_got(value)}"
            yield Problem(row, "value.node", message)


def _dumped(h: History) -> Iterator[Problem]:
    for row in _events(h, HARNESS, lambda f: f == "dumped"):
        value = h.value_of(row)
        if not isinstance(value, dict) or not all(isinstance(v, bool) for v in value.values()):
            yield Problem(row, "value", f"expected true or false by node, an object; {_got(value)}")


def _events(h: History, process: int, wanted: Callable[[str], bool]) -> list[int]:
    fs = [name for name in h.fs if wanted(name)]
    rows: list[int] = np.flatnonzero((h.process == process) & h.rows(*fs)).tolist()
    return rows
