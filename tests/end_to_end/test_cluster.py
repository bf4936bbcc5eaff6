"""A cluster to play with, and the commands that talk to it."""

from __future__ import annotations

import signal

import pytest

from tests.end_to_end.conftest import Run, Start

pytestmark = pytest.mark.cluster


def test_play(start: Start) -> None:
    def do(*arguments: str, code: int = 0) -> Run:
        run = start(*arguments)
        assert run.wait() == code, run.said()
        return run

    cluster = start("cluster", "--nodes", "3")
    cluster.until(lambda: "3 nodes are up" in cluster.said(), "the cluster")

    first = do("put", "colour", "red")
    do("put", "colour", "blue")
    both = do("get", "colour", "--node", "n2").said().splitlines()
    assert sorted(both[:2]) == ["blue", "red"]
    do("put", "colour", "violet", "--context", both[2].removeprefix("context: "))
    assert do("get", "colour").said().splitlines()[0] == "violet"
    assert first.said().splitlines()[1].startswith("context: ")
    do("delete", "colour", "--context", do("get", "colour").said().split()[-1])
    assert do("get", "colour").said().splitlines()[0] == "(deleted)"
    assert do("get", "shape").said().splitlines()[0] == "(nothing)"

    assert [line.split()[:2] for line in do("status").said().splitlines()[1:]] == [
        ["n1", "up"],
        ["n2", "up"],
        ["n3", "up"],
    ]

    do("put", "colour", "x", "--context", "00", code=2)
    assert "up already" in do("cluster", code=4).said()

    cluster.process.send_signal(signal.SIGTERM)
    assert cluster.wait() == 0
    assert "dynamesis cluster" in do("status", code=4).said()
