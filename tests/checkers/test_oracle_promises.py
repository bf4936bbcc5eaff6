"""Coverage, carts, lww, cycles, membership and bounds agree with brute force."""

from __future__ import annotations

import pytest
from dynamesis.checkers.graph.run import Run
from dynamesis.checkers.history.history import History, Op
from dynamesis.checkers.models.dynamo import CHECKERS
from dynamesis.checkers.simulate.simulate import FAULTS, Store
from dynamesis.checkers.verdict import CheckerResult, Verdict
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from oracle_promises import SESSIONS, LastWins, Promises
from programs import PRIMARIES, PROGRAMS, TEST, run

from tests.examples import oracle_examples

EXAMPLES = oracle_examples(50)
pytestmark = pytest.mark.timeout(120 + EXAMPLES // 2)
LENIENT = settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))
STRICT = {**TEST, "r": 2, "w": 1, "sloppy": False, "promises": list(SESSIONS)}
BOUNDS = {"siblings": 2, "hints": 3}


def verdict(name: str, ops: list[Op], test) -> CheckerResult:
    history = History.of(ops)
    return CHECKERS[name](Run(history, test))


def named(result: CheckerResult) -> set[tuple[str, str | None]]:
    return {(anomaly.name, anomaly.key) for anomaly in result.anomalies}


def compare_coverage(ops: list[Op], primaries, oracle=Promises, **more) -> None:
    found, counts, k = oracle(ops, primaries).coverage()
    result = verdict("coverage", ops, {**STRICT, **more})
    assert named(result) == found
    assert result.counts() == result.details["counts"] == counts
    assert verdict("staleness", ops, {**STRICT, **more}).details["k"] == k


@LENIENT
@given(PROGRAMS)
def test_coverage_agrees_on_any_history(program) -> None:
    compare_coverage(run(program), PRIMARIES)


@LENIENT
@given(st.integers(0, 2**32), st.sampled_from([None, *FAULTS]), st.integers(5, 40))
def test_coverage_agrees_on_simulated_stores(seed: int, fault: str | None, operations: int) -> None:
    compare_coverage(list(Store(seed, operations, keys=2, clients=4, fault=fault).ops()), None)


@LENIENT
@given(PROGRAMS)
def test_causal_cycles_agree(program) -> None:
    ops = run(program)
    assert (verdict("order", ops, TEST).verdict is Verdict.INVALID) == Promises(
        ops, PRIMARIES
    ).has_cycle()


def as_cart(value: int | None):
    """A small number as a cart, so that carts overlap."""
    if value is None:
        return None
    did = "remove" if value % 3 == 1 else "add"
    return {did: f"i{value // 3}", "items": [f"i{value}", f"i{value // 2}"]}


@LENIENT
@given(PROGRAMS)
def test_cart_agrees(program) -> None:
    ops = run(program)
    for op in ops:
        if op.f in ("put", "delete"):
            op.value = as_cart(op.value)
        for sibling in op.siblings or []:
            if not isinstance(sibling.value, dict):
                sibling.value = as_cart(sibling.value or 0)
    result = verdict("cart", ops, {**TEST, "workload": "cart"})
    oracle = Promises(ops, PRIMARIES)
    assert named(result) == oracle.cart()
    assert result.details["removed_items_back_by_merge"] == oracle.returned()


STAMPS = st.lists(st.integers(0, 4), min_size=30, max_size=30)


def stamped(program, stamps: list[int]) -> list[Op]:
    """Runs a program on a store that reports the timestamps of some of its writes."""
    ops = run(program)
    done = [op for op in ops if op.type == "ok" and op.f in ("put", "delete")]
    for op, stamp in zip(done, stamps, strict=False):
        op.worth = {"timestamp": stamp} if stamp else None
    return ops


@LENIENT
@given(PROGRAMS, STAMPS)
def test_coverage_agrees_where_the_last_writer_wins(program, stamps: list[int]) -> None:
    compare_coverage(stamped(program, stamps), PRIMARIES, LastWins, reconcile="lww")


@LENIENT
@given(PROGRAMS, STAMPS, st.sampled_from([None, 0, 3e-6, 9e-6]))
def test_lww_agrees(program, stamps: list[int], reap: float | None) -> None:
    ops = stamped(program, stamps)
    result = verdict("final", ops, {**TEST, "reconcile": "lww", "reap": reap})
    oracle = Promises(ops, PRIMARIES)
    assert named(result) == oracle.lww(reap)
    assert result.details["acknowledged_writes_discarded"] == oracle.discarded()


#: (node, hints kept, handed off, given up, held), one entry a status request
HINTS = st.lists(st.tuples(*[st.integers(0, 3)] * 5), max_size=4)


@LENIENT
@given(PROGRAMS, HINTS)
def test_hints_agree(program, result) -> None:
    ops = run(program)
    for node, *counts in result:
        names = ("kept", "handed_off", "given_up", "held")
        value = {f"hints_{name}": count for name, count in zip(names, counts, strict=True)}
        ops.append(Op(type="info", f="sizes", value={"node": f"n{node}", **value}))
    found = [anomaly.data["node"] for anomaly in verdict("hints", ops, TEST).anomalies]
    assert set(found) == Promises(ops, PRIMARIES).without_account()
    assert len(found) == len(set(found))


#: (node's view of the members, of the owners, a size it reports), of nodes asked after the end
ASKED = st.lists(st.tuples(st.integers(0, 2), st.integers(0, 2), st.integers(0, 5)), max_size=4)


@LENIENT
@given(PROGRAMS, ASKED)
def test_membership_and_bounds_agree(program, asked) -> None:
    ops = run(program)
    members = (["n1", "n2"], ["n2", "n1"], ["n1"])
    for number, (view, owners, size) in enumerate(asked):
        value = {"node": f"n{number}", "members": members[view], "owners": [owners // 2]}
        ops.append(Op(type="info", f="membership", value=value))
        ops.append(Op(type="info", f="sizes", value={"node": f"n{number}", "hints": size}))
    oracle = Promises(ops, PRIMARIES)
    assert (verdict("membership", ops, TEST).verdict is Verdict.INVALID) == oracle.is_split()
    assert named(verdict("bounds", ops, {**TEST, "bounds": BOUNDS})) == oracle.unbounded(BOUNDS)
