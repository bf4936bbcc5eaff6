"""Foreign histories: Jepsen's EDN, elle-cli's JSON, and ours, in and out again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from dynamesis.checkers.formats.edn import EdnError, Parser
from dynamesis.checkers.formats.edn_forms import dumps
from dynamesis.checkers.formats.io import read_any, write_edn, write_history, write_json
from dynamesis.checkers.history.history import History, HistoryError
from dynamesis.checkers.models.models import check_model
from dynamesis.checkers.simulate.simulate import Store
from dynamesis.checkers.simulate.simulate_txn import transactions
from dynamesis.checkers.verdict import Verdict

EDN = """\
{:type :invoke, :f :txn, :value [[:append 3 1] [:r 4 nil]], :process 0, :time 10, :index 7}
{:type :info, :f :start-partition, :value [:cut {"n1" #{"n2" "n3"}}], :process :nemesis, :time 12}
{:type :ok, :f :txn, :value [[:append 3 1] [:r 4 [1 2]]], :process 0, :time 20, :index 12}
"""


def write(tmp_path: Path, name: str, text: str) -> Path:
    path = tmp_path / name
    path.write_text(text)
    return path


def values(history: History) -> list[Any]:
    return [history.value_of(row) for row in range(len(history))]


def test_jepsen_edn(tmp_path: Path) -> None:
    history = read_any(write(tmp_path, "history.edn", EDN))
    assert [op.type for op in history.ops()] == ["invoke", "info", "ok"]
    assert [op.process for op in history.ops()] == [0, "nemesis", 0]
    assert values(history) == [
        [["append", 3, 1], ["r", 4, None]],
        ["cut", {"n1": ["n2", "n3"]}],
        [["append", 3, 1], ["r", 4, [1, 2]]],
    ]
    assert history.pair.tolist() == [2, -1, 0]


@pytest.mark.parametrize(
    "text",
    [
        "[" + EDN + "]",
        EDN.replace("{:type", "#jepsen.history.Op{:type"),
        EDN.replace("\n", " "),
        "; a comment\n" + EDN,
        EDN.replace(", ", " "),
        EDN.replace(":value", "#_ignored :value"),
        EDN.replace("[:append 3 1]", "#mop (:append 3 1)"),
    ],
    ids=["vector", "record", "one line", "comment", "no commas", "discard", "tag and list"],
)
def test_edn_in_other_clothes(tmp_path: Path, text: str) -> None:
    plain = read_any(write(tmp_path, "a.edn", EDN))
    other = read_any(write(tmp_path, "b.edn", text))
    assert values(other) == values(plain)


def test_forms_of_edn() -> None:
    text = r'nil true -3 4N 1.5 2e3 1/4 "a\"b\nc" \x \newline :k/w sym #{1} (2) [3] {4 5} #inst "t"'
    assert list(Parser(text).forms()) == [
        None, True, -3, 4, 1.5, 2000.0, 0.25, 'a"b\nc', "x", "\n", "k/w", "sym",
        [1], [2], [3], {"4": 5}, "t",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "forms"),
    [
        (r"\u0041 \( [\a\b]", ["A", "(", ["a", "b"]]),
        (r'"\u0041\101\\\"" "two' + '\n\tlines"', ['AA\\"', "two\n\tlines"]),
        ("##Inf ##-Inf ##NaN", ["##Inf", "##-Inf", "##NaN"]),
        ("#:db{:id 1} #foo/bar #_1 2", [{"db/id": 1}, 2]),
        ("#_ #_ 1 2 3 [#_1] {:a #_1 2} ; 4", [3, [], {"a": 2}]),
        ("+5 -5 5. 1.5M 3N - -> a.b/c <= :1", [5, -5, 5.0, 1.5, 3, "-", "->", "a.b/c", "<=", "1"]),
    ],
)
def test_corners_of_edn(text: str, forms: list[Any]) -> None:
    assert list(Parser(text).forms()) == forms


NOT_EDN = ["[1", "1]", "{1}", "[1}", "#_", '"abc', "{:a #tag}", "1/0", "9" * 5000, "1e999", "12ab"]
NOT_EDN += [r'"\q"', r"\ud800", r"\longname", "@x", "'x", "^{:a 1} 2", ":", "::a", ".5"]


@pytest.mark.parametrize("text", NOT_EDN)
def test_what_is_not_edn(text: str) -> None:
    with pytest.raises(EdnError):
        list(Parser(text).forms())


def test_edn_is_written_as_jepsen_would() -> None:
    assert (
        dumps([["append", 3, 1], ["r", "x", None]], keywords=True) == '[[:append 3 1] [:r "x" nil]]'
    )


@pytest.mark.parametrize(
    ("text", "line", "field"),
    [
        (EDN.replace(":type :ok", ":type :okay"), 3, "type"),
        (EDN.replace("[1 2]]]", "[1 2]]"), 3, "(line)"),
        (EDN.replace(", :process 0, :time 20", ""), 3, "process"),
        (EDN.replace(":process 0, :time 20", ":process 1, :time 20"), 3, "process"),
        ("", 1, "(line)"),
    ],
)
def test_bad_edn_is_refused_by_line_and_field(
    tmp_path: Path, text: str, line: int, field: str
) -> None:
    with pytest.raises(HistoryError) as raised:
        read_any(write(tmp_path, "history.edn", text))
    assert (raised.value.line, raised.value.field) == (line, field)


def test_where_no_event_names_its_process_there_is_one_client(tmp_path: Path) -> None:
    text = """[{:type :invoke, :f :read, :value [[:r 0 nil] [:r 1 nil]]}
               {:type :ok, :f :read, :value [[:r 0 1] [:r 1 nil]]}
               {:type :invoke, :f :read, :value [[:r 1 nil] [:r 0 nil]]}
               {:type :ok, :f :read, :value [[:r 1 1] [:r 0 nil]]}]"""
    history = read_any(write(tmp_path, "history.edn", text))
    assert history.pair.tolist() == [1, 0, 3, 2]
    assert check_model("long-fork", history).counts() == {"long-fork": 1}


def test_elle_cli_json(tmp_path: Path) -> None:
    text = """[
      {"type":"invoke","f":"txn","value":[["append","x",1]],"process":0},
      {"type":"ok","f":"txn","value":[["append","x",1]],"process":0},
      {"type":"invoke","f":"txn","value":[["r","x",null]],"process":1},
      {"type":"ok","f":"txn","value":[["r","x",[1]]],"process":1}]"""
    history = read_any(write(tmp_path, "history.json", text))
    assert check_model("list-append", history).verdict is Verdict.VALID


@pytest.mark.parametrize("name", ["h.json", "h.edn", "h.jsonl"])
@pytest.mark.parametrize("source", ["append", "register", "dynamo"])
def test_a_history_survives_the_round_trip(tmp_path: Path, name: str, source: str) -> None:
    ops = {
        "append": lambda: transactions(3, 60),
        "register": lambda: transactions(3, 60, append=False),
        "dynamo": lambda: Store(3, 60).ops(),
    }[source]()
    history = History.of(ops)
    writers = {"h.json": write_json, "h.edn": write_edn, "h.jsonl": write_history}
    writers[name](history, tmp_path / name)
    assert list(read_any(tmp_path / name).ops()) == list(history.ops())


def test_the_format_is_recognized_by_the_content(tmp_path: Path) -> None:
    history = History.of(transactions(3, 10))
    for number, write_as in enumerate((write_json, write_edn, write_history)):
        path = tmp_path / f"history{number}"
        write_as(history, path)
        assert list(read_any(path).ops()) == list(history.ops())
