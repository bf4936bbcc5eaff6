"""`dynamesis log`: one log out of many, and only what is asked for."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from dynamesis.harness.cli.app import run


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    def write(node: str, *events: tuple[int, str, dict[str, object]]) -> None:
        path = tmp_path / "nodes" / node / "node.log"
        path.parent.mkdir(parents=True)
        rows = [
            {"time": 9.0 - mono, "mono": mono * 10**9, "node": node, "event": name, **fields}
            for mono, name, fields in events
        ]
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))

    write("n1", (5, "ready", {}), (7, "stored", {"why": "put", "key": "k1", "request": "3.1"}))
    write("n2", (6, "ready", {}), (8, "stored", {"why": "put", "key": "k2"}))
    with (tmp_path / "nodes/n1/node.log").open("a") as log:
        log.write('{"time":1,"mo')
    return tmp_path


def shown(capsys: pytest.CaptureFixture[str], *arguments: str) -> list[list[str]]:
    assert run(["log", *arguments]) == 0
    return [line.split() for line in capsys.readouterr().out.splitlines()]


def test_merged_by_the_monotonic_clock(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert shown(capsys, str(folder)) == [
        ["0.0000", "n1", "ready"],
        ["1.0000", "n2", "ready"],
        ["2.0000", "n1", "stored", "why=put", "key=k1", "request=3.1"],
        ["2.0000", "n1", "(cut", "off)", 'line={"time":1,"mo'],
        ["3.0000", "n2", "stored", "why=put", "key=k2"],
    ]


@pytest.mark.parametrize(
    ("arguments", "times"),
    [
        (("--node", "n2"), ["0.0000", "2.0000"]),
        (("--key", "k1"), ["2.0000"]),
        (("--request", "3.1"), ["2.0000"]),
        (("--request", "3.1", "--key", "k2"), []),
        (("--event", "ready, start"), ["0.0000", "1.0000"]),
        (("--event", "ready", "--key", "k1"), []),
    ],
)
def test_only_what_is_asked_for(
    arguments: tuple[str, ...], times: list[str], folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert [line[0] for line in shown(capsys, str(folder), *arguments)] == times


def test_no_logs_and_no_such_node(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["log", str(folder / "nodes")]) == 2
    assert "no logs of nodes" in capsys.readouterr().err
    assert run(["log", str(folder), "--node", "n7"]) == 2
    assert "allowed: n1, n2" in capsys.readouterr().err
