"""causal-cycle: no operation may, over what was read and sent, come before itself.

Edges: a write before each read that shows it; a completion before each write that carries
its context; an operation before the next one of its process. A store that shows only what
was written cannot close a cycle, so that one is always the work of a read from the future,
perhaps of several that are each harmless alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from .causality import Causality
from .course import Course
from .cycles import PROCESS, WR, WW, Cycle, Edges, Step, find_cycles
from .pairing import INVOKE, OK
from .verdict import Anomaly, Verdict, judge


def check_order(c: Causality, _course: Course, _test: Mapping[str, Any] | None) -> Verdict:
    """Look for cycles among operations; each is a row of invocation."""
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
    cycles, unnamed = find_cycles(edges.graph())
    one_each = {frozenset(s.a for s in cycle.steps): cycle for cycle in cycles}
    found = [_anomaly(c, cycle) for cycle in one_each.values()]
    return judge(found, more={"causal-cycle": unnamed} if unnamed else {})


def _anomaly(c: Causality, cycle: Cycle) -> Anomaly:
    h = c.history
    rows = tuple(sorted(step.a for step in cycle.steps))
    told = "; ".join(_told(c, step) for step in cycle.steps)
    why = f"each comes before the next, and the last before the first: {told}."
    return Anomaly("causal-cycle", why, h.keys[h.key_of[rows[0]]], rows)


def _told(c: Causality, step: Step) -> str:
    h = c.history
    if step.kind == WR:
        return f"index {step.a} wrote {h.ids[h.id[step.a]]}, which the read at index {step.b} saw"
    if step.kind == WW:
        return f"index {step.b} was written on the context that index {step.a} got"
    return f"process {h.name_of(int(h.process[step.a]))} did index {step.a} before index {step.b}"
