"""Orders among transactions that need no inference: of each process, and of real time."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np
from dynamesis.checkers.elle.txn import Txns
from dynamesis.checkers.graph.causality import NEVER
from dynamesis.checkers.graph.cycles import PROCESS, Edges, realtime
from dynamesis.checkers.history.pairing import FAIL, OK, Bools, Ints


def updates(t: Txns) -> Bools:
    """Which transactions write."""
    found = np.zeros(len(t), np.bool_)
    found[t.txn[t.write]] = True
    return found


def add_orders(edges: Edges, t: Txns, illegal: Collection[str]) -> None:
    """Process and realtime order, where the consistency model asks for them."""
    possible = np.flatnonzero(t.status != FAIL)
    if any(name.endswith(("-process", "-realtime")) for name in illegal):
        _add_process_order(edges, t, possible)
    if any(name.endswith("-realtime") for name in illegal):
        ended = np.where(t.status == OK, t.ended, NEVER)[possible]
        realtime(edges, possible, t.row[possible], ended)


def _add_process_order(edges: Edges, t: Txns, possible: Ints) -> None:
    """From the last transaction of a process that succeeded to each that follows it."""
    order = possible[np.argsort(t.process[possible], kind="stable")]
    if not len(order):
        return
    place = np.arange(len(order))
    last_ok = np.maximum.accumulate(np.where(t.status[order] == OK, place, -1))
    before = np.append([-1], last_ok[:-1])
    same = (before >= 0) & (t.process[order[before]] == t.process[order])
    edges.add(PROCESS, order[before[same]], order[same])
