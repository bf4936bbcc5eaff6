"""What a history may come as: compressed, marked, with odd numbers, keys and missing values."""

from __future__ import annotations

import gzip
import io
import json
from pathlib import Path
from typing import Any

import pytest
from dynamesis.checkers.elle.txn import read_txns
from dynamesis.checkers.formats.io import read_any, write_edn, write_json
from dynamesis.checkers.history.history import History, HistoryError, Op
from dynamesis.checkers.history.op import Unheld
from dynamesis.checkers.models.models import check_model
from dynamesis.checkers.verdict import Verdict

ADD = [("invoke", "add", 1), ("ok", "add", 1), ("invoke", "read", None), ("ok", "read", [1])]
EVENTS = [
    {"index": i, "time": i, "type": t, "process": 0, "f": f, "value": v}
    for i, (t, f, v) in enumerate(ADD)
]
TEXTS = {
    "jsonl": "".join(json.dumps(e, separators=(",", ":")) + "\n" for e in EVENTS),
    "json": json.dumps(EVENTS, indent=2),
    "json, one a line": "\n\n".join(json.dumps(dict(reversed(e.items()))) for e in EVENTS),
    "edn": "; Jepsen\n" + "".join(
        f"{{:type :{t}, :f :{f}, :value {v or 'nil'}}}\r\n" for t, f, v in ADD
    ),
}  # fmt: skip


def read(tmp_path: Path, content: bytes | str, name: str = "history") -> History:
    path = tmp_path / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return read_any(path)


@pytest.mark.parametrize("form", TEXTS)
@pytest.mark.parametrize("zipped", [False, True])
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
@pytest.mark.parametrize("named", [False, True])
def test_whatever_it_is_wrapped_in(
    form: str, zipped: bool, mark: bytes, named: bool, tmp_path: Path
) -> None:
    content = mark + TEXTS[form].encode()
    name = f"history.{form.split(',')[0]}" if named else "history"
    history = read(tmp_path, gzip.compress(content) if zipped else content, name)
    assert [history.value_of(row) for row in range(4)] == [1, 1, None, [1]]


def test_standard_input_is_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    class Slow(io.BytesIO):
        """As a pipe: a few bytes at a time, and no way back."""

        def read(self, size: int | None = -1) -> bytes:
            return super().read(3 if size is None or size < 0 else min(size, 3))

        def seekable(self) -> bool:
            return False

    for form, text in TEXTS.items():
        for content in (text.encode(), gzip.compress(text.encode())):
            monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BufferedReader(Slow(content))))  # type: ignore[type-var]
            assert len(read_any("-")) == 4, form


@pytest.mark.parametrize(
    ("content", "line", "field", "expected"),
    [
        (b"", 1, "(line)", "the file is empty"),
        (b" \n\n", 1, "(line)", "the file is empty"),
        (b"; nothing\n", 1, "(line)", "the file is empty"),
        (b"[]", 1, "(line)", "the file is empty"),
        ("{:type :ok}".encode("utf-16"), 1, "(file)", "byte order mark of UTF-16"),
        ("{:type :ok}".encode("utf-32"), 1, "(file)", "byte order mark of UTF-32"),
        (b"{:type :invoke, :f :a}\n{:type :ok, :f :a :value \"\xe9\"}\n", 2, "(line)", "byte 0xe9"),
        (b'[{"type":"invoke","f":"a"},\n\n{"type":"ok","value":"\xe9"}]', 3, "(line)", "byte 0xe9"),
        (b'[{"type":"invoke","f":"a"},\n\n{"f":"a"}]', 3, "type", "the field is missing"),
        (b'[{"type":"invoke","f":"a"},\n\n 5]', 3, "(event)", "expected `object`, got `int`"),
        (b'[\n{"type":"invoke","f":"a"},\n{"type":"invoke","f":"a"}]', 3, "process", "two invoc"),
        (b'[{"type":"invoke","f":"a"}\n {"type":"ok"}]', 2, "(array)", "JSON is malformed"),
        (b'[{"type":"invoke",\n"f":"a"}\n\n', 2, "(array)", "cut off"),
        (b'{"type":"invoke","f":"a"}\n\n{"type":"okay","f":"a"}\n', 3, "type", "expected one of"),
        (b"[{:type :invoke, :f :a}\n{:type :ok, :f :a})\n", 2, "(line)", "expected ']' for"),
        (b"{:type :invoke, :f :a}\n{:type :ok, :f :a}}\n", 2, "(line)", "an event or the end"),
        (b"{:type :invoke, :f :a\n :value\n [1 }\n", 3, "(line)", "expected ']' for the '['"),
        (b"{:type :invoke, :f :a\n :value\n [1 2]\n", 3, "(line)", "expected '}' for the '{' 2"),
        (b"{:type :invoke, :f :a}\n{:type :okay,\n :f :a}\n", 2, "type", "expected one of"),
        (b"{:type :invoke, :f :a}\n[1]\n", 2, "(line)", "expected an event (a map), got 1"),
        (b"{:type :invoke, :f :a, :type :ok}\n", 1, "(line)", "each key of a map once"),
        (b"{:type :invoke, :f :a, :value 08}\n", 1, "(line)", "a number that can be held"),
    ],
)  # fmt: skip
def test_what_is_refused(
    content: bytes, line: int, field: str, expected: str, tmp_path: Path
) -> None:
    with pytest.raises(HistoryError) as raised:
        read(tmp_path, content)
    assert (raised.value.line, raised.value.field) == (line, field)
    assert expected in raised.value.expected


def test_numbers_and_objects_as_clojure_prints_them(tmp_path: Path) -> None:
    values = '[0x1F -0xff 017 2r101 36rZZ 0x1FN 12N] #object[java.lang.Object 0x6d1e "o@6d1e"]'
    values += ' #\'user/x #"a+" #error {:cause "c"} 1.5M 0.1234567890123456789012M 1e400M 1/3'
    text = "".join(
        f"{{:type :invoke, :f :a, :value {value}, :process {i}}}\n"
        for i, value in enumerate([f"[{values}]", values.split("]")[0] + "]"])
    )
    history = read(tmp_path, text)
    numbers = [31, -255, 15, 5, 1295, 31, 12]
    assert history.value_of(1) == numbers
    assert history.value_of(0) == [
        numbers, ["java.lang.Object", 0x6D1E, "o@6d1e"], "#'user/x", "a+", {"cause": "c"}, 1.5,
        "1234567890123456789012E-22M", "1E400M", "1/3",
    ]  # fmt: skip
    assert history.spelled(history.value_of(0)[2:]) == (
        '[#\'user/x #"a+" {:cause "c"} 1.5 0.1234567890123456789012M 1e400M 1/3]'
    )


@pytest.mark.parametrize(
    ("elements", "shown"),
    [
        ('1 "1" 1.0 true :1 \\1 [1] #{1} {1 1} {"1" 1} {:1 1}', None),
        (':a "a" a \\a [:a] ["a"] {:a 1} {"a" 1} ":a" "\\"a\\""', None),
        ('1/3 "1/3" ##NaN "##NaN" nil false "nil" "false" 100000000000000000000', None),
    ],
)  # fmt: skip
def test_elements_that_differ_in_edn_are_elements_apart(
    elements: str, shown: None, tmp_path: Path
) -> None:
    """Each is added, and each is in the read; without one, that one is lost, as it is spelled."""
    words, depth = [""], 0
    for part in elements.split(" "):
        words[-1] += part if not words[-1] else f" {part}"
        depth += part.count("{") + part.count("[") - part.count("}") - part.count("]")
        if not depth:
            words.append("")
    words.pop()
    if "#{1}" in words:
        words.remove("#{1}")  # a set and a vector of the same elements are one value
    adds = "".join(
        f"{{:type :{t}, :f :add, :value {w}, :process 0}}\n"
        for w in words
        for t in ("invoke", "ok")
    )
    for lost in words:
        read_back = " ".join(w for w in words if w != lost)
        text = adds + "{:type :invoke, :f :read, :value nil, :process 0}\n"
        text += f"{{:type :ok, :f :read, :value [{read_back}], :process 0}}\n"
        results = check_model("set", read(tmp_path, text))
        if lost == "nil":  # an add of nil may have added anything
            assert (results.verdict, results.anomalies) == (Verdict.UNKNOWN, ())
            continue
        [anomaly] = results.anomalies
        assert anomaly.name == "lost-element"
        assert anomaly.why.startswith(f"{lost} was"), (anomaly.why, lost)


def test_sets_are_equal_in_any_order(tmp_path: Path) -> None:
    text = """{:type :invoke :f :add :value #{2 1} :process 0} {:type :ok :f :add :process 0}
    {:type :invoke :f :read :process 0} {:type :ok :f :read :value #{#{1 2}} :process 0}"""
    assert check_model("set", read(tmp_path, text)).verdict is Verdict.VALID


EDN = """
[{:type :invoke, :f :add, :value :a, :process 0} {:type :ok, :f :add, :value :a, :process 0}
 {:type :invoke, :f :add, :value "a", :process 0} {:type :info, :f :add, :process 0}
 {:type :invoke, :f :add, :value {1 #{:x 2}}, :process 1} {:type :ok, :f :add, :process 1}
 {:type :invoke, :f :add, :value 123456789012345678901234, :process 1}
 {:type :ok, :f :add, :value 123456789012345678901234, :process 1}
 {:type :info, :f :start "odd name", :process :nemesis, :value {"n1" [:cut]}}
 {:type :invoke, :f :read, :process 2} {:type :ok, :f :read, :value READ, :process 2}]
""".replace(' "odd name"', "")


@pytest.mark.parametrize(
    ("shown", "valid"),
    [
        ("#{:a {1 #{2 :x}} 123456789012345678901234}", True),
        ('#{"a" {1 #{2 :x}} 123456789012345678901234}', False),
        ("#{:a {1 #{2 :x}} 123456789012345678901235}", False),
        ("#{:a {1 #{3 :x}} 123456789012345678901234}", False),
    ],
)
def test_the_round_trip_is_judged_the_same(shown: str, valid: bool, tmp_path: Path) -> None:
    first = read(tmp_path, EDN.replace("READ", shown), "a.edn")
    write_json(first, tmp_path / "b.json")
    second = read_any(tmp_path / "b.json")
    write_edn(second, tmp_path / "c.edn")
    third = read_any(tmp_path / "c.edn")
    write_edn(first, tmp_path / "d.edn")
    fourth = read_any(tmp_path / "d.edn")
    assert ":value :a" in (tmp_path / "d.edn").read_text("utf-8")
    for history in (first, second, third, fourth):
        results = check_model("set", history)
        assert results.verdict.json is valid
        assert results.counts() == check_model("set", first).counts()


def test_a_name_that_is_not_a_keyword_is_written_as_a_string(tmp_path: Path) -> None:
    ops = [
        Op(type="invoke", process=0, f="odd name", value=1),
        Op(type="ok", process=0, f="odd name"),
    ]
    write_edn(History.of(ops), tmp_path / "a.edn")
    assert [op.f for op in read_any(tmp_path / "a.edn").ops()] == ["odd name"] * 2


def events(*ops: tuple[str, str, Any]) -> str:
    """JSON of one client's events; a value of ... is left out."""
    made = []
    for type_, f, value in ops:
        event = {"type": type_, "f": f, "process": 0}
        made.append(event if value is ... else {**event, "value": value})
    return json.dumps(made)


def test_completions_without_a_value_have_that_of_their_invocation(tmp_path: Path) -> None:
    text = events(
        ("invoke", "add", 1), ("ok", "add", ...),
        ("invoke", "add", 2), ("fail", "add", None),
        ("invoke", "add", 3), ("ok", "add", None),
        ("invoke", "read", ...), ("ok", "read", None),
        ("invoke", "read", 7), ("fail", "read", ...),
    )  # fmt: skip
    history = read(tmp_path, text, "a.json")
    assert [history.value_of(row) for row in range(1, 10, 2)] == [1, 2, None, None, 7]
    assert history.filled.tolist() == [i in (1, 3, 9) for i in range(10)]


def test_a_read_of_nil_stays_one(tmp_path: Path) -> None:
    text = events(
        ("invoke", "write", 1), ("ok", "write", ...), ("invoke", "read", 1), ("ok", "read", None)
    )
    assert check_model("register", read(tmp_path, text, "a.json")).counts() == {
        "nonlinearizable": 1
    }
    text = text.replace(', "value": null', "")
    assert check_model("register", read(tmp_path, text, "b.json")).verdict is Verdict.VALID


def test_the_smallest_of_64_bits_is_a_value(tmp_path: Path) -> None:
    low = -(2**63)
    text = events(
        ("invoke", "txn", [["w", "x", low]]), ("ok", "txn", ...),
        ("invoke", "txn", [["r", "x", None]]), ("ok", "txn", [["r", "x", low]]),
    )  # fmt: skip
    history = read(tmp_path, text, "a.json")
    txns = read_txns(history, "w", lists=False)
    assert [txns.name(int(v)) for v in txns.value] == [low, low]
    for f, value in (("write", low), ("read", low)):
        text = events(
            ("invoke", "write", low), ("ok", "write", ...), ("invoke", f, ...), ("ok", f, value)
        )
    assert check_model("register", read(tmp_path, text, "b.json")).verdict is Verdict.VALID


def test_what_cannot_be_decoded_is_not_a_string(tmp_path: Path) -> None:
    text = events(("invoke", "add", "1e999"), ("ok", "add", ...), ("invoke", "read", ...))
    text = text[:-1] + ',{"type":"ok","f":"read","process":0,"value":1e999}]'
    history = read(tmp_path, text, "a.json")
    assert history.value_of(3) == Unheld("1e999")
    assert history.value_of(3) != history.value_of(0)
    assert history.same_value[0] != history.same_value[3]
    write_json(history, tmp_path / "b.json")
    assert list(read_any(tmp_path / "b.json").ops()) == list(history.ops())
    with pytest.raises(ValueError, match="index 3 has a number"):
        write_edn(history, tmp_path / "c.edn")
