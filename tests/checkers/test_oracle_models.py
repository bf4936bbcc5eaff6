"""set, set-full, counter, bank, long-fork, unique-ids agree with brute force."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from dynamesis.checkers.history.history import History, Op
from dynamesis.checkers.models.models import ModelOptions, check_model
from dynamesis.checkers.verdict import Results, Verdict
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from oracle_models import (
    Sets,
    bank,
    counter,
    first_total,
    has_long_fork,
    impossible_reads,
    repeated,
)

from tests.examples import oracle_examples

EXAMPLES = oracle_examples(50)
pytestmark = pytest.mark.timeout(120 + EXAMPLES // 2)
LENIENT = settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))

#: (process, what to invoke or how to end it, bits to draw values from)
PROGRAMS = st.lists(
    st.tuples(st.integers(0, 2), st.integers(0, 8), st.integers(0, 2**12 - 1)), max_size=20
)
#: (f and value to invoke, from what and bits), (value of an ok, from the operation and bits)
Begin = Callable[[int, int], tuple[str, Any]]
End = Callable[[Op, int], Any]


def run(program, begin: Begin, end: End) -> list[Op]:
    """A history in which each operation begins and ends as the two functions say."""
    ops: list[Op] = []
    waiting: dict[int, Op] = {}
    names = [0, 1, 2]
    for slot, what, bits in program:
        process = names[slot]
        if process not in waiting:
            f, value = begin(what, bits)
            waiting[process] = Op(process=process, f=f, value=value)
            ops.append(waiting[process])
            continue
        op = waiting.pop(process)
        how = {0: "info", 1: "fail"}.get(what, "ok")
        value = end(op, bits) if how == "ok" else op.value
        ops.append(Op(type=how, process=process, f=op.f, value=value))  # type: ignore[arg-type]
        if how == "info":
            names[slot] += 3
    return ops


def judged(model: str, ops: list[Op], **options) -> Results:
    return check_model(model, History.of(ops), ModelOptions(**options))


def set_history(program) -> list[Op]:
    """Elements 0, 1, ... are added; a read shows those whose bits are set, or what is not
    there yet, or one twice."""
    added: list[int] = []

    def begin(what: int, bits: int) -> tuple[str, Any]:
        if what < 5:
            return "read", None
        added.append(len(added))
        return "add", added[-1]

    def end(op: Op, bits: int) -> Any:
        if op.f == "add":
            return op.value
        shown = [e for e in added if bits >> e % 9 & 1]
        return [*shown, len(added)] if bits >> 9 == 1 else shown + shown[:1] * (bits >> 9 == 2)

    return run(program, begin, end)


@LENIENT
@given(PROGRAMS, st.booleans())
def test_sets_agree(program, linearizable: bool) -> None:
    ops = set_history(program)
    oracle = Sets(ops)
    last, full = judged("set", ops), judged("set-full", ops, linearizable=linearizable)
    if not oracle.reads():
        assert (last.verdict, full.verdict.json) == (Verdict.UNKNOWN, "unknown")
        return
    assert last.counts() == oracle.last()
    assert full.counts() == oracle.full(linearizable)


@LENIENT
@given(PROGRAMS)
def test_counter_agrees(program) -> None:
    ops = run(
        program,
        lambda what, bits: ("read", None) if what < 4 else ("add", bits % 7 - 3),
        lambda op, bits: bits % 9 - 4 if op.f == "read" else op.value,
    )
    assert judged("counter", ops).counts().get("out-of-bounds", 0) == counter(ops)


#: units in which amounts are counted: sums of them end beyond 32, 53, 63, 64 and 100 bits
BIG = st.sampled_from([2**31, 2**53 - 1, 2**61, 2**62, 2**63 - 1, 2**63, 2**64 + 1, 10**30])


@LENIENT
@given(PROGRAMS, BIG, st.sampled_from([0, 2**63, 2**64]))
def test_counters_beyond_any_word_agree(program, unit: int, wrapped: int) -> None:
    """Reads show sums, now and then one too few, or as a register of 63 or 64 bits wraps them."""
    ops = run(
        program,
        lambda what, bits: ("read", None) if what < 4 else ("add", (bits % 7 - 3) * unit),
        lambda op, bits: shown(bits, unit, wrapped) if op.f == "read" else op.value,
    )
    assert judged("counter", ops).counts().get("out-of-bounds", 0) == counter(ops)


def shown(bits: int, unit: int, wrapped: int) -> int:
    total = (bits % 9 - 4) * unit - (bits >> 8 & 1)
    return total % wrapped if wrapped else total


@LENIENT
@given(PROGRAMS, st.booleans(), st.booleans())
def test_bank_agrees(program, given_total: bool, may_owe: bool) -> None:
    def balances(_: Op, bits: int) -> dict[str, int | None]:
        moved = bits % 8 - 2
        names = ("a", "b") if bits % 5 else ("a", "c")
        shown: list[int | None] = [3 - moved, 2 + moved + (bits // 64 % 4 == 1)]
        if bits // 256 % 8 == 1:
            shown[0] = None
        return dict(zip(names, shown, strict=True))

    ops = run(program, lambda what, bits: ("read", None), balances)
    first = first_total(ops, {"a", "b"})
    test = {"accounts": ["a", "b"], "negative_balances": may_owe}
    if given_total:
        test["total_amount"] = 5
    found = bank(ops, {"a", "b"}, 5 if given_total else first, may_owe)
    results = judged("bank", ops, test=test)
    assert results.counts() == found
    if not found:
        enough = len([op for op in ops if op.type == "ok"]) > (0 if given_total else 1)
        assert results.verdict.json == (True if enough else "unknown")


@LENIENT
@given(PROGRAMS, BIG)
def test_banks_beyond_any_word_agree(program, unit: int) -> None:
    def balances(_: Op, bits: int) -> dict[str, int]:
        moved = (bits % 8 - 2) * unit
        return {"a": 3 * unit - moved, "b": 2 * unit + moved + (bits // 64 % 4 == 1)}

    ops = run(program, lambda what, bits: ("read", None), balances)
    found = bank(ops, {"a", "b"}, 5 * unit, True)
    options = {"total_amount": 5 * unit, "negative_balances": True}
    assert judged("bank", ops, **options).counts() == found


@LENIENT
@given(PROGRAMS)
def test_long_forks_agree(program) -> None:
    unwritten = list(range(6))

    def begin(what: int, bits: int) -> tuple[str, Any]:
        if what < 4 and unwritten:
            return "txn", [["w", unwritten.pop(0), 1]]
        group = bits % 4
        return "txn", [["r", group + i, None] for i in range(3)]

    def end(op: Op, bits: int) -> Any:
        return [[f, k, 1 if f == "w" or bits >> k & 1 else None] for f, k, _ in op.value]

    ops = run(program, begin, end)
    found = judged("long-fork", ops).counts()
    assert +Counter({name: found[name] for name in found if name != "long-fork"}) == (
        impossible_reads(ops)
    )
    assert ("long-fork" in found) == has_long_fork(ops)


@LENIENT
@given(PROGRAMS)
def test_unique_ids_agree(program) -> None:
    ops = run(program, lambda what, bits: ("generate", None), lambda op, bits: bits % 12)
    assert judged("unique-ids", ops).counts().get("duplicate-ids", 0) == repeated(ops)
