"""Histories of several things at once, values [key, value]."""

from __future__ import annotations

from typing import Any

from checkers.history import History, Op
from checkers.models import Options, check_model


def history(*events: tuple[str, str, Any]) -> History:
    """(type, f, value) of one client, between events of the nemesis."""
    cut = Op(type="info", process="nemesis", f="start-partition", value=["a", "b"])
    clients = [Op(type=t, process=0, f=f, value=value) for t, f, value in events]  # type: ignore[arg-type]
    return History.of([cut, *clients, cut])


def done(f: str, asked: Any, told: Any) -> list[tuple[str, str, Any]]:
    return [("invoke", f, asked), ("ok", f, told)]


def test_each_key_of_a_set_is_a_set_of_its_own() -> None:
    adds = [*done("add", ["x", 1], ["x", 1]), *done("add", ["y", 1], ["y", 1])]
    right = [*done("read", ["x", None], ["x", [1]]), *done("read", ["y", None], ["y", [1]])]
    wrong = [*done("read", ["x", None], ["x", [1]]), *done("read", ["y", None], ["y", []])]
    for model in ("set", "set-full"):
        assert check_model(model, history(*adds, *right)).valid is True
        results = check_model(model, history(*adds, *wrong))
        assert [(a.name, a.key, a.ops) for a in results.anomalies] == [
            ("lost-element", "y", (3, 4, 8))
        ]


def test_a_set_of_pairs_is_one_set() -> None:
    adds = [*done("add", ["x", 1], ["x", 1]), *done("add", ["y", 1], ["y", 1])]
    read = done("read", None, [["x", 1], ["y", 1]])
    assert check_model("set", history(*adds, *read)).valid is True
    assert check_model("set", history(*adds, *done("read", None, [["x", 1]]))).valid is False


def test_each_key_of_a_counter_counts_by_itself() -> None:
    adds = [*done("add", [1, 5], [1, 5]), *done("add", [2, 7], [2, 7])]
    right = [*done("read", [1, None], [1, 5]), *done("read", [2, None], [2, 7])]
    assert check_model("counter", history(*adds, *right)).valid is True
    results = check_model("counter", history(*adds, *done("read", [2, None], [2, 12])))
    assert [(a.name, a.key) for a in results.anomalies] == [("out-of-bounds", "2")]


def test_what_is_not_described_is_counted() -> None:
    events = [e for key in range(150) for e in done("add", [key, 1], [key, 1])]
    events += [e for key in range(150) for e in done("read", [key, None], [key, []])]
    [verdict] = check_model("set", history(*events)).verdicts.values()
    assert len(verdict.anomalies) == 100
    assert verdict.counts() == {"lost-element": 150}


def test_a_key_that_nobody_read_is_unknown() -> None:
    adds = [*done("add", ["x", 1], ["x", 1]), *done("add", ["y", 1], ["y", 1])]
    results = check_model("set", history(*adds, *done("read", ["x", None], ["x", [1]])))
    assert (results.valid, results.reasons()) == ("unknown", ("key y: no read succeeded",))


def test_a_bank_by_key() -> None:
    reads = [*done("read", [1, None], [1, {"a": 3}]), *done("read", [2, None], [2, {"a": -3}])]
    reads += reads
    assert check_model("bank", history(*reads)).counts() == {"negative-value": 2}
    assert check_model("bank", history(*reads), Options(negative_balances=True)).valid is True
    asked = Options(negative_balances=True, total_amount=3)
    assert [a.key for a in check_model("bank", history(*reads), asked).anomalies] == ["2", "2"]
