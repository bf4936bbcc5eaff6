"""The checkers and the brute-force oracle agree on small random histories."""

from __future__ import annotations

from random import Random

import pytest
from dynamesis.checkers.graph.run import Run
from dynamesis.checkers.history.history import History, Op
from dynamesis.checkers.history.wellformed import first_problem
from dynamesis.checkers.models.dynamo import CHECKERS
from dynamesis.checkers.models.linearizable_register import check_register
from dynamesis.checkers.simulate.simulate import FAULTS, Store
from dynamesis.checkers.simulate.simulate import TEST as SIMULATED
from dynamesis.checkers.verdict import Verdict
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from oracle import Dynamo, linearizable
from programs import PRIMARIES, PROGRAMS, TEST, run

from tests.examples import oracle_examples

#: some tens in CI; the nightly environment asks for tens of thousands
EXAMPLES = oracle_examples(60)
pytestmark = pytest.mark.timeout(120 + EXAMPLES // 2)
LENIENT = settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))


def found_by_checkers(ops: list[Op], test) -> set[tuple[str, str | None]]:
    history = History.of(ops)
    assert first_problem(history) is None
    shared = Run(history, test)
    return {
        (anomaly.name, anomaly.key)
        for name in ("reads", "final", "replicas")
        for anomaly in CHECKERS[name](shared).anomalies
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


@LENIENT
@given(PROGRAMS, st.sampled_from([True, False, None]), st.sampled_from([None, True, False]))
def test_a_cluster_that_may_not_be_quiet_agrees(program, quiet, dumped) -> None:
    """`quiet`: the history's entry, if any; `dumped`: whether every node was dumped whole, if the
    history has it."""
    ops = run(program)
    [quiesce] = [op for op in ops if op.f == "quiesce"]
    quiesce.f, quiesce.value = (
        ("quiesce", {"quiet": quiet}) if quiet is not None else ("note", None)
    )
    if dumped is not None:
        ops.append(Op(type="info", f="dumped", value={"n1": True, "n2": dumped}))
    oracle = Dynamo(ops, PRIMARIES)
    history = History.of(ops)
    shared = Run(history, TEST)
    verdicts = {name: CHECKERS[name](shared) for name in ("stuck", "final", "replicas")}
    found = {(a.name, a.key) for v in verdicts.values() for a in v.anomalies}
    if quiet is None:
        assert {v.verdict.json for v in verdicts.values()} == {"unknown"}
    elif quiet:
        assert found == oracle.at_the_end() | oracle.of_replicas()
    else:
        assert found == oracle.unquiet()
        assert verdicts["replicas"].skipped is not None


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


def stale_register(seed: int, lag: int, clients: int, events: int) -> list[Op]:
    """A register whose reads see one of the last `lag` writes that had come to an end."""
    draw = Random(seed)
    ops: list[Op] = []
    waiting: dict[int, Op] = {}
    done: list[int | None] = [None]
    for number in range(events):
        process = draw.randrange(clients)
        if process in waiting:
            op = waiting.pop(process)
            if op.f == "write":
                done.append(op.value)
            value = op.value if op.f == "write" else draw.choice(done[-lag:])
            ops.append(Op(type="ok", process=process, f=op.f, key="x", value=value))
        else:
            write = draw.random() < 0.5
            op = Op(process=process, f="write" if write else "read", key="x")
            op.value = number if write else None
            waiting[process] = op
            ops.append(op)
    return ops


STALE = st.builds(
    stale_register, st.integers(0, 2**32), st.integers(2, 4), st.integers(2, 4), st.integers(8, 18)
)


@LENIENT
@given(st.one_of(REGISTER.map(register_history), STALE, STALE, STALE))
def test_the_distance_of_a_register_agrees_with_trying_all_orders(ops: list[Op]) -> None:
    distance = check_register(History.of(ops)).details.get("distance")
    if distance is None:
        return
    measured = distance["x"]
    smallest = next((k for k in range(2, len(ops) + 1) if linearizable(ops, k)), None)
    if smallest is None:
        assert measured == {"delta_ms": None, "k": None}
        return
    assert measured.get("k") == (2 if smallest == 2 else None)
    assert measured.get("k_at_least", 2) <= smallest
    shifts = [steps for steps in range(len(ops) + 1) if linearizable(ops, 1, steps)]
    assert measured["delta_ms"] == shifts[0]


@LENIENT
@given(REGISTER)
def test_register_zones_agree_with_trying_all_orders(program) -> None:
    ops = register_history(program)
    verdict = check_register(History.of(ops))
    if verdict.verdict is Verdict.UNKNOWN:
        reads = [op.value for op in ops if op.type == "ok" and op.f == "read"]
        written = any(op.type == "ok" and op.f == "write" for op in ops)
        assert not reads or not (written or any(value is not None for value in reads))
    else:
        assert verdict.verdict.json is linearizable(ops)


@LENIENT
@given(REGISTER, st.integers(-2, -1))
def test_registers_that_begin_with_a_value_agree(program, initial: int) -> None:
    """Reads of nothing show -1, which is right only where registers begin with it."""
    ops = register_history(program)
    for op in ops:
        if op.type == "ok" and op.f == "read" and op.value is None:
            op.value = -1
    verdict = check_register(History.of(ops), initial)
    if verdict.verdict is not Verdict.UNKNOWN:
        assert verdict.verdict.json is linearizable(ops, initial=initial)
