"""A cluster to play with, and the commands that talk to it."""

from __future__ import annotations

import json
import os
import signal

import pytest

from tests.end_to_end.conftest import Call, Inside, Start

pytestmark = pytest.mark.cluster


def test_play(start: Start, call: Call) -> None:
    def do(*arguments: str, code: int = 0) -> Inside:
        run = call(*arguments)
        assert run.wait() == code, run.printed()
        return run

    cluster = start("cluster", "--nodes", "3")
    cluster.until(lambda: "3 nodes are up" in cluster.printed(), "the cluster")

    first = do("put", "colour", "red")
    do("put", "colour", "blue")
    both = do("get", "colour", "--node", "n2").printed().splitlines()
    assert sorted(both[:2]) == ["blue", "red"]
    do("put", "colour", "violet", "--context", both[2].removeprefix("context: "))
    assert do("get", "colour").printed().splitlines()[0] == "violet"
    assert first.printed().splitlines()[1].startswith("context: ")
    do("delete", "colour", "--context", do("get", "colour").printed().split()[-1])
    assert do("get", "colour").printed().splitlines()[0] == "(deleted)"
    assert do("get", "shape").printed().splitlines()[0] == "(nothing)"

    raw = os.fsdecode(b"a\xff\xfeb")
    assert start("put", raw, raw).wait() == 0  # bytes of a real command line
    assert do("get", raw).printed().splitlines()[0] == "a\ufffd\ufffdb"
    do("delete", raw)
    assert do("explain", raw).printed().startswith("partition ")

    assert [line.split()[:2] for line in do("status").printed().splitlines()[1:]] == [
        ["n1", "up"],
        ["n2", "up"],
        ["n3", "up"],
    ]

    shown = json.loads(do("get", "colour", "--json").printed())
    assert [sibling["deleted"] for sibling in shown["siblings"]] == [True]
    assert bytes.fromhex(shown["context"])
    assert json.loads(do("status", "--json").printed())["n1"]["ready"] is True
    assert json.loads(do("explain", "colour", "--json").printed())["n1"]["primaries"]

    do("put", "colour", "x", "--context", "00", code=2)
    assert "up already" in do("cluster", code=4).printed()

    assert "allowed: n1, n2, n3" in do("join", "n9", code=2).printed()
    os.kill(cluster.pid("n2/config.json"), signal.SIGKILL)
    cluster.until(lambda: "n2 died: ended with exit code -9" in cluster.printed(), "its death")
    assert do("get", "colour").printed().splitlines()[0] == "(deleted)"
    cluster.process.send_signal(signal.SIGTERM)
    assert cluster.wait() == 0
    assert "dynamesis cluster" in do("status", code=4).printed()


def test_nodes_come_and_go(start: Start, call: Call) -> None:
    def do(*arguments: str, code: int = 0) -> str:
        run = call(*arguments)
        assert run.wait() == code, run.printed()
        return run.printed()

    def states() -> dict[str, str]:
        return {line.split()[0]: line.split()[1] for line in do("status").splitlines()[1:]}

    def until(state: dict[str, str]) -> None:
        cluster.until(lambda: states() | state == states(), f"{state}")

    cluster = start("cluster", "--nodes", "4", "--spare", "1", "--storage", "memory")
    cluster.until(lambda: "5 nodes are up" in cluster.printed(), "the cluster")
    assert states() == {"n1": "up", "n2": "up", "n3": "up", "n4": "up", "n5": "spare"}

    do("put", "colour", "red")
    explained = do("explain", "colour").splitlines()
    assert explained[0].startswith("partition ")
    assert sum(line.endswith("  red") for line in explained) == 3
    assert do("repair").count("has not joined a cluster") == 1

    do("join", "n5")
    until({"n5": "up"})
    assert "a member already" in do("join", "n5", code=2)
    assert "n5" in do("explain", "colour").splitlines()[0]
    do("leave", "n1")
    until({"n1": "spare"})
    assert do("get", "colour").splitlines()[0] == "red"
    assert "n1" not in do("explain", "colour").splitlines()[0]
    do("remove", "n2")
    assert "let another join first" in do("remove", "n3", code=2)

    cluster.process.send_signal(signal.SIGTERM)
    assert cluster.wait() == 0
