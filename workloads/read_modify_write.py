"""Registers of unique values: read-modify-write with the context, and a share of writes
without one.

A blind write replaces nothing, so it must stay beside whatever was there until a client
that has read it writes; and a write that comes, by a client's mistake, with the context of
another key must be refused: a forged context can silently discard what no client has read.
Catches stores that take the last writer's word (lost-write), that drop concurrent versions
or keep replaced ones (false-sibling), that take any context (foreign-context), and, since
every value is written once, values that are altered or mixed up.
"""

from __future__ import annotations

import numpy as np
from dynamesis.checkers.graph.run import Run
from dynamesis.checkers.history.history import History
from dynamesis.checkers.history.pairing import INVOKE, OK
from dynamesis.checkers.verdict import Anomaly, CheckerResult, judge
from dynamesis.harness.generators import Rng
from dynamesis.workloads.base import DISTRIBUTION, Load, Workload
from dynamesis.workloads.script.modification import (
    Modification,
    ReadModifyWrite,
    SeenValues,
    mix_options,
)
from dynamesis.workloads.script.script import Script


def write_unique(rng: Rng, seen: SeenValues) -> tuple[Modification, Rng]:
    """An integer that no other write has."""
    return Modification(seen.number), rng


def _script(load: Load) -> Script:
    return ReadModifyWrite.of(load, write_unique)


def check_contexts(run: Run) -> CheckerResult:
    """No write may be acknowledged with a context that was handed out for another key. That
    of a get that showed nothing is empty, and belongs to every key."""
    history = run.history
    h = history
    based = np.flatnonzero((h.kind == INVOKE) & (h.basis >= 0) & (h.pair >= 0))
    basis = h.basis[based]
    empty = h.rows("get")[basis] & (np.diff(h.sib_start)[basis] == 0)
    mistaken = (h.key_of[basis] != h.key_of[based]) & ~empty
    taken = based[mistaken & (h.kind[h.pair[based]] == OK)].tolist()
    return judge((_foreign(h, row) for row in taken), (), {"mistaken": int(mistaken.sum())})


def _foreign(h: History, row: int) -> Anomaly:
    basis, key = int(h.basis[row]), h.keys[h.key_of[row]]
    other = h.keys[h.key_of[basis]]
    why = (
        f"the write of {key} by process {h.process[row]} (index {row}) was acknowledged with "
        f"the context that index {basis} handed out for {other}: it must be refused, or it "
        f"discards versions of {key} that its writer never saw."
    )
    return Anomaly("foreign-context", why, key, (basis, row, int(h.pair[row])))


REGISTER = Workload(
    name="register",
    description="unique values, written with the context that was read or blindly: catches "
    "lost writes, false siblings, altered values",
    script=_script,
    colocated=8,
    check=check_contexts,
    options={
        "distribution": DISTRIBUTION,
        **mix_options(blind=0.25, foreign=0.03),
    },
)
