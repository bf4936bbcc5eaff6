"""What a model does not understand is never ignored and never valid: fs, values, processes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from dynamesis.checkers.formats.io import read_any
from dynamesis.checkers.history.exact import parse_number
from dynamesis.checkers.history.history import Op
from dynamesis.checkers.models.dynamo import check
from dynamesis.checkers.models.models import MODELS, ModelOptions, check_model
from dynamesis.checkers.models.operations import FS
from dynamesis.checkers.verdict import Verdict
from test_jepsen_models import add, done, history, judged, read

MOVED = {"from": "a", "to": "b", "amount": 1}

#: model -> events that are valid, and options
GOOD: dict[str, tuple[list, dict[str, Any]]] = {
    "list-append": (
        [
            *done(0, "txn", [["append", "x", 1]]),
            *done(1, "txn", [["r", "x", None]], seen=[["r", "x", [1]]]),
        ],
        {},
    ),
    "rw-register": (
        [
            *done(0, "txn", [["w", "x", 1]]),
            *done(1, "txn", [["r", "x", None]], seen=[["r", "x", 1]]),
        ],
        {"consistency_models": ("serializable",)},
    ),
    "register": ([*done(0, "write", 1), *done(1, "read", seen=1)], {}),
    "cas-register": ([*done(0, "write", 1), *done(1, "cas", [1, 2]), *done(1, "read", seen=2)], {}),
    "kv": ([*done(0, "append", "a"), *done(1, "get", seen="a")], {}),
    "mutex": ([*done(0, "acquire"), *done(0, "release")], {}),
    "queue": ([*done(0, "enqueue", 1), *done(1, "dequeue", seen=1)], {}),
    "set": ([*add(1), *read(1)], {}),
    "set-full": ([*add(1), *read(1)], {}),
    "counter": ([*add(1), *done(1, "read", seen=1)], {}),
    "bank": (
        [*done(1, "read", seen={"a": 3}), *done(0, "transfer", MOVED)],
        {"total_amount": 3},
    ),
    "long-fork": (
        [
            *done(0, "txn", [["w", "x", 1]]),
            *done(1, "txn", [["r", "x", None], ["r", "y", None]],
                  seen=[["r", "x", 1], ["r", "y", None]]),
        ],
        {},
    ),
    "unique-ids": (done(0, "generate", seen=1), {}),
    "echo": (done(0, "echo", "a", seen="a"), {}),
}  # fmt: skip


def test_every_model_declares_its_fs() -> None:
    assert set(FS) == set(MODELS) == {*GOOD, "dynamo"}


@pytest.mark.parametrize("model", GOOD)
def test_the_histories_below_are_valid_before_they_are_made_odd(model: str) -> None:
    events, options = GOOD[model]
    results = judged(model, *events, **options)
    assert (results.verdict, results.reasons()) == (Verdict.VALID, ())


@pytest.mark.parametrize("model", GOOD)
@pytest.mark.parametrize("end", ["ok", "fail", "info"])
@pytest.mark.parametrize("value", [None, [], 1, [["w", "z", 1]]])
def test_an_unknown_f_is_never_ignored(model: str, end: str, value: Any) -> None:
    events, options = GOOD[model]
    odd = done(7, "compact", value, end)
    for where in (0, len(events)):
        results = judged(model, *events[:where], *odd, *events[where:], **options)
        assert results.verdict is Verdict.UNKNOWN
        [reason] = results.reasons()
        assert f"index {where}, field f" in reason
        assert "and not compact (1 operation)" in reason


@pytest.mark.parametrize("model", GOOD)
def test_an_operation_without_f_is_not_ignored(model: str) -> None:
    events, options = GOOD[model]
    if "" not in FS[model]:
        results = judged(model, *events, *done(7, "", 1), **options)
        assert results.verdict is Verdict.UNKNOWN
        assert "and not none" in results.reasons()[0]


def test_nor_is_it_in_a_test_of_our_own() -> None:
    put = [
        Op(process=0, f="put", key="k", id="0.1", value=1, basis=None),
        Op(process=0, f="put", type="ok"),
        Op(process=1, f="cas", key="k"),
    ]
    for results in (check(history_of(put)), check_model("dynamo", history_of(put))):
        assert results.verdict is Verdict.UNKNOWN
        assert results.reasons() == (
            "index 2, field f: model dynamo knows delete, dump, get, put, and not cas "
            "(1 operation), which may have done anything",
        )


def history_of(ops: list[Op]) -> Any:
    return history().of(ops)


@pytest.mark.parametrize("model", GOOD)
def test_events_of_nemesis_and_harness_are_not_operations(model: str) -> None:
    events, options = GOOD[model]
    others = [("nemesis", "info", "start-odd"), ("harness", "info", "phase", "main")]
    assert judged(model, *others, *events, *others, **options).verdict is Verdict.VALID


@pytest.mark.parametrize("model", GOOD)
def test_a_client_with_a_name_is_not_ignored(model: str) -> None:
    """An acknowledged add of such a client, say, would be missed in no read."""
    events, options = GOOD[model]
    named = [("bob", *event[1:]) for event in events[:2]]
    results = judged(model, *events, *named, **options)
    assert results.verdict is Verdict.UNKNOWN
    assert f"index {len(events)}, field process" in results.reasons()[0]
    assert "got bob" in results.reasons()[0]


def test_many_unknown_fs_are_counted() -> None:
    odd = [event for i in range(15) for event in done(2, f"f{i}")]
    reasons = judged("set", *add(1), *read(1), *odd).reasons()
    assert len(reasons) == 11
    assert reasons[-1] == "and 5 more of that kind"


def ended(events: list, end: str) -> list:
    """The same operations, of which none succeeded: each client then has a number of its own."""
    return [
        (10 * i + event[0] if end == "info" else event[0], *rest)
        for i in range(0, len(events), 2)
        for event, rest in (
            (events[i], events[i][1:]),
            (events[i + 1], (end, *events[i + 1][2:])),
        )
    ]


@pytest.mark.parametrize("model", GOOD)
@pytest.mark.parametrize("end", ["fail", "info"])
def test_where_nothing_succeeded_nothing_is_valid(model: str, end: str) -> None:
    events, options = GOOD[model]
    results = judged(model, *ended(events, end), **options)
    assert (results.verdict, results.counts()) == (Verdict.UNKNOWN, {})
    assert results.reasons()


@pytest.mark.parametrize("model", GOOD)
def test_what_never_ended_does_not_count_as_evidence(model: str) -> None:
    events, options = GOOD[model]
    begun = [(10 * i, *event[1:]) for i, event in enumerate(events) if event[1] == "invoke"]
    results = judged(model, *begun, **options)
    assert (results.verdict, results.counts()) == (Verdict.UNKNOWN, {})


@pytest.mark.parametrize(
    "model", ["register", "cas-register", "set", "set-full", "counter", "long-fork", "queue"]
)
def test_reads_without_a_write_and_writes_without_a_read_do_not_count_as_evidence(
    model: str,
) -> None:
    events, options = GOOD[model]
    nothing = {"register": None, "set": [], "set-full": [], "counter": 0}.get(model)
    lone = done(1, "read", seen=nothing) if model != "long-fork" else done(
        1, "txn", [["r", "x", None], ["r", "y", None]]
    )  # fmt: skip
    for history_ in (events[:2], lone, [*ended(events[:2], "fail"), *lone]):
        results = judged(model, *history_, **options)
        assert (results.verdict, results.counts()) == (Verdict.UNKNOWN, {}), history_


#: (model, operations added to a valid history, part of the reason)
ODD: list[tuple[str, list, str]] = [
    ("set", done(1, "read", seen={"a": 1}), 'the list of elements read, got {"a":1}'),
    ("set", done(1, "read", seen="abc"), 'the list of elements read, got "abc"'),
    ("set", done(1, "read"), "index 5, field value: expected the list of elements read, got null"),
    ("set", add(None), "index 4, field value: expected an element to add, got none"),
    ("set", done(0, "add", 2, seen=3), "index 5, field value: expected 2, as in the invocation"),
    ("set-full", done(1, "read", seen=True), "expected the list of elements read, got true"),
    ("set-full", add(1), "index 4, field value: 1 is added twice"),
    ("counter", add("1"), 'index 4, field value: expected a number to add, got "1"'),
    ("counter", add("x", "fail"), 'index 4, field value: expected a number to add, got "x"'),
    ("counter", add(False), "expected a number to add, got false"),
    ("counter", add(None), "expected a number to add, got null"),
    ("counter", add([1, 2, 3]), "expected a number to add, got [1,2,3]"),
    ("counter", done(1, "read"), "index 5, field value: expected a number as the sum read, got n"),
    ("counter", done(1, "read", seen="1"), 'expected a number as the sum read, got "1"'),
    ("counter", done(1, "read", seen=True), "expected a number as the sum read, got true"),
    ("counter", done(0, "add", 2, seen=3), "index 5, field value: expected 2, as in the"),
    ("bank", done(1, "read"), "index 5, field value: expected balances by account, got null"),
    ("bank", done(1, "read", seen=[3]), "expected balances by account, got [3]"),
    ("bank", done(1, "read", seen={}), "expected balances by account, got {}"),
    ("bank", done(1, "read", seen={"a": "3"}), 'as the balance of "a", got "3"'),
    ("bank", done(1, "read", seen={"a": True}), 'as the balance of "a", got true'),
    ("bank", done(1, "read", seen={"a": [3]}), 'as the balance of "a", got [3]'),
    ("bank", done(1, "transfer"), "expected from, to and amount, got null"),
    ("bank", done(1, "transfer", {"from": 1, "amount": 1}), "index 4, field value.to: expected"),
    ("bank", done(1, "transfer", {"from": 1, "to": 2}), "field value.amount: expected a value"),
    ("bank", done(1, "transfer", {**MOVED, "amount": "9"}), 'expected a number, got "9"'),
    ("unique-ids", done(1, "generate"), "index 3, field value: expected an id, got none"),
    ("cas-register", done(0, "cas", 3), "index 7, field value: expected [from, to]"),
    ("cas-register", done(0, "cas", [1, 2, 3]), "expected [from, to] of a cas, got [1,2,3]"),
    ("cas-register", done(0, "cas", None, "info"), "index 6, field value: expected [from, to]"),
    ("cas-register", done(0, "write", 2, seen=3), "index 7, field value: expected 2, as in"),
    ("kv", done(1, "get", seen=5), "index 5, field value: expected text, got 5"),
    ("kv", done(0, "put", ["a"]), "expected text, got [\"a\"]"),
    ("queue", done(0, "enqueue", None), "index 4, field value: expected a value to enqueue"),
    ("queue", done(1, "drain", seen=5), "expected the list of values drained, got 5"),
    ("queue", done(1, "drain"), "expected the list of values drained, got null"),
    ("queue", done(0, "enqueue", 2, seen=3), "index 5, field value: expected 2, as in"),
    ("register", done(0, "write", None), "which is the initial value"),
    ("register", done(0, "write", 2, seen=3), "index 5, field value: expected 2, as in"),
    ("long-fork", done(0, "txn", [["w", "z", 1], ["w", "u", 1]]), "expected one write, or reads"),
    ("long-fork", done(0, "txn", [["w", "z", 1], ["r", "x", 1]]), "expected one write, or reads"),
    ("long-fork", done(0, "txn", [["r", "x", 1], ["r", "x", 1]]), "keys once each"),
]  # fmt: skip


@pytest.mark.parametrize(("model", "events", "why"), ODD)
def test_an_odd_value_is_never_ignored(model: str, events: list, why: str) -> None:
    good, options = GOOD[model]
    results = judged(model, *good, *events, **options)
    assert (results.verdict, results.counts()) == (Verdict.UNKNOWN, {})
    assert any(why in reason for reason in results.reasons()), results.reasons()


def test_what_else_is_wrong_is_found_beside_an_odd_value() -> None:
    assert judged("set", *done(1, "read", seen=7), *add(1), *read()).verdict is Verdict.INVALID
    odd = done(1, "read", seen={"a": "x"})
    assert (
        judged("bank", *odd, *done(1, "read", seen={"a": 4}), total_amount=3).verdict
        is Verdict.INVALID
    )
    assert (
        judged("counter", *add(1), *done(1, "read"), *done(1, "read", seen=3)).verdict
        is Verdict.INVALID
    )


@pytest.mark.parametrize("test", [{"accounts": "a"}, {"total_amount": "3"}, {"total_amount": True}])
def test_a_test_json_that_differs_about_a_bank(test: dict[str, Any]) -> None:
    reads = [*done(1, "read", seen={"a": 3}), *done(1, "read", seen={"a": 3})]
    results = judged("bank", *reads, test=test)
    assert results.verdict is Verdict.UNKNOWN
    assert "expected a" in results.reasons()[0]


def test_a_lone_read_without_a_total_proves_nothing() -> None:
    lone = done(1, "read", seen={"a": 3})
    assert judged("bank", *lone).verdict is Verdict.UNKNOWN
    assert judged("bank", *lone, total_amount=3).verdict is Verdict.VALID
    assert judged("bank", *lone, *lone).verdict is Verdict.VALID


def test_a_read_without_a_balance_gives_no_total() -> None:
    reads = [{"a": None, "b": 10}, {"a": 5, "b": 10}, {"a": 7, "b": 8}]
    events = [event for balances in reads for event in done(1, "read", seen=balances)]
    assert judged("bank", *events).counts() == {"nil-balance": 1}


def spelled(tmp_path: Path, model: str, *values: str, **options: Any) -> Any:
    """The verdict on a counter or bank of one account: an add (or none) and reads, as JSON."""
    amounts, reads = values[:-1], values[-1:]
    lines = [
        f'{{"type":"{end}","process":0,"f":"{f}","value":{value}}}'
        for f, given in (("add", amounts), ("read", reads))
        for value in given
        for end in ("invoke", "ok")
    ]
    path = tmp_path / "history.json"
    path.write_text("\n".join(lines) + "\n")
    return check_model(model, read_any(path), ModelOptions(**options))


@pytest.mark.parametrize(
    ("values", "valid"),
    [
        (("0.1", "0.2", "0.3"), True),
        (("0.1", "0.2", "0.30000000000000004"), "unknown"),
        (("0.1", "0.2", "0.31"), False),
        (("1e16", "1.0", "10000000000000001"), True),
        (("1e300", "1e300", "2e300"), True),
        (("1e308", "1e308", "1e308"), False),
        (("1e999", "1e999"), True),
        (("1e99999", "1e99999"), "unknown"),
        (("-0.0", "0"), True),
        (("1" * 1000, "1" * 1000), True),
        (("9" * 4500, "9" * 4500), "unknown"),
        (("3", "3.0"), True),
    ],
)
def test_sums_are_not_rounded(tmp_path: Path, values: tuple[str, ...], valid: Any) -> None:
    assert spelled(tmp_path, "counter", *values).verdict.json == valid


@pytest.mark.parametrize(
    ("balances", "total", "valid"),
    [
        ('{"a":0.1,"b":0.2}', "0.3", True),
        ('{"a":0.1,"b":0.2000000001}', "0.3", False),
        ('{"a":9007199254740993,"b":0}', str(2**53), False),
        ('{"a":1e400,"b":-1e400}', "0", True),
        ('{"a":1e400,"b":0}', "0", False),
        ('{"a":1,"a":2}', "2", "unknown"),
    ],
)
def test_totals_are_not_rounded(tmp_path: Path, balances: str, total: str, valid: Any) -> None:
    options = {"total_amount": parse_number(total), "negative_balances": True}
    assert spelled(tmp_path, "bank", balances, **options).verdict.json == valid


EDN = """{:process 0, :type :invoke, :f :read, :value nil}
{:process 0, :type :ok, :f :read, :value {"a" %s, "b" %s}}
"""


@pytest.mark.parametrize(
    ("balances", "total", "valid"),
    [
        (("1/3", "2/3"), "1", True),
        (("1/3", "1/3"), "2/3", True),
        (("1/3", "1/3"), "1", False),
        (("0.1M", "0.2M"), "0.3", True),
        (("0.10000000000000000000000001M", "0.2M"), "0.3", False),
        (("0.10000000000000000000000001M", "0.19999999999999999999999999M"), "0.3", True),
        (("0.30000000000000004", "0.0"), "0.3", "unknown"),
        (("100000000000000000001N", "-1"), "100000000000000000000", True),
        (("##Inf", "1"), "1", "unknown"),
        (("##NaN", "1"), "1", "unknown"),
        ((":rich", "1"), "1", "unknown"),
        (('"1/3"', "2/3"), "1", "unknown"),
    ],
)
def test_decimals_and_ratios_of_edn(
    tmp_path: Path, balances: tuple[str, str], total: str, valid: Any
) -> None:
    path = tmp_path / "history.edn"
    path.write_text(EDN % balances)
    options = ModelOptions(total_amount=parse_number(total), negative_balances=True)
    results = check_model("bank", read_any(path), options)
    assert results.verdict.json == valid, results.reasons()
    if valid == "unknown":
        assert any(balances[0] in why or "floats" in why for why in results.reasons())


#: an anomaly is proved by what had happened before it
PROOFS = [
    ("set", [*read(2), *add(2, "fail"), *add(1), *read(1)], {}),
    ("set", [*add(1), *read(1, 2), *add(2, "fail")], {"phantom": 1}),
    ("set-full", [*add(1), *read(1, 2), *add(2, "fail")], {"phantom": 1}),
    ("set-full", [*add(1), *read(1, 2), *read(1), *add(2), *read(1, 2)], {"future-read": 1}),
    ("set-full", [*add(1), *read(1, 2), *read(1), *add(2, "info")], {"future-read": 1}),
    ("set-full", [*add(1), *read(1, 7), *read(1)], {"phantom": 1}),
    ("set-full", [*add(1), *add(2, "fail"), *read(1, 2), *read(1)], {"aborted-read": 1}),
    ("register", [*done(1, "read", seen=2), *done(0, "write", 2, "fail")], {"phantom": 1}),
    (
        "register",
        [*done(0, "write", 2, "fail"), *done(1, "read", seen=2), *done(0, "write", 2, "fail")],
        {"aborted-read": 1},
    ),
]


@pytest.mark.parametrize(("model", "events", "found"), PROOFS)
def test_an_anomaly_is_proved_by_what_had_happened(
    model: str, events: list, found: dict[str, int]
) -> None:
    results = judged(model, *events, linearizable=True) if model == "set-full" else judged(
        model, *events
    )  # fmt: skip
    assert results.counts() == found
    for anomaly in results.anomalies:
        if anomaly.name != "future-read":
            assert max(anomaly.ops) == anomaly.ops[-1]
            assert history(*events).kind[anomaly.ops[-1]] == 1  # an ok read


@pytest.mark.parametrize("value", [-(2**63), -1, -2, 2**63, 2**64, 0, "", [], {}, False])
def test_no_value_is_a_sentinel(value: Any) -> None:
    """What any model might use inside for something else is a value like any other."""
    register = [*done(0, "write", value), *done(1, "read", seen=value)]
    assert judged("register", *register).verdict is Verdict.VALID
    assert judged("register", *done(0, "write", value), *done(1, "read")).counts() == {
        "nonlinearizable": 1
    }
    for model in ("set", "set-full"):
        assert judged(model, *add(value), *read(value)).verdict is Verdict.VALID
        assert judged(model, *add(value), *read()).counts() == {"lost-element": 1}
    ids = [*done(0, "generate", seen=value), *done(1, "generate", seen="other")]
    assert judged("unique-ids", *ids).verdict is Verdict.VALID
    txns = [
        *done(0, "txn", [["w", "x", value]]),
        *done(0, "txn", [["w", "y", value]]),
        *done(1, "txn", [], seen=[["r", "x", value], ["r", "y", None]]),
        *done(1, "txn", [], seen=[["r", "x", None], ["r", "y", value]]),
    ]
    assert judged("long-fork", *txns).counts() == {"long-fork": 1}


@pytest.mark.parametrize(
    ("initial", "valid"), [(0, True), (None, False), (7, False), (0.0, False), ("0", False)]
)
def test_a_register_begins_with_its_initial_value(initial: Any, valid: bool) -> None:
    events = [*done(1, "read", seen=0), *done(0, "write", 1), *done(1, "read", seen=1)]
    assert judged("register", *events, initial=initial).verdict.json is valid
    pairs = [(p, t, f, ["k", *v] if v else ["k", None]) for p, t, f, *v in events]
    assert judged("register", *pairs, initial=initial).verdict.json is valid


@pytest.mark.parametrize("initial", [0, [1, 2], {"b": 1, "a": 2}, "word", -(2**63)])
def test_initial_values_of_any_kind(initial: Any) -> None:
    written = [*done(0, "write", 1), *done(1, "read", seen=1)]
    late = [*written, *done(1, "read", seen=initial)]
    early = [*done(1, "read", seen=initial), *written]
    assert judged("register", *early, initial=initial).verdict is Verdict.VALID
    assert judged("register", *late, initial=initial).counts() == {"nonlinearizable": 1}
    assert judged("register", *early, *done(1, "read"), initial=initial).counts() == {"phantom": 1}
    again = [*early, *done(0, "write", initial)]
    assert judged("register", *again, initial=initial).verdict is Verdict.UNKNOWN
    null = [*early, (0, "invoke", "write"), (0, "ok", "write"), *done(1, "read")]
    assert judged("register", *null, initial=initial).verdict is Verdict.VALID
