"""A test.json may hold anything; what no test can have is refused by file and field."""

from __future__ import annotations

from pathlib import Path

import pytest
from dynamesis.checkers.history.history import Op, OpError, Sibling, encode
from dynamesis.harness.cli.app import run
from dynamesis.harness.results.results import HISTORY, TEST, Folder
from dynamesis.harness.results.test_metadata import BadTest, load_test

GOOD = (
    '{"nodes": ["n1"], "n": 1, "r": 1, "w": 1, "checkers": ["reads"], '
    '"ring": {"partitions": 2, "owners": ["n1", "n1"]}, "anything": [1, {"else": null}]}'
)

BAD = {
    b"garbage": "(file)",
    b"": "(file)",
    b"null": "(file)",
    b"[]": "(file)",
    b'"\xff"': "(file)",
    b'{"nodes": 5}': "nodes",
    b'{"nodes": []}': "nodes",
    b'{"r": "x"}': "r",
    b'{"n": 0}': "n",
    b'{"ring": {"partitions": 0, "owners": ["n1"]}}': "ring.partitions",
    b'{"ring": {"partitions": 3, "owners": ["n1"]}}': "ring.partitions",
    b'{"ring": {"owners": 7}}': "ring.owners",
    b'{"checkers": ["foo"]}': "checkers",
}

OPS = [
    Op(0, 0, "invoke", 0, "put", key="k", id="0.1", value=1, basis=None),
    Op(1, 1, "ok", 0, "put", key="k", id="0.1"),
    Op(2, 2, "invoke", 0, "get", key="k"),
    Op(3, 3, "ok", 0, "get", key="k", siblings=[Sibling("0.1", 1)]),
    Op(4, 4, "invoke", 0, "get", key="k"),
    Op(5, 5, "fail", 0, "get", key="k", error=OpError("read-quorum", True)),
]


def test_a_good_file_is_taken_as_it_is(tmp_path: Path) -> None:
    (tmp_path / TEST).write_text(GOOD)
    assert load_test(Folder(tmp_path))["anything"] == [1, {"else": None}]


def test_no_file_means_nothing(tmp_path: Path) -> None:
    assert load_test(Folder(tmp_path)) == {}


@pytest.mark.parametrize("content", BAD)
def test_a_bad_file_is_refused(tmp_path: Path, content: bytes, capsys) -> None:
    (tmp_path / TEST).write_bytes(content)
    (tmp_path / HISTORY).write_bytes(b"".join(map(encode, OPS)))
    with pytest.raises(BadTest, match=r"field .*: \S"):
        load_test(Folder(tmp_path))
    for command in ("check", "report"):
        assert run([command, str(tmp_path)]) == 2
        assert f"{tmp_path / TEST}, field {BAD[content]}: " in capsys.readouterr().err


def test_a_lone_history_reports_what_was_skipped(tmp_path: Path, capsys) -> None:
    path = tmp_path / "alone.jsonl"
    path.write_bytes(b"".join(map(encode, OPS)))
    run(["check", str(path)])
    last = capsys.readouterr().out.splitlines()[-1]
    assert last.startswith("skipped: ")
    assert "replicas (needs the ring in test.json)" in last
