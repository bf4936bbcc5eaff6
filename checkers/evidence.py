"""Vacuity: a test that could not have failed has not passed.

Unknown, whatever the other checkers say short of invalid, when an `f` was tried and never
succeeded, when nothing was acknowledged, when there were no final reads, when the history
ends before the test did, when a node died of no fault, when the heal failed, or when a fault
is not known to have bitten. A fault may be over before it can bite (a cut of half a second
that nobody sent across), or meet nobody (a node is cut off that is dead): one that was lifted
within BITES, or of which the evidence says that nobody was there, need not have, if another
of its kind has.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from .causality import Causality
from .columns import HARNESS
from .course import Course, Fault, crashed, exits, final_rows
from .history import History
from .pairing import INVOKE, OK
from .verdict import Verdict, judge
from .words import at, concerned

#: ns in which every fault should have bitten, as the nemesis itself is patient for 1.5 s
BITES = 2_000_000_000
#: Faults that leave the nodes they name dead, or as good as that.
DEADLY = ("kill", "pause", "wipe", "stop", "membership")


def check_evidence(c: Causality, course: Course, _test: Mapping[str, Any] | None) -> Verdict:
    """Was there evidence enough to say otherwise?"""
    h = c.history
    reasons = [*_without_ok(h), *_without_effect(c), *_without_final(h, course)]
    reasons += [*_cut_off(h, course), *_died(h, course), *_toothless(h, course), *_unhealed(h)]
    faults = [{"kind": f.kind, "index": f.started, "bit": f.bit} for f in course.faults]
    return judge((), reasons, {"faults": faults} if faults else {})


def _without_ok(h: History) -> Iterator[str]:
    clients = h.process >= 0
    for number, f in enumerate(h.fs):
        of_f = clients & (h.f == number)
        tried = int(np.count_nonzero(of_f & (h.kind == INVOKE)))
        if tried and not np.any(of_f & (h.kind == OK)):
            yield f"{f} was tried {tried} times and never succeeded"


def _without_effect(c: Causality) -> Iterator[str]:
    if not np.any(c.outcome == OK):
        yield "no write was acknowledged"


def _without_final(h: History, course: Course) -> Iterator[str]:
    if not any(len(final_rows(h, course, f)) for f in ("get", "dump")):
        yield "there were no final reads"


def _cut_off(h: History, course: Course) -> Iterator[str]:
    if course.phases and "stop" not in course.phases:
        last = max(course.phases, key=lambda name: course.phases[name])
        yield (
            f"the history ends at line {len(h)} in phase {last}: expected phase stop, with which "
            "every test ends"
        )


def _unhealed(h: History) -> Iterator[str]:
    for row in np.flatnonzero((h.process == HARNESS) & h.rows("heal-failed")).tolist():
        yield f"not everything was healed at {at(h, row)}: {h.value_of(row)}"


def _died(h: History, course: Course) -> Iterator[str]:
    for row in course.found_dead:
        value = h.value_of(row)
        named = value.get("nodes") if isinstance(value, dict) else None
        hit = {
            node
            for fault in course.active((row,))
            if fault.kind in DEADLY
            for node in (fault.value or {}).get("nodes", ())
        }
        ends = exits(h, row)
        for node in named if isinstance(named, list) else ["a node"]:
            if node not in hit and not crashed(ends.get(node)):
                yield f"{node} was found dead at {at(h, row)}, and no fault had killed it"


def _toothless(h: History, course: Course) -> Iterator[str]:
    bitten = {fault.kind for fault in course.faults if fault.bit}
    for kind in dict.fromkeys(fault.kind for fault in course.faults):
        if kind not in bitten:
            first = next(f.started for f in course.faults if f.kind == kind)
            yield f"no {kind} fault is known to have bitten (the first is index {first})"
    for fault in course.faults:
        if fault.kind in bitten and not fault.bit and _had_time(h, fault):
            yield f"fault {fault.number}, {concerned(fault)}, is not known to have bitten"


def _had_time(h: History, fault: Fault) -> bool:
    """Did the fault find a target, and last long enough?"""
    if fault.met_nobody or "skipped" in (fault.value or {}):
        return False
    end = len(h) - 1 if fault.stopping is None else fault.stopping
    return int(h.time[end] - h.time[fault.started]) >= BITES
