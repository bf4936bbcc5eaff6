"""Histories of contextless workloads that must not be valid by accident."""

import pytest
from dynamesis.checkers.evidence.figures import figures
from dynamesis.checkers.graph.run import Run
from dynamesis.checkers.history.history import History
from dynamesis.checkers.history.op import OpError
from dynamesis.checkers.verdict import Verdict
from dynamesis.workloads.plain import PLAIN
from msgspec.structs import replace
from plain_play import judge, metadata, play
from plain_stores import RIGHT, Registers

KINDS = [(name, f) for name, workload in PLAIN.items() for f in workload.operations]


@pytest.mark.parametrize(("name", "f"), KINDS)
def test_a_kind_of_operation_that_never_succeeded(name, f):
    results = judge(name, play(name, RIGHT[name](1, dead=(f,))))
    assert results.verdict is Verdict.UNKNOWN
    assert any(f"{f} was tried" in reason for reason in results.reasons()), results.reasons()


def test_compare_and_sets_that_never_match_prove_nothing():
    results = judge("register", play("register", Registers(1, dead=("cas",))))
    assert results.verdict is Verdict.UNKNOWN
    refused = [
        replace(op, error=OpError("cas-mismatch", True)) if op.f == "cas" and op.error else op
        for op in play("register", Registers(1, dead=("cas",)))
    ]
    assert judge("register", refused).verdict is Verdict.UNKNOWN


def after_the_fault(history, f, code):
    """The history, where all f that succeed do so before the fault began, by the order of events:
    those after it are refused with this code."""
    start = next(op.index for op in history if op.f == "start-kill")
    middle = next(op.index for op in history[start:] if op.index > len(history) // 2)
    moved = [op for op in history if op.f in ("start-kill", "evidence")]
    rest = [op for op in history if op.f not in ("start-kill", "evidence")]
    before = [op for op in rest if op.index < middle]
    late = [
        replace(op, type="fail", value=None, error=OpError(code, True))
        if op.f == f and op.type != "invoke"
        else op
        for op in rest
        if op.index >= middle
    ]
    time = before[-1].time
    events = [*before, *(replace(op, time=time) for op in moved), *late]
    return [replace(op, index=index) for index, op in enumerate(events)]


def test_a_condition_that_never_held_after_the_fault_is_an_answer():
    history = play("register", Registers(1, down=0.0))
    reads = [op for op in history if op.f != "cas" or op.type == "invoke" or op.index]
    refused = after_the_fault(reads, "cas", "cas-mismatch")
    assert not any("cas never succeeded" in r for r in judge("register", refused).reasons())
    gone = after_the_fault(reads, "cas", "unavailable")
    assert any("cas never succeeded once" in r for r in judge("register", gone).reasons())


@pytest.mark.parametrize("name", [n for n, w in PLAIN.items() if w.promises()["final"]])
def test_without_final_reads_nothing_is_valid(name):
    results = judge(name, play(name, RIGHT[name](1), final=False))
    assert results.verdict is Verdict.UNKNOWN
    assert any("no final reads" in reason for reason in results.reasons())


def test_ids_need_no_final_reads():
    assert judge("unique-ids", play("unique-ids", RIGHT["unique-ids"](1))).verdict is Verdict.VALID


@pytest.mark.parametrize("name", [n for n, w in PLAIN.items() if w.promises()["final"]])
def test_one_final_read_that_did_not_come_back(name):
    history = play(name, RIGHT[name](1))
    final_row = next(op.index for op in history if op.f == "phase" and op.value == "final")
    first = next(op for op in history[final_row:] if op.type == "invoke")
    lost = [
        replace(op, type="fail", value=None, error=OpError("timeout", True))
        if op.index > final_row and op.type == "ok" and asked(history, op) == asked(history, first)
        else op
        for op in history
    ]
    results = judge(name, lost)
    assert results.verdict is Verdict.UNKNOWN
    came = ("final read did not come back", "final reads did not come back")
    assert any(text in r for r in results.reasons() for text in came), results.reasons()


def asked(history, op):
    """What the operation that ends in `op`, or begins with it, asks for."""
    same = [o for o in history if o.process == op.process and o.type == "invoke"]
    begun = max((o for o in same if o.index <= op.index), key=lambda o: o.index)
    keys = [mop[1] for mop in begun.value] if begun.f == "txn" else None
    return begun.f, begun.key, keys


@pytest.mark.parametrize("name", PLAIN)
def test_a_test_that_is_too_small_is_unknown(name):
    results = judge(name, play(name, RIGHT[name](1), seconds=0.2))
    assert results.verdict is Verdict.UNKNOWN
    assert any("too little was acknowledged" in reason for reason in results.reasons())


def counted(name, **options):
    history = play(name, RIGHT[name](1, down=0.0), **options)
    return history, figures(Run(History.of(history), metadata(name, **options)))


def test_a_transaction_that_only_reads_is_not_a_write():
    for name in ("append", "rw", "long-fork"):
        history, found = counted(name)
        final_row = next(op.index for op in history if op.f == "phase" and op.value == "heal")
        wrote = [op for op in history[:final_row] if op.type == "invoke" and op.f == "txn"
                 and any(mop[0] != "r" for mop in op.value)]  # fmt: skip
        assert found["writes"] == len(wrote) < found["acknowledged"]


@pytest.mark.parametrize("name", [n for n, w in PLAIN.items() if w.operations != ("txn",)])
def test_what_counts_as_a_write(name):
    history, found = counted(name)
    heal = next(op.index for op in history if op.f == "phase" and op.value == "heal")
    ok = [op for op in history[:heal] if op.type == "ok" and op.f != "read"]
    assert found["writes"] == len(ok) > 20


def test_only_reads_in_transactions_are_too_little():
    results = judge("append", play("append", RIGHT["append"](1), reads=1.0), reads=1.0)
    assert results.verdict is Verdict.UNKNOWN
    assert any("0 of them writes" in reason for reason in results.reasons())
