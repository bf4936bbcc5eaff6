"""cas-register, mutex, kv and queue agree with brute force, and their proofs are true."""

from __future__ import annotations

from typing import Any

import pytest
from dynamesis.checkers.history.history import History, Op
from dynamesis.checkers.models.cas_register import check_cas_register, check_mutex
from dynamesis.checkers.models.kv import check_kv
from dynamesis.checkers.models.models import ModelOptions, check_model
from dynamesis.checkers.verdict import CheckerResult, Verdict
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from oracle_models import Paired, Queues
from oracle_objects import IMPOSSIBLE, UNKNOWN, fits, linearizable, mutex, register, text

from tests.examples import oracle_examples

EXAMPLES = oracle_examples(50)
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
    """The verdict is right, and so is each order of a proof: it is possible, and has all that
    ended before the operation that no order explains."""
    right = linearizable(ops, initial, specification)
    assert (found.verdict is Verdict.INVALID) == (not right), found.reasons
    paired = Paired(ops)
    for anomaly in found.anomalies:
        for each in anomaly.data.get("orders", []):  # type: ignore[attr-defined]
            order = each["order"]
            assert fits(ops, order, initial, specification), order
            last = paired.end[anomaly.data["step"]]  # type: ignore[index]
            ended = {i for i in paired.end if paired.end[i] < last and paired.outcome(i) == "ok"}
            assert ended <= {*order, *impossible(found)}


def impossible(found: CheckerResult) -> set[Any]:
    """Reads that were reported by themselves."""
    return {a.data["step"] for a in found.anomalies if a.name != "nonlinearizable"}


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


def text_begin(what: int, bits: int) -> tuple[str, Any]:
    if what < 6:
        return "get", None
    return "put" if what < 8 else "append", "ab"[bits % 2] * (1 + bits // 2 % 2)


@LENIENT
@given(PROGRAMS)
def test_texts_agree(program) -> None:
    ops = run(program, text_begin, text, "", lambda bits: ["", "a", "ab", "ba"][bits % 4])
    agree(check_kv(History.of(ops)), ops, "", text)


def queue_history(program) -> list[Op]:
    """Values that are drawn come out by the bits, whatever was enqueued."""
    ops: list[Op] = []
    names, waiting = [0, 1, 2, 3], {}
    for slot, what, bits in program:
        process = names[slot]
        if process not in waiting:
            f = "enqueue" if what < 9 else "dequeue" if what < 14 else "drain"
            op = waiting[process] = Op(process=process, f=f, value=bits % 8 if what < 9 else None)
            ops.append(op)
            continue
        op = waiting.pop(process)
        how = {0: "info", 1: "fail"}.get(what, "ok")
        value = op.value
        if how == "ok" and op.f != "enqueue":
            value = None if bits % 9 == 8 else bits % 9
            value = value if op.f == "dequeue" else [bits % 8, bits // 8][: bits % 3]
        ops.append(Op(type=how, process=process, f=op.f, value=value))  # type: ignore[arg-type]
        if how == "info":
            names[slot] += 4
    return ops


@LENIENT
@given(PROGRAMS, st.booleans(), st.booleans())
def test_queues_agree(program, at_least_once: bool, fifo: bool) -> None:
    ops = queue_history(program)
    options = ModelOptions(at_least_once=at_least_once, fifo=fifo)
    found = check_model("queue", History.of(ops), options).counts()
    oracle = Queues(ops)
    strange, lost = oracle.strange(), oracle.surely_lost()
    assert found.get("unexpected", 0) == strange["unexpected"]
    assert found.get("duplicated", 0) == (0 if at_least_once else strange["duplicated"])
    assert found.get("reordered", 0) == (oracle.reordered() if fifo else 0)
    assert (found.get("lost", 0) > 0) == (lost > 0)
