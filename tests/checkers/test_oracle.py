"""The checkers and the brute-force oracle agree on small random histories."""

from __future__ import annotations

import os

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from oracle import Dynamo, linearizable
from programs import PRIMARIES, PROGRAMS, TEST, run

from checkers.causality import causality
from checkers.course import course
from checkers.dynamo import CHECKERS
from checkers.history import History, Op
from checkers.register import check_register
from checkers.simulate import FAULTS, Store
from checkers.simulate import TEST as SIMULATED
from checkers.wellformed import first_problem

#: a few hundred in CI; the nightly environment asks for tens of thousands
EXAMPLES = int(os.environ.get("ORACLE_EXAMPLES", "300"))
pytestmark = pytest.mark.timeout(120 + EXAMPLES // 2)
LENIENT = settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))


def found_by_checkers(ops: list[Op], test) -> set[tuple[str, str | None]]:
    history = History.of(ops)
    assert first_problem(history) is None
    order, told = causality(history), course(history)
    return {
        (anomaly.name, anomaly.key)
        for name in ("reads", "final", "replicas")
        for anomaly in CHECKERS[name](order, told, test).anomalies
    }


@LENIENT
@given(PROGRAMS)
@example(([], [(0, 0)] * 8, False))
def test_dynamo_agrees_on_any_history(program) -> None:
    ops = run(program)
    assert found_by_checkers(ops, TEST) == Dynamo(ops, PRIMARIES).findings()


@LENIENT
@given(st.integers(0, 2**32), st.sampled_from([None, *FAULTS]), st.integers(5, 40))
def test_dynamo_agrees_on_simulated_stores(seed: int, fault: str | None, operations: int) -> None:
    ops = list(Store(seed, operations, keys=2, clients=4, fault=fault).ops())
    primaries = dict.fromkeys(("k0", "k1"), ("n1", "n2", "n3"))
    found = found_by_checkers(ops, SIMULATED)
    assert found == Dynamo(ops, primaries).findings()
    assert fault is not None or not found


#: (process, write, what): which operation to invoke, or how to end the open one
REGISTER = st.lists(st.tuples(st.integers(0, 3), st.booleans(), st.integers(0, 7)), max_size=16)


def register_history(program) -> list[Op]:
    ops: list[Op] = []
    waiting: dict[int, Op] = {}
    names = dict(enumerate(range(4)))
    written = 0
    for slot, write, what in program:
        process = names[slot]
        if process not in waiting:
            written += write
            op = Op(process=process, f="write" if write else "read", key="x")
            op.value = written if write else None
            waiting[process] = op
            ops.append(op)
            continue
        op = waiting.pop(process)
        end = {0: "info", 1: "fail"}.get(what, "ok")
        value = op.value if op.f == "write" else (what - 2) or None
        ops.append(Op(type=end, process=process, f=op.f, key="x", value=value))  # type: ignore[arg-type]
        if end == "info":
            names[slot] = process + 4
    return ops


@LENIENT
@given(REGISTER)
def test_register_zones_agree_with_trying_all_orders(program) -> None:
    ops = register_history(program)
    verdict = check_register(History.of(ops))
    if verdict.valid == "unknown":
        assert not any(op.type == "ok" and op.f == "read" for op in ops)
    else:
        assert verdict.valid is linearizable(ops)
