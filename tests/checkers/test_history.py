"""Reading, refusing and rebuilding histories."""

from __future__ import annotations

from pathlib import Path

import pytest
from dynamesis.checkers.history.history import (
    History,
    HistoryError,
    Op,
    OpError,
    Sibling,
    encode,
    read_history,
)
from dynamesis.checkers.models.dynamo import check
from dynamesis.checkers.verdict import Verdict
from msgspec.structs import replace

OPS = [
    Op(0, 0, "info", "harness", "phase", value="load"),
    Op(1, 10, "invoke", 3, "put", key="k7", id="3.12", value={"add": "sku-9"}, basis=None),
    Op(2, 20, "ok", 3, "put", key="k7", id="3.12", node="n2", worth={"replicas": 2}),
    Op(3, 30, "invoke", 4, "get", key="k7"),
    Op(4, 40, "ok", 4, "get", key="k7", node="n1", siblings=[Sibling("3.12", {"add": "sku-9"})]),
    Op(5, 50, "invoke", 3, "delete", key="k7", id="3.13", basis=4),
    Op(6, 60, "info", 3, "delete", key="k7", id="3.13", error=OpError("timeout", False, "2 s")),
    Op(7, 70, "info", "nemesis", "start-cut", value={"fault": 1, "grudge": [["n1"]]}),
    Op(8, 80, "invoke", "harness", "dump", key="k7", replica="n2"),
    Op(9, 90, "invoke", "harness", "dump", key="k7", replica="n3"),
    Op(10, 91, "ok", "harness", "dump", key="k7", replica="n3", siblings=[]),
    Op(
        11, 92, "ok", "harness", "dump", key="k7", replica="n2",
        siblings=[Sibling("3.13", deleted=True)],
    ),
]  # fmt: skip

EVENTS = [
    Op(0, 0, "info", "harness", "phase", value="load"),
    Op(1, 10, "invoke", "nemesis", "start-cut", value={"fault": 7}),
    Op(2, 20, "info", "nemesis", "evidence", value={"fault": 7, "bit": True}),
    Op(3, 30, "info", "nemesis", "stop-cut", value={"fault": 7}),
    Op(4, 40, "info", "harness", "quiesce", value={"quiet": True}),
    Op(5, 50, "info", "harness", "membership", value={"node": "n1", "members": ["n1"]}),
    Op(6, 60, "info", "harness", "sizes", value={"node": "n1", "hints": 0}),
    Op(7, 70, "info", "harness", "phase", value="final"),
    Op(8, 80, "info", "harness", "dumped", value={"n1": True}),
    Op(9, 90, "invoke", 0, "get", key="k"),
    Op(10, 91, "fail", 0, "get", key="k", error=OpError("read-quorum", True)),
]

#: what is wrong, in which event, with what in place of its value, which field, what is expected
ODD = {
    "unknown phase": (0, "loud", "value", "expected a phase, boot, load"),
    "phase that is not a name": (0, {"phase": "load"}, "value", "expected a phase"),
    "phase twice": (7, "load", "value", "a phase after load, got load"),
    "phases out of order": (7, "boot", "value", "a phase after load, got boot"),
    "start without a value": (1, None, "value", "expected an object"),
    "start without a number": (1, {"kind": "refused"}, "value.fault", "got none"),
    "start with a word for a number": (1, {"fault": "x"}, "value.fault", "got 'x'"),
    "start with true for a number": (1, {"fault": True}, "value.fault", "got True"),
    "evidence for no fault": (2, {"bit": True}, "value.fault", "got none"),
    "evidence for another fault": (2, {"fault": 99, "bit": True}, "value.fault", "got 99"),
    "evidence that is not an object": (2, 5, "value", "expected an object, got 5"),
    "evidence without bit": (2, {"fault": 7}, "value.bit", "got none"),
    "evidence with words for bit": (2, {"fault": 7, "bit": "yes"}, "value.bit", "got 'yes'"),
    "stop of a fault that never began": (3, {"fault": 8}, "value.fault", "got 8"),
    "stop without a number": (3, {}, "value.fault", "got none"),
    "quiet in words": (4, {"quiet": "yes"}, "value.quiet", "got 'yes'"),
    "quiescence without quiet": (4, {"seconds": 2}, "value.quiet", "got none"),
    "quiescence that is not an object": (4, True, "value", "expected an object, got True"),
    "view without a node": (5, {"members": ["n1"]}, "value.node", "names its node"),
    "sizes that are not an object": (6, [1], "value.node", "names its node"),
    "dumped in words": (8, "x", "value", "by node"),
    "dumped in numbers": (8, {"n1": 1}, "value", "by node"),
}


@pytest.mark.parametrize("name", ODD)
def test_an_event_of_another_form_is_refused(tmp_path: Path, name: str) -> None:
    row, value, field, expected = ODD[name]
    ops = [replace(op, value=value) if op.index == row else op for op in EVENTS]
    assert len(read_history(written(tmp_path, b"".join(map(encode, EVENTS))))) == len(EVENTS)
    with pytest.raises(HistoryError) as raised:
        read_history(written(tmp_path, b"".join(map(encode, ops))))
    assert (raised.value.line, raised.value.field) == (row + 1, field)
    assert expected in str(raised.value)


def test_a_failure_without_error_is_refused(tmp_path: Path) -> None:
    ops = [*EVENTS[:-1], replace(EVENTS[-1], error=None)]
    with pytest.raises(HistoryError, match="line 11, field error: expected why"):
        read_history(written(tmp_path, b"".join(map(encode, ops))))


#: process and key of a get that is lost or ends in ok, process and key of the put upon it
BASES = {
    "another process's context of the key": ("ok", 0, "a", 1, "a", True),
    "its own context of another key": ("ok", 0, "b", 0, "a", True),
    "another process's context of another key": ("ok", 0, "b", 1, "a", False),
    "of another key, from before its number was retired": ("info", 0, "b", 5, "a", True),
}


@pytest.mark.parametrize("name", BASES)
def test_contexts_of_other_keys(tmp_path: Path, name: str) -> None:
    end, reader, read, writer, wrote, fine = BASES[name]
    error = OpError("timeout", False) if end == "info" else None
    ops = [
        Op(0, 0, "invoke", reader, "get", key=read),
        Op(1, 1, "ok", reader, "get", key=read, siblings=[]),
        Op(2, 2, "invoke", reader, "get", key=read),
        Op(3, 3, end, reader, "get", key=read, siblings=None if error else [], error=error),
        Op(4, 4, "invoke", writer, "put", key=wrote, id="w", basis=1),
    ]
    path = written(tmp_path, b"".join(map(encode, ops)))
    if fine:
        assert len(read_history(path)) == 5
    else:
        with pytest.raises(HistoryError, match=r"line 5, field basis: .* of key b and of another"):
            read_history(path)


LINES = [encode(op) for op in OPS]


def written(tmp_path: Path, content: bytes) -> Path:
    path = tmp_path / "history.jsonl"
    path.write_bytes(content)
    return path


def test_a_line_is_as_the_format_page_has_it() -> None:
    assert LINES[1] == (
        b'{"index":1,"time":10,"type":"invoke","process":3,"f":"put","key":"k7","id":"3.12",'
        b'"value":{"add":"sku-9"},"basis":null}\n'
    )
    assert LINES[4].endswith(b'"siblings":[{"id":"3.12","value":{"add":"sku-9"}}]}\n')
    assert LINES[11].endswith(b'"siblings":[{"id":"3.13","deleted":true}]}\n')


def test_what_was_written_is_read_back(tmp_path: Path) -> None:
    history = read_history(written(tmp_path, b"".join(LINES)))
    assert list(history.ops()) == OPS


def test_history_of_ops_is_the_same_as_of_the_file(tmp_path: Path) -> None:
    assert list(History.of(OPS).ops()) == OPS


def test_operations_are_paired() -> None:
    """Dumps of two replicas are open side by side; events of the nemesis have no pair."""
    assert History.of(OPS).pair.tolist() == [-1, 2, 1, 4, 3, 6, 5, -1, 11, 10, 9, 8]


def test_a_file_larger_than_a_chunk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dynamesis.checkers.history.history._CHUNK", 100)
    assert list(read_history(written(tmp_path, b"".join(LINES))).ops()) == OPS


def changed(number: int, old: bytes, new: bytes) -> bytes:
    """All lines, one of them (counted from 1) changed."""
    assert old in LINES[number - 1]
    lines = list(LINES)
    lines[number - 1] = lines[number - 1].replace(old, new, 1)
    return b"".join(lines)


BROKEN = {
    "not JSON": (changed(2, b"{", b"<"), 2, "(line)", "expected one JSON object"),
    "not an object": (b"[1]\n", 1, "(line)", "expected `object`, got `array`"),
    "empty line": (changed(2, LINES[1], b"\n"), 2, "(line)", "empty line"),
    "empty file": (b"", 1, "index", "the file is empty"),
    "half a last line": (b"".join(LINES)[:-20], 12, "(line)", "cut off"),
    "no last newline": (b"".join(LINES)[:-1], 12, "(line)", "expected a newline"),
    "half a line in the middle": (changed(3, LINES[2], LINES[2][:30] + b"\n"), 3, "(line)", ""),
    "gap": (changed(6, b'"index":5', b'"index":6'), 6, "index", "expected 5"),
    "time missing": (changed(3, b'"time":20,', b""), 3, "time", "missing"),
    "time before the test": (changed(3, b'"time":20', b'"time":-20'), 3, "time", ">= 0"),
    "time a float": (changed(3, b'"time":20', b'"time":2.5'), 3, "time", "expected `int`"),
    "time runs back": (changed(4, b'"time":30', b'"time":5'), 4, "time", "no less than 20"),
    "time of many digits": (changed(3, b'"time":20', b'"time":%d' % 10**40), 3, "time", "<= 92"),
    "index of 71 bits": (changed(3, b'"index":2', b'"index":%d' % 2**70), 3, "index", "<= 92"),
    "process of 81 bits": (changed(2, b'"process":3', b'"process":%d' % 2**80), 2, "process", ""),
    "key that is not UTF-8": (changed(2, b"k7", b"k\xff"), 2, "(line)", "can't decode byte 0xff"),
    "value that is not UTF-8": (changed(2, b"sku", b"\xfd"), 2, "(line)", "can't decode byte 0xfd"),
    "nested deep": (changed(2, b'"id"', b'"x":' + b"[" * 200_000), 2, "(line)", "recursion"),
    "f a number": (changed(2, b'"f":"put"', b'"f":3'), 2, "f", "expected `str`, got `int`"),
    "unknown type": (changed(3, b'"ok"', b'"okay"'), 3, "type", "invoke, ok, fail, info"),
    "bad process": (changed(2, b'"process":3', b'"process":null'), 2, "process", "expected"),
    "negative process": (changed(2, b'"process":3', b'"process":-1'), 2, "process", ">= 0"),
    "completion alone": (changed(3, b'"process":3', b'"process":5'), 3, "process", "expected an"),
    "basis of the future": (changed(6, b'"basis":4', b'"basis":8'), 6, "basis", "earlier"),
    "basis of an invocation": (changed(6, b'"basis":4', b'"basis":3'), 6, "basis", "ok get"),
    "no basis": (changed(2, b',"basis":null', b""), 2, "basis", "or null"),
    "no id": (changed(2, b'"id":"3.12",', b""), 2, "id", "expected a version id"),
    "no key": (changed(4, b',"key":"k7"', b""), 4, "key", "expected a key"),
    "no siblings": (
        changed(5, b',"siblings":[{"id":"3.12","value":{"add":"sku-9"}}]', b""),
        5,
        "siblings",
        "expected a list",
    ),
    "sibling without id": (changed(5, b'"id":"3.12",', b""), 5, "id", "missing"),
    "other id at the end": (changed(3, b"3.12", b"3.99"), 3, "id", "same as in the invocation"),
    "other key at the end": (changed(5, b"k7", b"k8"), 5, "key", "same as in the invocation"),
    "id used twice": (changed(6, b"3.13", b"3.12"), 6, "id", "second time"),
    "dump of no replica": (changed(9, b',"replica":"n2"', b""), 9, "replica", "node id"),
}  # fmt: skip


@pytest.mark.parametrize("name", BROKEN)
def test_a_malformed_history_is_refused_by_line_and_field(tmp_path: Path, name: str) -> None:
    content, line, field, expected = BROKEN[name]
    path = written(tmp_path, content)
    with pytest.raises(HistoryError) as raised:
        read_history(path)
    assert (raised.value.line, raised.value.field) == (line, field)
    assert str(raised.value).startswith(f"{path}, line {line}, field {field}: ")
    assert expected in str(raised.value)


@pytest.mark.parametrize("value", [b"1e999", b'{"a":[1e999]}'])
def test_a_value_that_cannot_be_held_is_equal_only_to_itself(tmp_path: Path, value: bytes) -> None:
    lines = b"".join(LINES).replace(b'{"add":"sku-9"}', value)
    history = read_history(written(tmp_path, lines))
    assert history.value_of(1) == history.siblings(4)[0].value
    assert check(history).verdicts["reads"].verdict is Verdict.VALID


def test_white_space_around_an_event_means_nothing(tmp_path: Path) -> None:
    path = written(tmp_path, b"".join(LINES).replace(b"\n", b" \r\n"))
    assert list(read_history(path).ops()) == OPS


def test_two_invocations_open_in_one_process(tmp_path: Path) -> None:
    ops = [Op(0, 0, "invoke", 1, "get", key="a"), Op(1, 1, "invoke", 1, "get", key="b")]
    path = written(tmp_path, b"".join(map(encode, ops)))
    with pytest.raises(HistoryError, match=r"line 2, field process: .* two invocations open"):
        read_history(path)
