"""An operation that a model cannot understand proves nothing: neither is what it may have made a
phantom, nor is what it may have taken lost. What is certain beside it stays so."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from dynamesis.checkers.formats.io import read_any
from dynamesis.checkers.history.source import HistoryError
from dynamesis.checkers.models.models import check_model
from dynamesis.checkers.verdict import Verdict
from test_jepsen_models import add, done, judged, read

#: an add of an element that is not named; of one whose acknowledgement names another
BARE = [(0, "invoke", "add"), (0, "ok", "add")]
OTHER = [(0, "invoke", "add", 1), (0, "ok", "add", 2)]
UNNAMED = [(0, "invoke", "enqueue"), (0, "ok", "enqueue")]


def enqueue(value: Any) -> list:
    return done(0, "enqueue", value)


def dequeue(value: Any) -> list:
    return done(1, "dequeue", seen=value)


def drain(values: Any) -> list:
    return done(2, "drain", seen=values)


DOUBTFUL: dict[str, tuple[str, list]] = {
    "set, an add of something": ("set", [*BARE, *add(3), *read(7, 3)]),
    "set-full, an add of something": ("set-full", [*BARE, *add(3), *read(7, 3)]),
    "set, one of two elements": ("set", [*OTHER, *add(3), *read(2, 3)]),
    "set-full, one of two elements": ("set-full", [*OTHER, *add(3), *read(1, 3)]),
    "queue, an enqueue of something": (
        "queue",
        [*UNNAMED, *enqueue(1), *dequeue(7), *dequeue(1), *drain([])],
    ),
    "queue, of the same again": (
        "queue",
        [*UNNAMED, *enqueue(1), *dequeue(1), *dequeue(1), *drain([])],
    ),
    "queue, a drain of something": ("queue", [*enqueue(1), *drain(1)]),
    "queue, a drain with a hole": ("queue", [*enqueue(1), *drain([1, None])]),
    "a cas from three to what?": (
        "cas-register",
        [*done(0, "write", 1), *done(0, "cas", [1, 2, 3]), *done(1, "read", seen=3)],
    ),
    "a cas that may have changed it back": (
        "cas-register",
        [*done(0, "write", 1), *done(0, "write", 2), *done(0, "cas", "2-1"),
         *done(1, "read", seen=1)],
    ),
    "a put of no text": (
        "kv",
        [*done(0, "put", "a"), *done(0, "put", 5), *done(1, "get", seen="b")],
    ),
    "a get of no text": ("kv", [*done(1, "get", seen=False), *done(0, "put", "a")]),
}  # fmt: skip


@pytest.mark.parametrize("name", DOUBTFUL)
def test_what_may_be_of_it_proves_nothing(name: str) -> None:
    model, events = DOUBTFUL[name]
    results = judged(model, *events)
    assert (results.verdict, results.counts()) == (Verdict.UNKNOWN, {})


CERTAIN: dict[str, tuple[str, list, str]] = {
    "lost beside it": ("set", [*BARE, *add(3), *add(4), *read(7, 3)], "lost-element"),
    "lost beside it, set-full": (
        "set-full",
        [*OTHER, *add(3), *add(4), *read(2, 3)],
        "lost-element",
    ),
    "shown before it": ("set-full", [*add(3), *read(7, 3), *BARE], "phantom"),
    "of an add that failed": (
        "set",
        [(0, "invoke", "add"), (0, "fail", "add"), *add(3), *read(7, 3)],
        "phantom",
    ),
    "delivered before it": (
        "queue",
        [*enqueue(1), *dequeue(7), *dequeue(1), *UNNAMED, *drain([])],
        "unexpected",
    ),
    "delivered twice": ("queue", [*enqueue(1), *dequeue(1), *dequeue(1), *drain(5)], "duplicated"),
}  # fmt: skip


@pytest.mark.parametrize("name", CERTAIN)
def test_what_it_cannot_explain_is_invalid(name: str) -> None:
    model, events, anomaly = CERTAIN[name]
    assert judged(model, *events).counts() == {anomaly: 1}


def test_a_key_that_it_did_not_touch_is_judged(tmp_path: Path) -> None:
    lines = [
        f'{{"type": "{type}", "process": 0, "f": "{f}", "key": "{key}", "value": {value}}}'
        for f, key, asked, seen in (
            ("cas", "x", "7", "7"), ("read", "x", "null", "9"), ("write", "y", "1", "1"),
            ("read", "y", "null", "2"),
        )
        for type, value in (("invoke", asked), ("ok", seen))
    ]  # fmt: skip
    path = tmp_path / "history.json"
    path.write_text("\n".join(lines))
    (anomaly,) = check_model("cas-register", read_any(path)).anomalies
    assert (anomaly.key, anomaly.name) == ("y", "phantom")


def test_a_bank_that_opens_an_account_with_a_transfer_is_right() -> None:
    """Where the accounts are not given, transfers name them as well as the first read."""
    move = {"from": "a", "to": "b", "amount": 3}
    events = [*done(0, "read", seen={"a": 10}), *done(0, "transfer", move)]
    assert judged("bank", *events, *done(1, "read", seen={"a": 7, "b": 3})).verdict is Verdict.VALID
    strange = judged("bank", *events, *done(1, "read", seen={"a": 7, "z": 3}))
    assert strange.counts() == {"unexpected-key": 1}
    wrong = judged("bank", *events, *done(1, "read", seen={"a": 7, "b": 4}))
    assert wrong.counts() == {"wrong-total": 1}


ORDERED = """
{:index 4, :type :invoke, :f :write, :value 1, :process 0}
{:index 7, :type :ok, :f :write, :value 1, :process 0}

{:index 9, :type :invoke, :f :read, :process 1}
{:index 10, :type :ok, :f :read, :value 1, :process 1}
"""


def test_indices_count_up(tmp_path: Path) -> None:
    """A file whose indices show another order is refused: it would be judged in the order of its
    lines."""
    path = tmp_path / "history.edn"
    path.write_text(ORDERED)
    assert check_model("register", read_any(path)).verdict is Verdict.VALID
    by_process = ORDERED.split("\n\n")
    path.write_text("\n".join(reversed(by_process)))
    with pytest.raises(HistoryError) as caught:
        read_any(path)
    assert "line 5, field index: expected an index above 10, the last before, got 4" in str(
        caught.value
    )
