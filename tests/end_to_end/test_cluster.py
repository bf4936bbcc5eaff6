"""A cluster to play with, and the commands that talk to it."""

from __future__ import annotations

import json
import os
import re
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
        cluster.until(lambda: state.items() <= states().items(), f"{state}")

    def placed() -> str:
        """Where the key lies now."""
        return do("explain", "colour").splitlines()[0]

    def members() -> set[str]:
        """All that some node takes for a member."""
        answers = json.loads(do("status", "--json")).values()
        known = [each["membership"] or {"members": ()} for each in answers if each is not None]
        return {member for each in known for member in each["members"]}

    cluster = start("cluster", "--nodes", "4", "--spare", "1", "--storage", "memory")
    cluster.until(lambda: "5 nodes are up" in cluster.printed(), "the cluster")
    until({"n1": "up", "n2": "up", "n3": "up", "n4": "up", "n5": "spare"})

    do("put", "colour", "red")
    assert placed().startswith("partition ")
    # the third copy comes when it comes: the put was acknowledged with two
    cluster.until(lambda: do("explain", "colour").count("  red\n") == 3, "three copies")
    # by what has reached it of the ring so far
    alone = r"n5: (n5 has not joined a cluster|compares with no other node)"
    assert re.search(alone, do("repair"))

    do("join", "n5")
    until({"n5": "up"})
    assert "a member already" in do("join", "n5", code=2)
    cluster.until(lambda: "n5" in placed(), "the key on n5")
    do("leave", "n1")
    until({"n1": "spare"})
    assert do("get", "colour").splitlines()[0] == "red"
    cluster.until(lambda: "n1" not in placed(), "the key on others than n1")
    do("remove", "n2")
    # a node that it has not reached yet would take the next one too
    cluster.until(lambda: members() == {"n3", "n4", "n5"}, "the end of n2's membership")
    assert "let another join first" in do("remove", "n3", code=2)

    cluster.process.send_signal(signal.SIGTERM)
    assert cluster.wait() == 0
