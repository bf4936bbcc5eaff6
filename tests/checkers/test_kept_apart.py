"""Values that differ in a history are kept apart, and those that do not are one: keys of answers,
spellings of numbers and maps, sets, bodies of echoes, fields that are there twice."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from dynamesis.checkers.formats.io import read_any
from dynamesis.checkers.history.history import HistoryError
from dynamesis.checkers.models.models import check_model
from dynamesis.checkers.verdict import Results, Verdict


def edn(*operations: tuple[str, str, str, str]) -> str:
    """Each (f, asked, type, answered), one after the other."""
    lines = []
    for f, asked, end, answered in operations:
        lines.append(f"{{:process 0, :type :invoke, :f :{f}, :value {asked}}}")
        lines.append(f"{{:process 0, :type :{end}, :f :{f}, :value {answered}}}")
    return "\n".join(lines) + "\n"


def judged(model: str, text: str, folder: Path, name: str = "history.edn") -> Results:
    path = folder / name
    path.write_text(text)
    return check_model(model, read_any(path))


def wrote(value: str, shown: str) -> str:
    return edn(("write", value, "ok", value), ("read", "nil", "ok", shown))


#: an answer about another key than was asked for: model -> history
CROSSED = {
    "register": [("write", "[:x 1]"), ("write", "[:y 2]"), ("read", "[:x nil]", "[:y 2]")],
    "cas-register": [("write", "[5 1]"), ("cas", "[6 [nil 3]]"), ("read", "[5 nil]", "[6 3]")],
    "kv": [("put", '["k" "a"]'), ("get", '["j" nil]', '["k" ""]')],
    "queue": [("enqueue", "[:x 1]"), ("enqueue", "[:y 2]"), ("dequeue", "[:x nil]", "[:y 2]")],
}


@pytest.mark.parametrize("model", CROSSED)
def test_an_answer_about_another_key_is_never_valid(model: str, tmp_path: Path) -> None:
    rows: list[Any] = CROSSED[model]
    found = judged(model, edn(*((row[0], row[1], "ok", row[-1]) for row in rows)), tmp_path)
    assert found.verdict is Verdict.UNKNOWN
    assert "expected an answer about the key of" in " ".join(found.reasons())


def test_ids_that_are_pairs_are_not_keys(tmp_path: Path) -> None:
    ids = [("generate", "nil", "ok", f'["n{number}" 1]') for number in (1, 2)]
    assert judged("unique-ids", edn(*ids), tmp_path).verdict is Verdict.VALID


@pytest.mark.parametrize(
    ("value", "shown", "verdict"),
    [
        ("1/3", "2/6", Verdict.VALID),
        ("4/2", "2", Verdict.VALID),
        ("#:a{:b 1, :_/c 2, :d/e 3}", "{:a/b 1, :c 2, :d/e 3}", Verdict.VALID),
        ("#:a{:b 1}", "{:b 1}", Verdict.INVALID),
    ],
)
def test_numbers_and_maps_are_what_clojure_reads(
    value: str, shown: str, verdict: Verdict, tmp_path: Path
) -> None:
    assert judged("register", wrote(value, shown), tmp_path).verdict is verdict


def test_the_order_of_fields_is_no_other_value(tmp_path: Path) -> None:
    one, other = '{"a":1,"b":2}', '{"b":2,"a":1}'
    lines = [
        f'{{"process":0,"type":"{kind}","f":"{f}","value":{value}}}'
        for kind, f, value in (
            ("invoke", "write", one),
            ("ok", "write", other),
            ("invoke", "read", "null"),
            ("ok", "read", other),
        )
    ]
    found = judged("register", "\n".join(lines), tmp_path, "history.json")
    assert found.verdict is Verdict.VALID


def test_a_set_is_not_a_list_of_appends(tmp_path: Path) -> None:
    text = edn(
        ("txn", "[[:append :x 1] [:append :x 2]]", "ok", "[[:append :x 1] [:append :x 2]]"),
        ("txn", "[[:r :x nil]]", "ok", "[[:r :x #{2 1}]]"),
    )
    found = judged("list-append", text, tmp_path)
    assert found.verdict is Verdict.UNKNOWN
    assert "expected a list read, got #{1 2}" in found.reasons()[0]


@pytest.mark.parametrize(("echo", "verdict"), [("hi", Verdict.VALID), ("ho", Verdict.INVALID)])
def test_an_echo_is_in_the_body_of_the_answer(echo: str, verdict: Verdict, tmp_path: Path) -> None:
    body = f'{{:type "echo_ok", :echo "{echo}", :in_reply_to 3}}'
    assert judged("echo", edn(("echo", '"hi"', "ok", body)), tmp_path).verdict is verdict


def test_reads_that_show_two_values_of_a_key_written_once(tmp_path: Path) -> None:
    reads = [("txn", "[[:r 0 nil] [:r 1 nil]]", "ok", f"[[:r 0 {x}] [:r 1 nil]]") for x in (7, 8)]
    found = judged("long-fork", edn(*reads), tmp_path)
    assert found.verdict is Verdict.UNKNOWN
    assert "written once, as index 1 shows it, got 8" in found.reasons()[0]


@pytest.mark.parametrize(("shown", "verdict"), [(7, Verdict.INVALID), (1, Verdict.VALID)])
def test_what_a_dequeue_in_doubt_showed_was_enqueued(
    shown: int, verdict: Verdict, tmp_path: Path
) -> None:
    text = edn(
        ("enqueue", "1", "ok", "1"),
        ("dequeue", "nil", "info", str(shown)),
    )
    text += edn(("dequeue", "nil", "ok", "1"), ("drain", "nil", "ok", "[]")).replace(
        ":process 0", ":process 1"
    )
    found = judged("queue", text, tmp_path)
    assert found.verdict is verdict
    assert found.counts() == ({"unexpected": 1} if shown == 7 else {})


def test_a_transfer_that_was_acknowledged_as_another_is_unknown(tmp_path: Path) -> None:
    asked, done = (f"{{:from 0, :to 1, :amount {amount}}}" for amount in (1, 100))
    text = edn(
        ("read", "nil", "ok", "{0 5, 1 5}"),
        ("transfer", asked, "ok", done),
        ("read", "nil", "ok", "{0 4, 1 6}"),
    )
    found = judged("bank", text, tmp_path)
    assert found.verdict is Verdict.UNKNOWN
    assert "as in the invocation at index 2" in found.reasons()[0]


@pytest.mark.parametrize("array", [True, False])
@pytest.mark.parametrize("twice", ['"value":2', '"type":"fail"', '"process":0', '"key":"k"'])
def test_a_field_that_is_there_twice_is_refused(array: bool, twice: str, tmp_path: Path) -> None:
    events = [
        '{"process":0,"type":"invoke","f":"read","key":"k","value":null}',
        f'{{{twice},"process":0,"type":"ok","f":"read","key":"k","value":1}}',
    ]
    path = tmp_path / "history.json"
    path.write_text("[" + ",\n".join(events) + "]" if array else "\n".join(events))
    with pytest.raises(HistoryError, match=r"line 2, field \w+: expected each field of an event"):
        read_any(path)


def test_fields_of_values_may_have_the_names_of_fields(tmp_path: Path) -> None:
    body = '{"type":"echo_ok","value":1,"key":{"value":2,"type":3}}'
    events = [
        f'{{"process":0,"type":"{kind}","f":"echo","value":{body}}}' for kind in ("invoke", "ok")
    ]
    text = "[" + ",".join(events) + "]"
    assert judged("echo", text, tmp_path, "history.json").verdict is Verdict.VALID
