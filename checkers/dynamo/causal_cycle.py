"""causal-cycle: no operation may, over what was read and sent, come before itself.

Edges: a write before each read that shows it; a completion before each write that carries
its context; an operation before the next one of its process. A store that shows only what
was written cannot close a cycle, so that one is always the work of a read from the future,
perhaps of several that are each harmless alone.
"""

from __future__ import annotations

import numpy as np
from dynamesis.checkers.graph.causality import Causality
from dynamesis.checkers.graph.cycle_search import find_cycles
from dynamesis.checkers.graph.cycles import KINDS, PROCESS, WR, WW, Cycle, Edges, Step
from dynamesis.checkers.graph.explained import Explained
from dynamesis.checkers.graph.run import Run
from dynamesis.checkers.history.pairing import INVOKE, OK
from dynamesis.checkers.verdict import Anomaly, CheckerResult, judge


def check_order(run: Run) -> CheckerResult:
    """Look for cycles among operations; each is a row of invocation."""
    c = run.order
    h = c.history
    shown = c.of_id[h.sib_id]
    reads = ((h.kind == OK) & h.rows("get", "dump"))[c.owner] & (shown >= 0)
    if not np.any(c.written[shown[reads]] > c.owner[reads]):
        return judge(())
    edges = Edges(len(h))
    edges.add(WR, c.written[shown[reads]], h.pair[c.owner[reads]])
    based = np.flatnonzero((h.basis >= 0) & (h.kind == INVOKE))
    edges.add(WW, h.pair[h.basis[based]], based)
    clients = np.flatnonzero((h.kind == INVOKE) & (h.process >= 0))
    order = clients[np.argsort(h.process[clients], kind="stable")]
    same = h.process[order[1:]] == h.process[order[:-1]]
    edges.add(PROCESS, order[:-1][same], order[1:][same])
    found_cycles = find_cycles(edges.graph())
    cycles = found_cycles.cycles
    one_each = {frozenset(s.a for s in cycle.steps): cycle for cycle in cycles}
    found = [_anomaly(c, cycle) for cycle in one_each.values()]
    beyond = found_cycles.counts.total() - len(cycles)
    return judge(found, more={"causal-cycle": beyond} if beyond else {})


def _anomaly(c: Causality, cycle: Cycle) -> Anomaly:
    h = c.history
    rows = tuple(sorted({row for step in cycle.steps for row in _rows(c, step)}))
    explained = Explained.of(cycle, lambda step: _reason(c, step))
    steps = list(explained.reasons())
    reasons = "; ".join(reason for _, reason in steps)
    why = f"each comes before the next, and the last before the first: {reasons}."
    data = {
        "cycle": [
            {"from": step.a, "to": step.b, "kind": KINDS[step.kind], "why": reason}
            for step, reason in steps
        ]
    }
    return Anomaly("causal-cycle", why, h.keys[h.key_of[rows[0]]], rows, data)


def _rows(c: Causality, step: Step) -> tuple[int, int]:
    """The two events that prove a step."""
    if step.kind == WR:
        return step.a, int(c.history.pair[step.b])
    return int(c.history.pair[step.a]) if step.kind == WW else step.a, step.b


def _reason(c: Causality, step: Step) -> str:
    h = c.history
    a, b = _rows(c, step)
    if step.kind == WR:
        return f"{h.ids[h.id[a]]}, whose write began at index {a}, was shown at index {b}"
    if step.kind == WW:
        return f"{h.ids[h.id[b]]} was written at index {b} on the context given at index {a}"
    return f"process {h.name_of(int(h.process[step.a]))} did index {step.a} before index {step.b}"
