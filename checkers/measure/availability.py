"""Measured, not judged: the share of operations that succeed, by second, node and side.

Dynamo is to take writes on both sides of a cut. What is ok of all that nodes of one side
were asked while a cut lasted shows how far it does, where the answers name the node asked.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from dynamesis.checkers.dynamo.outages import sides
from dynamesis.checkers.graph.run import Run
from dynamesis.checkers.history.arrays import shares
from dynamesis.checkers.history.columns import History
from dynamesis.checkers.history.pairing import INFO, INVOKE, OK, Bools, Ints
from dynamesis.checkers.history.timeline import Fault


def availability(run: Run) -> dict[str, object]:
    """Shares of ok among what clients invoked; seconds are those of the invocation."""
    h, timeline = run.history, run.timeline
    invoked = np.flatnonzero((h.kind == INVOKE) & (h.process >= 0))
    pair = h.pair[invoked]
    ok = np.where(pair >= 0, h.kind[pair], INFO) == OK
    node = np.where(pair >= 0, h.node[pair], -1)
    asked = {name: node == i for i, name in enumerate(h.nodes)}
    found: dict[str, object] = {"by_second": _by_second(h, invoked, ok)}
    found["by_node"] = {n: _share(ok[mine]) for n, mine in asked.items() if np.any(mine)}
    cuts = [f for f in timeline.faults if sides((f.value or {}).get("grudge"))]
    by_side = [_of_cut(h, fault, invoked, ok, asked) for fault in cuts]
    return {**found, "by_side": by_side} if by_side else found


def _of_cut(
    h: History, cut: Fault, invoked: Ints, ok: Bools, asked: Mapping[str, Bools]
) -> dict[str, object]:
    """By side: the share over the whole cut, and second by second."""
    end = len(h) if cut.stopping is None else cut.stopping
    during = (invoked > cut.started) & (invoked < end)
    by_side: dict[str, object] = {}
    for side in sides((cut.value or {}).get("grudge")):
        of_side = [asked[node] for node in side if node in asked]
        if of_side and np.any(mine := during & np.any(of_side, axis=0)):
            seconds = _by_second(h, invoked[mine], ok[mine])
            by_side[", ".join(side)] = {"all": _share(ok[mine]), "by_second": seconds}
    return {"index": cut.started, "kind": cut.kind, "sides": by_side}


def _by_second(h: History, invoked: Ints, ok: Bools) -> dict[str, float]:
    second = h.time[invoked] // 1_000_000_000
    return {str(number): share for number, share in shares(second, ok).items()}


def _share(ok: Bools) -> float:
    return round(np.count_nonzero(ok) / len(ok), 4)
