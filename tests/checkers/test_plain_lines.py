"""Lines that are read as arrays become what they become one by one, and what is wrong with them is
found as if they were."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest
from dynamesis.checkers.history import history as reader
from dynamesis.checkers.history.chunk import Chunk
from dynamesis.checkers.history.codes import NameTable, WordTable, as_name
from dynamesis.checkers.history.columns import History
from dynamesis.checkers.history.history import HistoryError, encode, read_history
from dynamesis.checkers.history.op import Op, OpError, Sibling
from dynamesis.checkers.history.plain_lines import digits, plain_chunk, text_before

#: text that may be anywhere in a line that is damaged
_PIECES = [
    *'{}[]",:0123456789 .-e\\\nnul\t',
    *("null", "true", '"ok"', '"fail"', '"id":"x",', '"index":', ',"key":"k"', "\u00e9", "1.5"),
    *("00", "123456789012345678", '"value":', "},\n{", '"node":"n1"', '"process":"nemesis",'),
]


def read(path: Path, monkeypatch: pytest.MonkeyPatch, plain: bool) -> History | str:
    """The history, or what is wrong with it."""
    with monkeypatch.context() as patch:
        patch.setattr(reader, "_CHUNK", 700)
        patch.setattr(reader, "_IN_VAIN", 1000)
        if not plain:
            patch.setattr(reader, "plain_chunk", lambda lines: None)
        try:
            return read_history(path)
        except HistoryError as wrong:
            return str(wrong)


def parts(history: History | str) -> Any:
    """All that a history is, as plain values."""
    if isinstance(history, str):
        return history
    found = {f.name: getattr(history, f.name) for f in dataclasses.fields(history)}
    return {k: (v.dtype, v.tolist()) if isinstance(v, np.ndarray) else v for k, v in found.items()}


def random_history(rng: Random, count: int) -> list[Op]:
    """Operations of clients with keys, values, transactions, versions and errors, and events of
    the harness; each invocation is completed."""
    ops: list[Op] = []
    shape = rng.choice(["plain", "keys", "all"])
    for number in range(count):
        process, key = rng.randrange(3), rng.choice(["k1", "key-of-9", "k2", "long key " * 3])
        kinds = {"plain": ["txn"], "keys": ["write"], "all": ["txn", "write", "get", "phase"]}
        kind = rng.choice(kinds[shape])
        time = number * rng.choice([1, 10**9])
        failed = rng.random() < 0.2
        error = OpError("timeout", False, rng.choice(["", 'a "quote"'])) if failed else None
        ended: Any = "info" if failed else "ok"
        event: dict[str, Any] = {"process": process, "f": kind, "time": time}
        if kind == "txn":
            value = [["r", 1, rng.choice([None, [1, 2], "a,b}"])]] * rng.randrange(1, 4)
            ops += [Op(value=value, **event), Op(type=ended, value=value, error=error, **event)]
        elif kind == "write":
            value = rng.choice([None, number, number * 10**8, "text", 1.5, {"a": [1, {}]}])
            ops.append(Op(key=key, value=value, **event))
            ops.append(Op(type=ended, key=rng.choice([None, key]), error=error, **event))
        elif kind == "get":
            shown = None if failed else [Sibling("a", number)] * rng.randrange(2)
            ops.append(Op(key=key, node="n1", due=rng.choice([None, 5]), **event))
            ops.append(Op(type=ended, key=key, error=error, siblings=shown, **event))
        elif not any(op.f == "phase" for op in ops):
            ops.append(Op(type="info", process="harness", f="phase", value="boot", time=time))
    last = 0
    for index, op in enumerate(ops):
        op.index, op.time = index, max(op.time, last)
        last = op.time
    return ops


@pytest.mark.parametrize("seed", range(25))
def test_a_history_is_the_same_either_way(
    seed: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "history.jsonl"
    ops = random_history(Random(seed), 60)
    path.write_bytes(b"".join(map(encode, ops)))
    found = read(path, monkeypatch, plain=True)
    assert isinstance(found, History), found
    assert parts(found) == parts(read(path, monkeypatch, plain=False))


@pytest.mark.parametrize("seed", range(15))
def test_what_is_wrong_is_found_either_way(
    seed: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = Random(1000 + seed)
    path = tmp_path / "history.jsonl"
    text = b"".join(map(encode, random_history(rng, 12)))
    for _ in range(25):
        damaged = text
        for _ in range(rng.choice([1, 1, 2, 5])):
            at = rng.randrange(len(damaged))
            piece = rng.choice(_PIECES).encode()
            damaged = damaged[:at] + piece + damaged[at + rng.randrange(3) :]
        path.write_bytes(damaged)
        either = [parts(read(path, monkeypatch, plain)) for plain in (True, False)]
        assert either[0] == either[1], damaged


def line(rest: str = "", index: str = "0", time: str = "5", type_: str = "ok") -> bytes:
    head = f'{{"index":{index},"time":{time},"type":"{type_}","process":1,"f":"read"'
    return f"{head}{rest}}}\n".encode()


@pytest.mark.parametrize(
    "rest",
    ["", ',"value":1', ',"key":"k"', ',"key":"k","value":[1,{"a":"}"}]', ',"id":"v", "due": 3',
     ',"key":"k","id":"v","value":null', ',"key":"a long name of more than eight bytes"'],
)  # fmt: skip
def test_what_this_harness_writes_is_plain(rest: str) -> None:
    """Few lines may have other fields than key and value."""
    assert plain_chunk(line() * 3 + line(rest)) is not None


@pytest.mark.parametrize(
    "text",
    [
        line(',"value":'),
        line(',"value":1,'),
        line(',"value":[1') + line(',"value":2]') + line(',"value":1 2'),
        line(',"value":01'),
        line(',"value":"\u00e9"'),
        line(',"value":"\\n"'),
        line(',"value":"\t"'),
        line(',"strange":1'),
        line(',"id":"v"'),
        line(',"value":1,"id":"v"'),
        line() * 3 + line(',"id":"v","key":"k"'),
        line(',"index":7'),
        line(index="00"),
        line(index="-1"),
        line(index="1.0"),
        line(index=""),
        line(time="1234567890123456"),
        line(type_="okay"),
        line(type_="o"),
        line(',"key":"k').replace(b"\n", b"") + b"\n",
        line()[:-2] + b"\n" + line(),
        line().replace(b"read", b"read\n"),
        line().replace(b"1,", b'"unended,'),
        line()[:-1],
        b"\n" + line(),
        line() + b"\n",
    ],
)
def test_what_is_written_otherwise_is_not(text: bytes) -> None:
    assert plain_chunk(text) is None


@pytest.mark.parametrize("number", ["0", "7", "10", "1234567", "12345678", "123456789", "9" * 15])
def test_numbers_of_any_length(number: str) -> None:
    found = plain_chunk(line(time=number))
    assert isinstance(found, Chunk)
    assert found.time[0] == int(number)


def test_words_are_read_up_to_what_ends_them() -> None:
    texts = [b"42,abcde", b",1234567", b"12345678", b'ok"\x00\x7f!"a', b'00000"0"']
    words = np.frombuffer(b"".join(texts), "<u8")
    numbers, width = digits(words)
    assert numbers.tolist() == [42, 0, 12345678, 0, 0]
    assert width.tolist() == [2, 0, 8, 0, 5]
    before, width = text_before(words, ord('"'))
    assert [as_name(int(word)) for word in before] == [
        "42,abcde",
        ",1234567",
        "12345678",
        "ok",
        "0" * 5,
    ]
    assert width.tolist() == [8, 8, 8, 2, 5]


def test_names_that_share_a_place_keep_their_numbers() -> None:
    names = NameTable()
    table = WordTable(names)
    rng = Random(5)
    texts = [str(rng.randrange(40_000)) for _ in range(60_000)]
    for start in range(0, len(texts), 5000):
        part = texts[start : start + 5000]
        words = np.array([int.from_bytes(text.encode(), "little") for text in part], np.uint64)
        assert table[words].tolist() == [names[text] for text in part]
    assert names.all() == list(dict.fromkeys(texts))
    assert table[np.zeros(1, np.uint64)].tolist() == [-1]
