"""What is measured and not judged: counts, latencies, siblings a read, availability."""

from __future__ import annotations

import numpy as np
from dynamesis.checkers.graph.run import Run
from dynamesis.checkers.history.arrays import tally
from dynamesis.checkers.history.history import History
from dynamesis.checkers.history.pairing import FAIL, INFO, INVOKE, OK, Bools, Ints
from dynamesis.checkers.measure.percentiles import percentiles
from dynamesis.checkers.verdict import CheckerResult, judge

#: percentiles of latency that are reported
PERCENTILES = (50, 90, 99, 99.9)


def check_stats(run: Run) -> CheckerResult:
    """Always valid; the figures are its details."""
    return judge((), (), stats(run.history))


def stats(h: History) -> dict[str, object]:
    """Figures by f over the clients' operations. Latencies in ms, counted from when an operation
    was due; durations in s."""
    clients = (h.process >= 0) & (h.kind == INVOKE)
    invoked = {f: np.flatnonzero(clients & (h.f == i)) for i, f in enumerate(h.fs)}
    done = {f: _of_f(h, rows) for f, rows in invoked.items() if len(rows)}
    return {
        "operations": int(np.count_nonzero(clients)),
        "seconds": float(h.time[-1] - h.time[0]) / 1e9 if len(h) else 0.0,
        "by_f": done,
        "siblings": _siblings(h),
        **_behind(h, clients),
    }


def _behind(h: History, clients: Bools) -> dict[str, object]:
    """By how much the load fell behind its schedule, where it did: how many operations began late,
    and by how many ms."""
    late = [(int(h.time[row]) - due) / 1e6 for row, due in h.due.items() if clients[row]]
    if not late:
        return {}
    marks = percentiles(late, (50, 99))
    figures = {"p50": marks[0], "p99": marks[1], "most": max(late)}
    return {
        "behind": {
            "operations": len(late),
            "late_ms": {name: round(float(value), 3) for name, value in figures.items()},
        }
    }


def _of_f(h: History, invoked: Ints) -> dict[str, object]:
    """Figures over these invocations, of which there is at least one."""
    ended = h.pair[invoked]
    kinds = np.where(ended >= 0, h.kind[ended], INFO)
    count = {name: int(np.count_nonzero(kinds == kind)) for name, kind in _ENDS}
    figures: dict[str, object] = {"count": len(invoked), **count}
    figures["availability"] = count["ok"] / len(invoked)
    if count["ok"]:
        rows = invoked[kinds == OK]
        latency = (h.time[h.pair[rows]] - _due(h, rows)) / 1e6
        marks = percentiles(latency.tolist(), PERCENTILES)
        figures["latency_ms"] = {
            f"p{p:g}": round(float(m), 3) for p, m in zip(PERCENTILES, marks, strict=True)
        }
    return figures


def _due(h: History, rows: Ints) -> Ints:
    """When each of these invocations was due: as a rule when it began."""
    began = h.time[rows]
    if h.due:
        began = began.copy()
        late = np.array([row for row in sorted(h.due) if rows[0] <= row <= rows[-1]], np.int64)
        place = np.searchsorted(rows, late)
        mine = rows[place] == late
        began[place[mine]] = [h.due[row] for row in late[mine].tolist()]
    return began


_ENDS = (("ok", OK), ("fail", FAIL), ("info", INFO))


def _siblings(h: History) -> dict[str, int]:
    """How many gets saw how many siblings."""
    gets = np.flatnonzero((h.kind == OK) & h.rows("get"))
    seen = h.sib_start[gets + 1] - h.sib_start[gets]
    counts, times = tally(seen)
    return {str(c): t for c, t in zip(counts.tolist(), times.tolist(), strict=True)}
