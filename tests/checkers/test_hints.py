"""What a verdict adds where a target or its client is more likely wrong than the store: a value
read as text, the commonest error, nodes that dial past the proxies of their links."""

from __future__ import annotations

from typing import Any

import pytest
from dynamesis.checkers.explain.describe import as_text
from dynamesis.checkers.history.counts import times
from dynamesis.checkers.history.history import History, Op
from dynamesis.checkers.history.op import OpError
from dynamesis.checkers.models.models import check_model
from dynamesis.checkers.verdict import Results, Verdict
from test_vacuity import QUIET, STOP, get, harness, nemesis, put, results

HINT = " (it is a string: does the client return text where a number was written?)."


def pair(
    f: str, value: Any, process: int = 0, shown: Any = None, key: str | None = "k"
) -> list[Op]:
    """An operation that succeeds."""
    seen = value if shown is None else shown
    return [
        Op(process=process, f=f, key=key, value=value),
        Op(type="ok", process=process, f=f, key=key, value=seen),
    ]


def txn(process: int, asked: list[list[Any]], shown: list[list[Any]]) -> list[Op]:
    return pair("txn", asked, process, shown, key=None)


#: by model: a history in which `seen` is read and 7 was written
READS: dict[str, Any] = {
    "register": lambda seen: [*pair("write", 7), *pair("read", None, 1, seen)],
    "cas-register": lambda seen: [*pair("write", 7), *pair("read", None, 1, seen)],
    "set": lambda seen: [*pair("add", 7), *pair("read", None, 1, [seen])],
    "set-full": lambda seen: [*pair("add", 7), *pair("read", None, 1, [seen])],
    "list-append": lambda seen: [
        *txn(0, [["append", "k", 7]], [["append", "k", 7]]),
        *txn(1, [["r", "k", None]], [["r", "k", [seen]]]),
    ],
    "rw-register": lambda seen: [
        *txn(0, [["w", "k", 7]], [["w", "k", 7]]),
        *txn(1, [["r", "k", None]], [["r", "k", seen]]),
    ],
    "long-fork": lambda seen: [
        *txn(0, [["w", "k", 7]], [["w", "k", 7]]),
        *txn(1, [["r", "k", None], ["r", "m", None]], [["r", "k", seen], ["r", "m", None]]),
    ],
}


def phantoms(model: str, seen: Any) -> list[str]:
    found = check_model(model, History.of(READS[model](seen)))
    return [anomaly.why for anomaly in found.anomalies if anomaly.name == "phantom"]


@pytest.mark.parametrize("model", READS)
def test_a_phantom_that_is_the_text_of_a_number_asks_for_the_client(model: str) -> None:
    for seen in ("7", "-7", "7.0"):
        (why,) = phantoms(model, seen)
        assert why.endswith(HINT), why
        assert f'"{seen}"' in why


@pytest.mark.parametrize("model", READS)
@pytest.mark.parametrize("seen", [8, "x", "{7}"])
def test_any_other_phantom_does_not(model: str, seen: Any) -> None:
    (why,) = phantoms(model, seen)
    assert "string" not in why


@pytest.mark.parametrize("model", READS)
def test_what_was_written_is_none(model: str) -> None:
    assert phantoms(model, 7) == []


@pytest.mark.parametrize("value", [None, 7, 7.5, True, "", " ", "seven", [7], ["7"], {"n": "7"}])
def test_what_is_not_the_text_of_a_number_has_no_hint(value: Any) -> None:
    assert as_text(value) == ""


# ---- the commonest error


def failing(*errors: tuple[str, str] | None, f: str = "add", key: str = "k") -> list[Op]:
    """Operations that fail, each with (code, message) or without an error."""
    ops = []
    for number, error in enumerate(errors):
        given = None if error is None else OpError(error[0], True, error[1])
        ops.append(Op(process=number, f=f, key=key, value=number))
        ops.append(Op(type="fail", process=number, f=f, key=key, value=number, error=given))
    return ops


def of_a_set(*ops: Op) -> Results:
    whole = [harness("phase", "load"), *ops, harness("phase", "final")]
    return check_model("set", History.of([*whole, *pair("read", None, 90, []), STOP]))


REFUSED, DOUBT = ("refused", "no leader"), ("in-doubt", "reset")


@pytest.mark.parametrize(
    ("errors", "end"),
    [
        ([REFUSED, DOUBT, REFUSED], "; 2 of them ended in refused (no leader)"),
        ([DOUBT, None, None], "; 1 of them ended in in-doubt (reset)"),
        ([None, None], ""),
        ([("refused", "")], "; 1 of them ended in refused"),
        ([("refused", "a\n  b")], "; 1 of them ended in refused (a b)"),
        ([("refused", "x" * 999)], f"; 1 of them ended in refused ({'x' * 200}...)"),
        # the commonest code, then the commonest message of that code alone
        (
            [DOUBT, ("refused", "a"), ("refused", "b"), ("refused", "b"), ("other", "a")],
            "; 3 of them ended in refused (b)",
        ),
    ],
)
def test_what_never_succeeded_ends_with_the_commonest_error(errors: Any, end: str) -> None:
    judged = of_a_set(*failing(*errors))
    assert judged.verdict is Verdict.UNKNOWN
    assert f"add was tried {times(len(errors))} and never succeeded{end}" in judged.reasons()


def test_errors_of_other_operations_do_not_count() -> None:
    judged = of_a_set(*failing(REFUSED), *failing(DOUBT, DOUBT, f="read"))
    assert "add was tried once and never succeeded; 1 of them ended in refused (no leader)" in (
        judged.reasons()
    )


def test_final_reads_that_did_not_come_back_end_with_their_commonest_error() -> None:
    early = failing(DOUBT, DOUBT, DOUBT, f="get")
    final = failing(REFUSED, REFUSED, DOUBT, f="get")
    judged = results(*put(), *get("0.1", process=4), *early, *QUIET, *final, STOP)
    assert judged.verdict is Verdict.UNKNOWN
    assert "1 final read did not come back: k; 2 of them ended in refused (no leader)" in (
        judged.reasons()
    )


# ---- nodes that dial each other past their proxies


def fault(kind: str) -> list[Op]:
    return [
        nemesis(f"start-{kind}", fault=1, nodes=["n1"]),
        nemesis("evidence", fault=1, bit=True),
        nemesis(f"stop-{kind}", fault=1),
    ]


def past(node: str = "n1", peer: str = "n3") -> Op:
    return harness("dialled-past", {"node": node, "peer": peer})


def with_past(kind: str, *events: Op) -> Results:
    return results(*put(), *fault(kind), *events, *QUIET, *get("0.1"), STOP)


@pytest.mark.parametrize("kind", ["cut", "link"])
def test_a_link_that_nodes_dial_past_proves_nothing(kind: str) -> None:
    judged = with_past(kind, past(), past("n2"))
    assert judged.verdict is Verdict.UNKNOWN
    assert judged.reasons() == tuple(
        f"{node} dialled n3 past the proxy of their link at 0.00{row} s (index {row}), which no "
        "cut cuts: keep it from learning that address, or have nodes advertise another"
        for node, row in (("n1", 5), ("n2", 6))
    )


@pytest.mark.parametrize("kind", ["cut", "link"])
def test_links_that_nodes_come_through_are_proved(kind: str) -> None:
    assert with_past(kind).verdict is Verdict.VALID


@pytest.mark.parametrize("kind", ["kill", "pause"])
def test_no_proxy_matters_to_faults_of_processes(kind: str) -> None:
    assert with_past(kind, past()).verdict is Verdict.VALID


def test_what_was_proved_in_spite_of_it_is_invalid() -> None:
    judged = results(*put(), *fault("cut"), past(), *QUIET, *get("9.9"), STOP)
    assert (judged.verdict, judged.counts()["phantom"]) == (Verdict.INVALID, 1)


def test_every_model_is_unknown_for_it() -> None:
    whole = [harness("phase", "load"), *pair("add", 1), *fault("cut"), past(), *pair("add", 2)]
    whole += [harness("phase", "final"), *pair("read", None, 1, [1, 2]), STOP]
    judged = check_model("set", History.of(whole))
    assert judged.verdict is Verdict.UNKNOWN
    assert [r for r in judged.reasons() if "n1 dialled n3 past" in r]


@pytest.mark.parametrize("value", [None, "n1", [], {}, {"node": None}, {"node": 3, "peer": ["n"]}])
def test_an_event_that_is_not_as_it_should_be_crashes_nothing(value: Any) -> None:
    judged = results(
        *put(), *fault("cut"), harness("dialled-past", value), *QUIET, *get("0.1"), STOP
    )
    assert judged.verdict is Verdict.UNKNOWN
    assert len(judged.reasons()) == 1
    assert "past the proxy of their link" in judged.reasons()[0]
