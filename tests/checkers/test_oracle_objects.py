"""cas-register and mutex agree with brute force, and what they show of a proof is true."""

from __future__ import annotations

import os
from typing import Any

import pytest
from dynamesis.checkers.history.history import History, Op
from dynamesis.checkers.models.cas_register import check_cas_register, check_mutex
from dynamesis.checkers.verdict import CheckerResult, Verdict
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from oracle_objects import IMPOSSIBLE, UNKNOWN, fits, linearizable, mutex, register

EXAMPLES = int(os.environ.get("ORACLE_EXAMPLES", "200"))
pytestmark = pytest.mark.timeout(120 + EXAMPLES // 2)
LENIENT = settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))

#: (client, what is done, bits): a client invokes, lets its operation take effect, and ends it
PROGRAMS = st.lists(
    st.tuples(st.integers(0, 3), st.integers(0, 15), st.integers(0, 63)), max_size=30
)


def run(program, begin, specification, initial: Any, lie) -> list[Op]:
    """The history of a right store, whose answers are a lie where the last bits say so."""
    ops: list[Op] = []
    state, names = initial, [0, 1, 2, 3]
    waiting: dict[int, Op] = {}
    answers: dict[int, Any] = {}
    for slot, what, bits in program:
        process = names[slot]
        op = waiting.get(process)
        if op is None:
            f, value = begin(what, bits)
            waiting[process] = op = Op(process=process, f=f, value=value)
            ops.append(op)
        elif process not in answers and what:
            after = specification(state, op.f, op.value, UNKNOWN)
            answers[process] = (after is IMPOSSIBLE, state)
            state = state if after is IMPOSSIBLE else after
        else:
            failed, shown = answers.pop(process, (what % 2 == 1, state))
            how = "info" if bits % 8 == 0 else "fail" if failed and bits % 16 != 1 else "ok"
            value = op.value if op.f not in ("read", "get") else lie(bits) if bits > 55 else shown
            ops.append(Op(type=how, process=process, f=op.f, value=value if how == "ok" else None))
            del waiting[process]
            if how == "info":
                names[slot] += 4
    return ops


def register_begin(what: int, bits: int) -> tuple[str, Any]:
    if what < 6:
        return "read", None
    return ("write", bits % 3) if what < 10 else ("cas", [bits % 3, bits // 3 % 3])


def agree(found: CheckerResult, ops: list[Op], initial: Any, specification) -> None:
    right = linearizable(ops, initial, specification)
    assert (found.verdict is Verdict.INVALID) == (not right), found.reasons
    for anomaly in found.anomalies:
        for order in anomaly.data.get("orders", []):
            assert fits(ops, order["order"], initial, specification), order


@LENIENT
@given(PROGRAMS, st.sampled_from([None, 0]))
def test_registers_agree(program, initial: Any) -> None:
    ops = run(program, register_begin, register, initial, lambda bits: bits % 4)
    found = check_cas_register(History.of(ops), initial)
    agree(found, ops, initial, register)


@LENIENT
@given(PROGRAMS)
def test_mutexes_agree(program) -> None:
    ops = run(
        program, lambda what, _: ("acquire" if what % 2 else "release", None), mutex, False, None
    )
    agree(check_mutex(History.of(ops)), ops, False, mutex)
