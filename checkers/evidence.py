"""Vacuity: a test that could not have failed has not passed.

Unknown, whatever the other checkers say short of invalid, when an `f` was tried and never
succeeded, when nothing was acknowledged, when there were no final reads, or when a kind of
fault was injected and none of its injections is known to have bitten.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from .causality import Causality
from .course import Course, final_rows
from .history import History
from .pairing import INVOKE, OK
from .verdict import Verdict, judge


def check_evidence(c: Causality, course: Course, _test: Mapping[str, Any] | None) -> Verdict:
    """Was there evidence enough to say otherwise?"""
    h = c.history
    reasons = [*_without_ok(h), *_without_effect(c), *_without_final(h, course)]
    reasons += _toothless(course)
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


def _toothless(course: Course) -> Iterator[str]:
    kinds = {fault.kind: False for fault in course.faults}
    for fault in course.faults:
        kinds[fault.kind] |= fault.bit is True
    for kind, bit in kinds.items():
        if not bit:
            first = next(f.started for f in course.faults if f.kind == kind)
            yield f"no {kind} fault is known to have bitten (the first is index {first})"
