"""The figures behind a verdict: how much of everything it rests on.

They are counted from the history alone, for every model: operations by f, and of these during
and after the faults; faults and whether they took effect; final reads and dumps; processes that
died; and the floor below which a test is too small to be judged.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from dynamesis.checkers.graph.run import Run
from dynamesis.checkers.history.history import History
from dynamesis.checkers.history.pairing import INVOKE, OK, Bools, Ints
from dynamesis.checkers.history.timeline import Fault, Timeline, final_rows, hint_targets

#: What results.json has as `evidence`.
Figures = dict[str, Any]

#: Acknowledged operations of the load that a test needs: half a second at the default rate. What
#: goes wrong now and then has hardly had a chance in fewer.
LEAST = 50
#: Acknowledged writes among them: only these can be lost.
LEAST_WRITES = 20
#: The same two of a test in a simulated world, which is small so that thousands can be run.
LEAST_SIMULATED, LEAST_WRITES_SIMULATED = 8, 3
#: Share of the load's operations that must be acknowledged. A majority that is down for half of
#: the load leaves half of them; below this the store was hardly there.
LEAST_SHARE = 0.1

#: Codes of failures that are answers: the store looked, and the condition of the operation did not
#: hold. A compare-and-set met another value, a queue was empty, an account held too little.
CONDITIONS = frozenset({"cas-mismatch", "empty", "insufficient"})
#: Kinds of operation that change nothing. A transaction (f TXN) is one if it only reads.
READS = frozenset({"get", "read", "dump", "r", "list", "scan"})
TXN = "txn"

#: What is counted of the operations of an f.
_OPERATIONS = ("tried", "acknowledged", "during_faults", "after_faults")


def is_write(f: str) -> bool:
    """Whether operations of this f may change something."""
    return f not in READS


def is_run(test: Mapping[str, Any] | None) -> bool:
    """Whether test.json describes a test that the harness ran: it has a time limit."""
    limit = (test or {}).get("time_limit")
    return isinstance(limit, int | float) and not isinstance(limit, bool)


def first_fault(timeline: Timeline) -> Fault | None:
    """The fault that began first, of those that found a target."""
    found = [fault for fault in timeline.faults if not fault.skipped]
    return min(found, key=lambda fault: fault.started, default=None)


def final_by_key(h: History, timeline: Timeline) -> dict[tuple[str, str | None], bool]:
    """By f and key of what clients asked in the final phase: whether it came back at least once.
    A transaction asks for the key of each of its micro-operations."""
    came: dict[tuple[str, str | None], bool] = {}
    if timeline.final is None:
        return came
    asked = np.flatnonzero((h.kind == INVOKE) & (h.process >= 0))
    asked = asked[asked > timeline.final]
    ends = h.pair[asked]
    succeeded = (ends >= 0) & (h.kind[ends] == OK)
    for row, ok in zip(asked.tolist(), succeeded.tolist(), strict=True):
        for key in _keys(h, row):
            name = (h.fs[h.f[row]], key)
            came[name] = came.get(name, False) or ok
    return came


def _keys(h: History, row: int) -> list[str | None]:
    if h.key_of[row] >= 0:
        return [h.keys[h.key_of[row]]]
    if h.fs[h.f[row]] != TXN:
        return [None]
    return [h.spelled(mop[1]) for mop in _mops(h, row)] or [None]


def _mops(h: History, row: int) -> list[list[Any]]:
    """The micro-operations of a transaction [f, key, value]; none of another value."""
    value = h.value_of(row)
    mops = value if isinstance(value, list) else []
    return [mop for mop in mops if isinstance(mop, list) and len(mop) == 3]


def _least(test: Mapping[str, Any]) -> Figures:
    """How many operations and writes must have been acknowledged."""
    if test.get("world") == "simulated":
        return {"acknowledged": LEAST_SIMULATED, "writes": LEAST_WRITES_SIMULATED}
    return {"acknowledged": LEAST, "writes": LEAST_WRITES}


def figures(run: Run) -> Figures:
    """What a verdict on this history rests on, as plain data."""
    h, timeline = run.history, run.timeline
    invoked = (h.kind == INVOKE) & (h.process >= 0)
    ok = np.zeros(len(h), np.bool_)
    paired = np.flatnonzero(invoked & (h.pair >= 0))
    ok[paired] = h.kind[h.pair[paired]] == OK
    during, since = _during(h, timeline), _since(h, timeline)
    load = _load(h, timeline)
    writes = ok & load & h.rows(*(f for f in h.fs if is_write(f)))
    if TXN in h.fs:
        writes[_only_reading(h, np.flatnonzero(writes & h.rows(TXN)))] = False
    floor: Figures = {**_least(run.test or {}), "share": LEAST_SHARE}
    test = run.test or {}
    copies = len(test.get("nodes", ())) if test.get("replicas") == "all" else test.get("n", 0)
    floor["replicas"] = 2 if isinstance(copies, int) and copies > 1 else 0
    rows = (invoked, ok, ok & during, ok & since & ~during)
    found: Figures = {
        "tried": _count(invoked & load),
        "acknowledged": _count(ok & load),
        "writes": _count(writes),
        "operations": {
            f: dict(zip(_OPERATIONS, counts, strict=True))
            for f, *counts in zip(h.fs, *map(h.count_by_f, rows), strict=True)
            if counts[0]
        },
        "faults": [_fault(fault) for fault in timeline.faults],
        "nemesis_failed": len(timeline.failed),
        "heal_failed": len(timeline.unhealed),
        "died": sorted({node for row in timeline.found_dead for node in _dead(h, row)}),
        "final_reads": _final_reads(h, timeline, ok),
        "dumps": _dumps(h, timeline),
        "compared": _compared(h, timeline),
        "floor": floor,
    }
    if first_fault(timeline) is not None:
        found["writes_since_faults"] = _count(writes & since)
    else:
        found["writes_since_faults"] = None
    return found


def _only_reading(h: History, rows: Ints) -> Ints:
    """Of the transactions at these rows, those that write nothing."""
    _, first, number = np.unique(h.value[rows], return_index=True, return_inverse=True)
    reads = [all(mop[0] in READS for mop in _mops(h, row)) for row in rows[first].tolist()]
    return rows[np.array(reads, np.bool_)[number]]


def _count(rows: Bools) -> int:
    return int(np.count_nonzero(rows))


def _load(h: History, timeline: Timeline) -> Bools:
    """What belongs to the load: all before the heal phase, of a history without phases all."""
    heal = timeline.phases.get("heal", len(h))
    return np.arange(len(h)) < min(heal, timeline.phases.get("final", heal))


def _since(h: History, timeline: Timeline) -> Bools:
    """The rows after the first fault began; without any, none."""
    first = first_fault(timeline)
    return np.arange(len(h)) > (len(h) if first is None else first.started)


def _during(h: History, timeline: Timeline) -> Bools:
    """The rows at which any fault was active."""
    rows = np.zeros(len(h), np.bool_)
    for fault in timeline.faults:
        if not fault.skipped:
            rows[fault.started : len(h) if fault.stopped is None else fault.stopped] = True
    return rows


def _fault(fault: Fault) -> Figures:
    member = fault.fields.get("member", fault.kind)
    return {"fault": fault.number, "kind": member, "index": fault.started,
            "took_effect": fault.took_effect}  # fmt: skip


def _dead(h: History, row: int) -> list[str]:
    value = h.value_of(row)
    named = value.get("nodes") if isinstance(value, dict) else None
    return [str(node) for node in named] if isinstance(named, list) else ["a node"]


def _final_reads(h: History, timeline: Timeline, ok: Bools) -> Figures:
    """Of the keys asked for in the final phase, those that came back; and of all attempts."""
    came = final_by_key(h, timeline)
    after = (h.kind == INVOKE) & (h.process >= 0)
    after &= np.arange(len(h)) > (len(h) if timeline.final is None else timeline.final)
    return {
        "asked": len(came),
        "answered": sum(came.values()),
        "attempts": _count(after),
        "failed_attempts": _count(after & ~ok),
    }


def _dumps(h: History, timeline: Timeline) -> Figures:
    asked = np.flatnonzero((h.kind == INVOKE) & h.rows("dump"))
    asked = asked[asked > (len(h) if timeline.final is None else timeline.final)]
    return {"asked": len(asked), "answered": len(final_rows(h, timeline, "dump"))}


def _compared(h: History, timeline: Timeline) -> Figures:
    """Keys of which at least two replicas were dumped, copies dumped of them, and the most
    copies of any one key."""
    rows = final_rows(h, timeline, "dump")
    hints = hint_targets(h, rows)
    copies: dict[int, set[int]] = {}
    keys, nodes = h.key_of[rows].tolist(), h.replica[h.pair[rows]].tolist()
    for row, key, node in zip(rows.tolist(), keys, nodes, strict=True):
        if row not in hints:
            copies.setdefault(key, set()).add(node)
    several = [len(nodes) for nodes in copies.values() if len(nodes) > 1]
    most = max((len(nodes) for nodes in copies.values()), default=0)
    return {"keys": len(several), "replicas": sum(several), "most_replicas": most}
