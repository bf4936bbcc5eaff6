"""set, set-full, counter, bank, long-fork, unique-ids and register on literal histories."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from dynamesis.checkers.elle.consistency import UnknownModel
from dynamesis.checkers.formats.io import read_any
from dynamesis.checkers.history.history import History, Op
from dynamesis.checkers.models.models import MODELS, BadOption, ModelOptions, check_model
from dynamesis.checkers.verdict import Results, Verdict


def history(*events: tuple[Any, ...]) -> History:
    """(process, type, f) or (process, type, f, value)."""
    ops = [Op(process=e[0], type=e[1], f=e[2], value=e[3] if e[3:] else None) for e in events]
    return History.of(ops)


def done(process: int, f: str, value: Any = None, end: str = "ok", seen: Any = None) -> list:
    """An invocation and its completion."""
    shown = value if seen is None else seen
    return [(process, "invoke", f, value), (process, end, f, shown)]


def add(value: Any, end: str = "ok") -> list:
    return done(0, "add", value, end)


def read(*elements: Any) -> list:
    return done(1, "read", seen=list(elements))


def judged(model: str, *events: Any, **options: Any) -> Results:
    return check_model(model, history(*events), ModelOptions(**options))


CASES: dict[str, tuple[str, list, dict[str, Any], Any]] = {
    "set all there": ("set", [*add(1), *add(2), *read(2, 1)], {}, True),
    "set read as a number": ("set", [*add(1), *done(1, "read", seen=0)], {}, "unknown"),
    "set read as nil": ("set", [*add(1), *done(1, "read", seen=None)], {}, "unknown"),
    "set lost": ("set", [*add(1), *add(2), *read(1)], {}, {"lost-element"}),
    "set earlier read does not count": ("set", [*add(1), *read(), *read(1)], {}, True),
    "set added after the read": ("set", [*add(1), *read(1), *add(2)], {}, True),
    "set recovered": ("set", [*add(1), *add(2, "info"), *read(1, 2)], {}, True),
    "set refused": ("set", [*add(1), *add(2, "fail"), *read(1, 2)], {}, {"aborted-read"}),
    "set from nowhere": ("set", [*add(1), *read(1, 7)], {}, {"phantom"}),
    "set twice": ("set", [*add(1), *read(1, 1)], {}, {"duplicate-elements"}),
    "set without read": ("set", [*add(1)], {}, "unknown"),
    "set-full fine": ("set-full", [*add(1), *read(1), *add(2), *read(1, 2)], {}, True),
    "set-full lost": ("set-full", [*add(1), *read(1), *read()], {}, {"lost-element"}),
    "set-full stale": ("set-full", [*add(1), *read(), *read(1)], {}, True),
    "set-full stale, linearizable": (
        "set-full",
        [*add(1), *read(), *read(1)],
        {"linearizable": True},
        {"stale-read"},
    ),
    "set-full shown then gone": (
        "set-full",
        [*add(1, "info"), *read(1), *read()],
        {},
        {"lost-element"},
    ),
    "set-full refused": ("set-full", [*add(1), *add(2, "fail"), *read(1, 2)], {}, {"aborted-read"}),
    "set-full twice": ("set-full", [*add(1), *read(1, 1)], {}, {"duplicate-elements"}),
    "counter fine": ("counter", [*add(1), *add(2), *done(1, "read", seen=3)], {}, True),
    "counter too low": (
        "counter",
        [*add(1), *add(2), *done(1, "read", seen=2)],
        {},
        {"out-of-bounds"},
    ),
    "counter not known": (
        "counter",
        [*add(1), *add(2, "info"), *done(1, "read", seen=3)],
        {},
        True,
    ),
    "counter refused": (
        "counter",
        [*add(1), *add(2, "fail"), *done(1, "read", seen=3)],
        {},
        {"out-of-bounds"},
    ),
    "counter down": ("counter", [*add(5), *add(-2, "info"), *done(1, "read", seen=3)], {}, True),
    "counter too far down": (
        "counter",
        [*add(5), *add(-2, "info"), *done(1, "read", seen=2)],
        {},
        {"out-of-bounds"},
    ),
    "bank fine": (
        "bank",
        [*done(0, "read", seen={"a": 5, "b": 5}), *done(0, "read", seen={"a": 1, "b": 9})],
        {},
        True,
    ),
    "bank total": (
        "bank",
        [*done(0, "read", seen={"a": 5, "b": 5}), *done(0, "read", seen={"a": 1, "b": 8})],
        {},
        {"wrong-total"},
    ),
    "bank negative": ("bank", [*done(0, "read", seen={"a": -1, "b": 11})], {}, {"negative-value"}),
    "bank may be negative": (
        "bank",
        [*done(0, "read", seen={"a": -1, "b": 11})],
        {"test": {"negative_balances": True, "total_amount": 10}},
        True,
    ),
    "bank nil": ("bank", [*done(0, "read", seen={"a": None, "b": 10})], {}, {"nil-balance"}),
    "bank strange": (
        "bank",
        [*done(0, "read", seen={"a": 10})],
        {"test": {"accounts": ["b"]}},
        {"unexpected-key"},
    ),
    "fork": (
        "long-fork",
        [
            *done(0, "txn", [["w", "x", 1]]),
            *done(1, "txn", [["w", "y", 1]]),
            *done(
                2,
                "txn",
                [["r", "x", None], ["r", "y", None]],
                seen=[["r", "x", 1], ["r", "y", None]],
            ),
            *done(
                3,
                "txn",
                [["r", "y", None], ["r", "x", None]],
                seen=[["r", "y", 1], ["r", "x", None]],
            ),
        ],
        {},
        {"long-fork"},
    ),
    "no fork": (
        "long-fork",
        [
            *done(0, "txn", [["w", "x", 1]]),
            *done(1, "txn", [["w", "y", 1]]),
            *done(
                2,
                "txn",
                [["r", "x", None], ["r", "y", None]],
                seen=[["r", "x", 1], ["r", "y", None]],
            ),
            *done(
                3, "txn", [["r", "y", None], ["r", "x", None]], seen=[["r", "y", 1], ["r", "x", 1]]
            ),
        ],
        {},
        True,
    ),
    "ids": ("unique-ids", [*done(0, "generate", seen=1), *done(0, "generate", seen=2)], {}, True),
    "same id": (
        "unique-ids",
        [*done(0, "generate", seen=1), *done(0, "generate", seen=1)],
        {},
        {"duplicate-ids"},
    ),
    "no ids": ("unique-ids", [(0, "invoke", "generate")], {}, "unknown"),
    "register by key": (
        "register",
        [*done(0, "write", ["k", 1]), *done(1, "read", ["k", None], seen=["k", 1])],
        {},
        True,
    ),
    "register stale by key": (
        "register",
        [
            *done(0, "write", ["k", 1]),
            *done(0, "write", ["k", 2]),
            *done(1, "read", ["k", None], seen=["k", 1]),
        ],
        {},
        {"nonlinearizable"},
    ),
    "register twice": (
        "register",
        [*done(0, "write", 1), *done(0, "write", 1), *done(1, "read", seen=1)],
        {},
        "unknown",
    ),
    "register cas": ("register", [*done(0, "cas", [1, 2])], {}, "unknown"),
}


@pytest.mark.parametrize(
    ("model", "events", "options", "expected"), CASES.values(), ids=CASES.keys()
)
def test_verdict(model: str, events: list, options: dict[str, Any], expected: Any) -> None:
    results = judged(model, *events, **options)
    if isinstance(expected, set):
        assert (results.verdict, set(results.counts())) == (Verdict.INVALID, expected)
    else:
        assert (results.verdict.json, results.counts()) == (expected, {})
    assert bool(results.reasons()) == (expected == "unknown")


def test_how_far_a_register_is_from_linearizable() -> None:
    events = [
        *done(0, "write", 1), *done(0, "write", 2), *done(0, "write", 3), *done(1, "read", seen=1)
    ]  # fmt: skip
    [verdict] = judged("register", *events).verdicts.values()
    assert verdict.details["distance"]["register"] == {"delta_ms": 3.0, "k_at_least": 3}


@pytest.mark.parametrize("model", MODELS)
def test_no_model_passes_a_history_without_evidence(model: str) -> None:
    assert judged(model).verdict is Verdict.UNKNOWN


@pytest.mark.parametrize("model", MODELS)
def test_no_model_raises_on_what_it_does_not_understand(model: str) -> None:
    odd = [*done(0, "add", {"x": [1]}), *done(1, "read", seen="?"), *done(2, "txn", 7)]
    assert judged(model, *odd).verdict.json in ("unknown", False)


def test_options_that_make_no_sense_are_refused() -> None:
    with pytest.raises(BadOption, match="known are dynamo, list-append"):
        judged("linked-list")
    with pytest.raises(BadOption, match="takes no consistency-models"):
        judged("set", consistency_models=("serializable",))
    with pytest.raises(BadOption, match="cannot assume 'total'"):
        judged("rw-register", assume=("total",))
    with pytest.raises(UnknownModel, match="forbids nothing"):
        judged("list-append", consistency_models=("linearizable",))


def spelled(tmp_path: Path, *events: tuple[str, str, str]) -> History:
    """(type, f, value as JSON) of one client, from a file."""
    lines = [
        f'{{"type":"{kind}","f":"{f}","process":0,"key":"k","value":{value}}}'
        for kind, f, value in events
    ]
    path = tmp_path / "history.json"
    path.write_text("\n".join(lines) + "\n")
    return read_any(path)


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ('{"a":1,"b":2}', '{ "b": 2, "a": 1 }', True),
        ('"\\u0061"', '"a"', True),
        ('"a"', '"\\u0061"', True),
        ("[1,2]", "[1, 2]", True),
        ("[1,2]", "[2,1]", False),
        ("1", '"1"', False),
        ("1", "true", False),
    ],
)
def test_values_are_compared_and_not_their_spelling(
    tmp_path: Path, one: str, other: str, same: bool
) -> None:
    write = [("invoke", "write", one), ("ok", "write", one)]
    read = [("invoke", "read", "null"), ("ok", "read", other)]
    register = spelled(tmp_path, *write, *read)
    assert check_model("register", register).counts() == ({} if same else {"phantom": 1})
    ids = [(kind, "generate", value) for value in (one, other) for kind in ("invoke", "ok")]
    found = check_model("unique-ids", spelled(tmp_path, *ids)).counts()
    assert found == ({"duplicate-ids": 1} if same else {})


BANKS = [
    ([{"a": 0.1, "b": 0.2}, {"a": 0.3, "b": 0.0}], {}, {}),
    ([{"a": 0.1, "b": 0.2}, {"a": 0.3, "b": 0.1}], {}, {"wrong-total": 1}),
    ([{"a": 2**60, "b": 1}, {"a": 2**60, "b": 0}], {}, {"wrong-total": 1}),
    ([{"a": 3}], {"total_amount": "3"}, {}),
    ([{"a": 3}], {"total_amount": 4}, {"wrong-total": 1}),
    ([{"a": 3}], {"accounts": 5}, {}),
    ([{"a": 3}], {"accounts": ["b"]}, {"unexpected-key": 1}),
]


@pytest.mark.parametrize(("reads", "test", "found"), BANKS)
def test_banks(reads: list[dict[str, float]], test: dict[str, Any], found: dict[str, int]) -> None:
    events = [event for balances in reads for event in done(0, "read", seen=balances)]
    assert judged("bank", *events, test=test).counts() == found


#: model, events, the reason why it cannot judge
UNKNOWN = [
    ("bank", done(0, "read", seen=[1, 2]), "index 1, field value: expected balances by account"),
    ("bank", done(0, "transfer", {"from": 1, "to": 2, "amount": 3}), "no read succeeded"),
    ("long-fork", [*done(0, "w", [["w", 1, 1]]), *done(0, "w", [["w", 1, 2]])], "more than once"),
    ("long-fork", done(0, "r", [["r", 1, None]]), "no transaction read several keys"),
    ("long-fork", done(0, "r", 7), "expected a list of micro-operations"),
    ("set", [*add(1), *add(1), *read(1)], "added twice"),
    ("set", [*add(1, "info"), *read(1)], "no add was acknowledged"),
    ("set", add(1), "no read succeeded"),
    ("set", [*add(1), *done(1, "read", seen=7)], "expected the list of elements read, got 7"),
    ("set-full", add(1), "no read succeeded"),
    ("set-full", [*add(1), *add(1), *read(1)], "added twice"),
    ("set-full", [*add(1, "info"), *read()], "no element was known and read"),
    ("counter", [*done(0, "add", "1"), *read()], 'expected a number to add, got "1"'),
    ("counter", [*done(0, "add", True), *read()], "expected a number to add, got true"),
    ("unique-ids", done(0, "generate", end="fail"), "no id was generated"),
]


@pytest.mark.parametrize(("model", "events", "why"), UNKNOWN)
def test_what_cannot_be_judged_gives_the_reason(model: str, events: list, why: str) -> None:
    results = judged(model, *events)
    assert results.verdict is Verdict.UNKNOWN
    assert why in results.reasons()[0]


def test_what_became_of_the_elements_of_a_set() -> None:
    """One in every read, one lost, one late, one never seen; and one of unknown outcome."""
    adds = [*add(1), *add(2), *add(3), *add(4), *add(5, "info")]
    events = [*adds, *read(1, 2), *read(1, 2, 3), *read(1, 3)]
    for linearizable, found in ((False, {}), (True, {"stale-read": 1})):
        results = judged("set-full", *events, linearizable=linearizable)
        assert results.counts() == {"lost-element": 2, **found}
        details = results.verdicts["set-full"].details
        assert details == {"stable": 2, "lost": 2, "stale": 1, "never_read": 2}
    last = judged("set", *events).verdicts["set"]
    assert last.details == {"acknowledged": 4, "read": 2, "recovered": 0}
    assert judged("set", *events, *read(5)).verdicts["set"].details["recovered"] == 1


TRANSFER = {"from": "a", "to": "b", "amount": 9}


def test_transfers_are_not_reads() -> None:
    balances = {"a": 3, "b": 4}
    events = [*done(0, "read", seen=balances), *done(0, "transfer", TRANSFER)]
    assert judged("bank", *events, *done(0, "read", seen=balances)).verdict is Verdict.VALID
