"""A cluster to play with, and the commands that talk to it."""

from __future__ import annotations

import signal

import pytest

from tests.end_to_end.conftest import Run, Start

pytestmark = pytest.mark.cluster


def test_play(start: Start) -> None:
    def do(*arguments: str) -> Run:
        run = start(*arguments)
        run.wait()
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

    status = do("status")
    assert status.process.returncode == 0
    assert [line.split()[:2] for line in status.said().splitlines()[1:]] == [
        ["n1", "up"],
        ["n2", "up"],
        ["n3", "up"],
    ]

    too_large = do("put", "colour", "x" * 70_000, "--context", "00")
    assert too_large.process.returncode == 2
    second = do("cluster")
    assert second.process.returncode == 4
    assert "up already" in second.said()

    cluster.process.send_signal(signal.SIGTERM)
    assert cluster.wait() == 0
    gone = do("status")
    assert gone.process.returncode == 4
    assert "dynamesis cluster" in gone.said()
