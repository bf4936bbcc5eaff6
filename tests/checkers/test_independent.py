"""Histories of several objects, values [key, value]."""

from __future__ import annotations

from typing import Any

import pytest
from dynamesis.checkers.history.history import History, Op
from dynamesis.checkers.models.models import ModelOptions, check_model
from dynamesis.checkers.verdict import Verdict


def history(*events: tuple[str, str, Any]) -> History:
    """(type, f, value) of one client, between events of the nemesis."""
    cut = Op(type="info", process="nemesis", f="start-partition", value=["a", "b"])
    clients = [Op(type=t, process=0, f=f, value=value) for t, f, value in events]  # type: ignore[arg-type]
    return History.of([cut, *clients, cut])


def done(f: str, asked: Any, answer: Any) -> list[tuple[str, str, Any]]:
    return [("invoke", f, asked), ("ok", f, answer)]


def test_each_key_of_a_set_is_a_set_of_its_own() -> None:
    adds = [*done("add", ["x", 1], ["x", 1]), *done("add", ["y", 1], ["y", 1])]
    right = [*done("read", ["x", None], ["x", [1]]), *done("read", ["y", None], ["y", [1]])]
    wrong = [*done("read", ["x", None], ["x", [1]]), *done("read", ["y", None], ["y", []])]
    for model in ("set", "set-full"):
        assert check_model(model, history(*adds, *right)).verdict is Verdict.VALID
        results = check_model(model, history(*adds, *wrong))
        assert [(a.name, a.key, a.ops) for a in results.anomalies] == [
            ("lost-element", "y", (3, 4, 8))
        ]


def test_a_set_of_pairs_is_one_set() -> None:
    adds = [*done("add", ["x", 1], ["x", 1]), *done("add", ["y", 1], ["y", 1])]
    read = done("read", None, [["x", 1], ["y", 1]])
    assert check_model("set", history(*adds, *read)).verdict is Verdict.VALID
    assert (
        check_model("set", history(*adds, *done("read", None, [["x", 1]]))).verdict
        is Verdict.INVALID
    )


def test_each_key_of_a_counter_counts_by_itself() -> None:
    adds = [*done("add", [1, 5], [1, 5]), *done("add", [2, 7], [2, 7])]
    right = [*done("read", [1, None], [1, 5]), *done("read", [2, None], [2, 7])]
    assert check_model("counter", history(*adds, *right)).verdict is Verdict.VALID
    results = check_model("counter", history(*adds, *done("read", [2, None], [2, 12])))
    assert [(a.name, a.key) for a in results.anomalies] == [("out-of-bounds", "2")]


def test_what_is_not_described_is_counted() -> None:
    events = [e for key in range(150) for e in done("add", [key, 1], [key, 1])]
    events += [e for key in range(150) for e in done("read", [key, None], [key, []])]
    [verdict] = check_model("set", history(*events)).verdicts.values()
    assert len(verdict.anomalies) == 100
    assert verdict.counts() == {"lost-element": 150}


def test_a_key_that_no_one_read_is_unknown() -> None:
    adds = [*done("add", ["x", 1], ["x", 1]), *done("add", ["y", 1], ["y", 1])]
    results = check_model("set", history(*adds, *done("read", ["x", None], ["x", [1]])))
    assert (results.verdict, results.reasons()) == (Verdict.UNKNOWN, ("key y: no read succeeded",))


def test_a_bank_by_key() -> None:
    reads = [*done("read", [1, None], [1, {"a": 3}]), *done("read", [2, None], [2, {"a": -3}])]
    reads += reads
    assert check_model("bank", history(*reads)).counts() == {"negative-value": 2}
    assert (
        check_model("bank", history(*reads), ModelOptions(negative_balances=True)).verdict
        is Verdict.VALID
    )
    asked = ModelOptions(negative_balances=True, total_amount=3)
    assert [a.key for a in check_model("bank", history(*reads), asked).anomalies] == ["2", "2"]


def keyed(*events: tuple[str, str, str | None, Any]) -> History:
    """(type, f, key, value) of one client."""
    return History.of(
        [Op(type=t, process=0, f=f, key=key, value=value) for t, f, key, value in events]  # type: ignore[arg-type]
    )


def pair(
    f: str, key: str | None, asked: Any, answer: Any
) -> list[tuple[str, str, str | None, Any]]:
    return [("invoke", f, key, asked), ("ok", f, key, answer)]


#: by model: what is done to key a, what shows something wrong of it, and what is right of b
BY_KEY = {
    "set": (pair("add", "a", 1, 1), pair("read", "a", None, []), pair("read", "b", None, [])),
    "set-full": (pair("add", "a", 1, 1), pair("read", "a", None, []), pair("read", "b", None, [])),
    "counter": (pair("add", "a", 1, 1), pair("read", "a", None, 0), pair("read", "b", None, 0)),
    "bank": (
        pair("read", "a", None, {"x": 1}),
        pair("read", "a", None, {"x": 2}),
        pair("read", "b", None, {"x": 2}),
    ),
    "unique-ids": (
        pair("generate", "a", None, 1),
        pair("generate", "a", None, 1),
        pair("generate", "b", None, 1),
    ),
    "register": (pair("write", "a", 1, 1), pair("read", "a", None, 2), pair("write", "b", 1, 1)),
    "rw-register": (
        pair("txn", "a", [["w", "x", 1]], [["w", "x", 1]]),
        pair("txn", "a", [["r", "x", None]], [["r", "x", 2]]),
        pair("txn", "b", [["w", "x", 1]], [["w", "x", 1]]),
    ),
    "list-append": (
        pair("txn", "a", [["append", "x", 1]], [["append", "x", 1]]),
        pair("txn", "a", [["r", "x", None]], [["r", "x", [2]]]),
        pair("txn", "b", [["append", "x", 1]], [["append", "x", 1]]),
    ),
}
#: what shows that key a is right
RIGHT = {
    "set": pair("read", "a", None, [1]),
    "set-full": pair("read", "a", None, [1]),
    "counter": pair("read", "a", None, 1),
    "bank": [],
    "unique-ids": [],
    "register": pair("read", "a", None, 1),
    "rw-register": pair("txn", "a", [["r", "x", None]], [["r", "x", 1]]),
    "list-append": pair("txn", "a", [["r", "x", None]], [["r", "x", [1]]]),
}


@pytest.mark.parametrize("model", BY_KEY)
def test_the_field_key_is_heeded_by_every_model(model: str) -> None:
    did, wrong, other = BY_KEY[model]
    good = check_model(model, keyed(*did, *other, *RIGHT[model]))
    assert not good.anomalies, "one key proves nothing about another"
    bad = check_model(model, keyed(*did, *other, *wrong))
    assert bad.verdict is Verdict.INVALID
    assert {a.key for a in bad.anomalies} <= {"a", "x"}


@pytest.mark.parametrize("model", BY_KEY)
def test_keys_on_some_operations_only_are_unknown(model: str) -> None:
    did, _, other = BY_KEY[model]
    bare = [(t, f, None, value) for t, f, _, value in RIGHT[model] or did]
    results = check_model(model, keyed(*did, *other, *bare))
    assert results.verdict is Verdict.UNKNOWN
    assert f"index {len(did) + len(other)}, field key: expected a key" in results.reasons()[0]


def test_a_key_of_which_nothing_was_promised_is_not_a_reason() -> None:
    did, _, other = BY_KEY["set-full"]
    assert check_model("set-full", keyed(*did, *other, *RIGHT["set-full"])).verdict is Verdict.VALID
    assert check_model("set-full", keyed(*other)).verdict is Verdict.UNKNOWN
    unread = pair("add", "c", 1, 1)
    assert (
        check_model("set-full", keyed(*did, *unread, *RIGHT["set-full"])).verdict is Verdict.UNKNOWN
    )


def test_transactions_of_two_operations_are_not_pairs() -> None:
    two = [["append", "x", 1], ["append", "x", 2]]
    read = [["r", "x", None], ["r", "x", None]]
    ops = [*pair("txn", None, two, two), *pair("txn", None, read, [["r", "x", [1, 2]]] * 2)]
    assert check_model("list-append", keyed(*ops)).verdict is Verdict.VALID


def test_transactions_by_key_as_values() -> None:
    def txn(key: int, asked: Any, answer: Any) -> list[tuple[str, str, Any]]:
        return done("txn", [key, asked], [key, answer])

    write = [["append", "x", 1]]
    right = [*txn(1, write, write), *txn(2, write, write)]
    read = txn(1, [["r", "x", None]], [["r", "x", [1]]])
    other = txn(2, [["r", "x", None]], [["r", "x", [1]]])
    assert check_model("list-append", history(*right, *read, *other)).verdict is Verdict.VALID
    wrong = txn(2, [["r", "x", None]], [["r", "x", [2]]])
    results = check_model("list-append", history(*right, *read, *wrong))
    assert (results.verdict, {a.key for a in results.anomalies}) == (Verdict.INVALID, {"2"})


def test_a_read_of_null_has_the_key_of_its_invocation() -> None:
    events = [
        *done("add", ["x", 1], ["x", 1]),
        ("invoke", "add", ["x", 2]),
        ("info", "add", None),
        *done("read", ["x", None], ["x", [1]]),
        *done("read", ["y", None], ["y", []]),
    ]
    assert check_model("set-full", history(*events)).verdict is Verdict.VALID
