"""How a history becomes columns: the same whatever a chunk of lines is like."""

from __future__ import annotations

from pathlib import Path
from random import Random

import msgspec
import numpy as np
import pytest
from dynamesis.checkers.history.arrays import alike
from dynamesis.checkers.history.columns import History
from dynamesis.checkers.history.history import encode, read_history
from dynamesis.checkers.history.op import Op
from dynamesis.checkers.history.pairing import previous
from dynamesis.checkers.history.value_table import ValueTable
from dynamesis.checkers.logs.logs import Logs


def raws(*values: str) -> list[bytes]:
    return [value.encode() for value in values]


def test_equal_values_have_one_number_but_those_of_transactions() -> None:
    table = ValueTable()
    assert table[raws("5", "", '"a"', "5", "null")] == [0, -1, 1, 0, 2]
    assert table.of_transactions(raws("[1]", "", "[1]", "[2]")) == [3, -1, 4, 5]
    assert table[raws("[1]", "5", "7")] == [6, 0, 7]
    assert table.of_transactions(raws("[3]", "5", "null")) == [8, 0, 2], "not all of them lists"
    assert table.null == 2
    values = [b"5", b'"a"', b"null", b"[1]", b"[1]", b"[2]", b"[1]", b"7", b"[3]"]
    assert table.all() == values


def random_ops(rng: Random, count: int) -> list[Op]:
    """Transactions, operations with keys, and events of the harness, in runs of each."""
    ops: list[Op] = []
    while len(ops) < count:
        kind = rng.choice(["txn", "write", "phase", "put"])
        for _ in range(rng.choice([1, 3, 40])):
            process = rng.randrange(4) if kind != "phase" else "harness"
            value = {
                "txn": rng.choice([None, [["r", 1, None]], [["append", 1, len(ops)]]]),
                "write": rng.choice([None, 1, 2, "x", [1]]),
                "phase": rng.choice(["boot", "load"]),
                "put": {"add": rng.randrange(3)},
            }[kind]
            key = rng.choice(["a", "b"]) if kind in ("write", "put") else None
            type_ = "info" if kind == "phase" else "invoke"
            ops.append(Op(type=type_, process=process, f=kind, key=key, value=value))
    return ops


@pytest.mark.parametrize("seed", range(10))
def test_columns_give_back_every_event(seed: int) -> None:
    ops = random_ops(Random(seed), 300)
    history = History.of(ops)
    assert [msgspec.structs.replace(op, index=-1, time=-1) for op in history] == ops
    for row, op in enumerate(ops):
        expected = b"" if op.value is None else msgspec.json.encode(op.value)
        assert history.text_of(row) == expected


def test_chunks_of_a_file_are_as_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lines = []
    for number in range(200):
        kind, f = ("invoke", "ok")[number % 2], ("txn", "read")[number // 2 % 2]
        value = [["r", 1, [number]]] if f == "txn" else number // 8
        op = Op(index=number, time=number, type=kind, process=0, f=f, value=value)  # type: ignore[arg-type]
        lines.append(encode(op))
    path = tmp_path / "history.jsonl"
    path.write_bytes(b"".join(lines))
    whole = read_history(path)
    monkeypatch.setattr("dynamesis.checkers.history.history._CHUNK", 200)
    cut = read_history(path)
    assert list(whole) == list(cut)
    for column in ("time", "kind", "process", "f", "key", "basis", "shown", "sib_start", "pair"):
        assert np.array_equal(getattr(whole, column), getattr(cut, column)), column
    assert [whole.text_of(row) for row in range(200)] == [cut.text_of(row) for row in range(200)]


@pytest.mark.parametrize("spread", [1, 5, 1 << 16, 1 << 40])
def test_the_row_before_is_that_of_the_same_thread(spread: int) -> None:
    """Few threads are sorted in another way than many."""
    thread = np.array([Random(n).randrange(-spread, spread) for n in range(500)], np.int64)
    last: dict[int, int] = {}
    for row, before in enumerate(previous(thread).tolist()):
        assert before == last.get(int(thread[row]), -1)
        last[int(thread[row])] = row
    assert previous(np.empty(0, np.int64)).tolist() == []


@pytest.mark.parametrize("share", [0.0, 0.1, 0.9, 1.0])
def test_the_chosen_row_before_is_the_last_of_the_same_thread(share: float) -> None:
    rng = Random(7)
    thread = np.array([rng.randrange(9) for _ in range(500)], np.int64)
    chosen = np.array([rng.random() < share for _ in range(500)], np.bool_)
    last: dict[int, int] = {}
    for row, before in enumerate(previous(thread, chosen).tolist()):
        assert before == last.get(int(thread[row]), -1)
        if chosen[row]:
            last[int(thread[row])] = row
    assert previous(np.empty(0, np.int64), np.empty(0, np.bool_)).tolist() == []


@pytest.mark.parametrize("spread", [1, 5, 1 << 40])
def test_values_that_are_alike_are_known_by_the_first(spread: int) -> None:
    values = np.array([Random(n).randrange(-spread, spread) for n in range(300)], np.int64)
    first, which = alike(values)
    assert np.array_equal(values[first][which], values)
    assert values[first].tolist() == sorted({*values.tolist()})
    assert first.tolist() == [values.tolist().index(value) for value in values[first].tolist()]
    assert [len(each) for each in alike(values[:0])] == [0, 0]


def test_events_of_some_kinds_are_in_order_of_time() -> None:
    events = [{"node": "n1", "event": kind, "mono": n} for n, kind in enumerate("abcabca")]
    logs = Logs.of(events)
    for kinds in ("a", "ab", "ba", "aa", "abc", "x", "xc"):
        expected = [event for event in events if event["event"] in kinds]
        assert logs.of_kinds(*kinds) == expected
