"""list-append and rw-register agree with brute force, model by model."""

from __future__ import annotations

import pytest
from dynamesis.checkers.elle.consistency import forbidden, meaning
from dynamesis.checkers.elle.elle import check_list_append, check_rw_register
from dynamesis.checkers.history.history import History, Op
from dynamesis.checkers.verdict import Verdict
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from oracle_txn import ListAppend, RwRegister

from tests.examples import oracle_examples

EXAMPLES = oracle_examples(50)
pytestmark = pytest.mark.timeout(120 + EXAMPLES // 2)
LENIENT = settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))
#: for what judges each history once for each of some 25 anomalies
QUARTER = settings(LENIENT, max_examples=EXAMPLES // 4)

#: those that forbid all cycles of a family; of others test_oracle_visibility has the axioms
MODELS = (
    "read-uncommitted",
    "read-committed",
    "snapshot-isolation",
    "repeatable-read",
    "serializable",
    "strong-session-serializable",
    "strong-snapshot-isolation",
    "strict-serializable",
)
LEVELS = ("", "-process", "-realtime")
SINGLE = {"internal", "phantom", "G1a", "G1b", "incompatible-order", "duplicate-elements"}
SINGLE |= {"lost-update", "dirty-update", "future-read", "cyclic-versions"}

#: every cycle, on every level, and what is not one
ASKED = (
    *(f + s for f in ("G0", "G1c", "G-single", "G-nonadjacent", "G2-item") for s in LEVELS),
    *("G1", "G2", "G1a", "G1b", "internal", "lost-update", "phantom", "future-read"),
)

#: (process, micro-operations to invoke as (write, key), bits to end it with)
STEP = st.tuples(
    st.integers(0, 2),
    st.lists(st.tuples(st.booleans(), st.integers(0, 1)), min_size=1, max_size=3),
    st.integers(0, 2**12 - 1),
)
PROGRAMS = st.lists(STEP, max_size=12)


def run(program, append: bool) -> list[Op]:
    """Honest state, from which reads show something else now and then."""
    ops: list[Op] = []
    waiting: dict[int, Op] = {}
    names = {slot: slot for slot in range(3)}
    written: dict[int, list[int]] = {0: [], 1: []}
    count = 0
    for slot, mops, bits in program:
        process = names[slot]
        if process not in waiting:
            value = []
            for write, key in mops:
                count += write
                f = ("append" if append else "w") if write else "r"
                value.append([f, key, count if write else None])
                if write:
                    written[key].append(count)
            waiting[process] = Op(process=process, f="txn", value=value)
            ops.append(waiting[process])
            continue
        op = waiting.pop(process)
        end = {0: "info", 1: "fail"}.get(bits % 12, "ok")
        value = [
            [f, key, shown_by(written[key], bits >> 3 * i, append) if f == "r" else v]
            for i, (f, key, v) in enumerate(op.value)
        ]
        done = value if end == "ok" else op.value
        ops.append(Op(type=end, process=process, f="txn", value=done))  # type: ignore[arg-type]
        if end == "info":
            names[slot] = process + 3
    return ops


def shown_by(elements: list[int], bits: int, append: bool):
    """Mostly a prefix of what was begun, or one of the latest values."""
    if not append:
        return (
            None if not elements or bits % 4 == 0 else elements[-1 - bits % min(3, len(elements))]
        )
    shown = elements[: max(0, len(elements) - bits % 4)]
    if bits % 16 == 15:
        shown = shown[::-1]
    if bits % 16 == 14:
        shown = [*shown, 99]
    if bits % 16 == 13:
        shown = [*shown, *shown[:1]]
    return shown


def compare(verdict, illegal: set[str]) -> None:
    if verdict.verdict is Verdict.UNKNOWN:
        assert not illegal or not verdict.details.get("found")
        return
    assert (verdict.verdict is Verdict.INVALID) == bool(illegal), (verdict, illegal)
    found = {a.name for a in verdict.anomalies} & SINGLE
    assert found == illegal & SINGLE, (verdict, illegal)


@LENIENT
@given(PROGRAMS)
def test_list_append_agrees_with_brute_force(program) -> None:
    ops = run(program, append=True)
    findings = ListAppend(ops).findings()
    history = History.of(ops)
    for model in MODELS:
        compare(check_list_append(history, [model]), findings & forbidden([model]))


@QUARTER
@given(PROGRAMS)
def test_what_is_asked_for_of_list_append_is_found_beside_what_is_stronger(program) -> None:
    ops = run(program, append=True)
    findings = ListAppend(ops).findings()
    history = History.of(ops)
    for anomaly in ASKED:
        verdict = check_list_append(history, (), [anomaly])
        compare(verdict, findings & meaning([anomaly]))


#: model -> what it implies of the order of versions: wfr, by process, by real time
IMPLIED = {
    "read-uncommitted": (False, "", ""),
    "strong-session-read-uncommitted": (False, "writes", ""),
    "strong-session-read-committed": (True, "onto", ""),
    "strong-read-committed": (True, "onto", "onto"),
    "strong-session-serializable": (True, "all", ""),
    "strong-snapshot-isolation": (True, "all", "all"),
    "strict-serializable": (True, "all", "all"),
}


def found_by(oracle: RwRegister, illegal: frozenset[str]) -> set[str]:
    """The findings that are illegal: a read that does not repeat is `internal` where that is."""
    found = oracle.findings()
    if "internal" not in illegal:
        found |= oracle.unrepeatable()
    return found & illegal


@LENIENT
@given(PROGRAMS, st.sets(st.sampled_from(["wfr", "sequential", "linearizable"])))
def test_rw_register_agrees_with_brute_force(program, assume: set[str]) -> None:
    ops = run(program, append=False)
    history = History.of(ops)
    for model in {*MODELS, *IMPLIED}:
        implied = IMPLIED.get(model, (True, "", ""))
        oracle = RwRegister(ops, tuple(assume), *implied)
        illegal = found_by(oracle, forbidden([model]))
        verdict = check_rw_register(history, [model], (), tuple(assume))
        if oracle.implied_cyclic:
            assert verdict.verdict is Verdict.INVALID, (model, verdict)
        else:
            compare(verdict, illegal)


@QUARTER
@given(PROGRAMS, st.sets(st.sampled_from(["wfr", "sequential", "linearizable"])))
def test_what_is_asked_for_of_registers_is_found(program, assume: set[str]) -> None:
    ops = run(program, append=False)
    oracle = RwRegister(ops, tuple(assume))
    history = History.of(ops)
    for anomaly in (*ASKED, "cyclic-versions"):
        verdict = check_rw_register(history, (), [anomaly], tuple(assume))
        compare(verdict, found_by(oracle, meaning([anomaly])))
