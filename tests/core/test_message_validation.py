"""Frames that are well formed and make no sense are answered, and change nothing."""

from __future__ import annotations

import pytest
from dynamesis.cluster.core.protocol.messages import (
    Gossip,
    Layout,
    Message,
    Refusal,
    ReplicaGet,
    ReplicaGetReply,
    ReplicaPut,
    SyncKey,
    TreeKeys,
    TreeLeaves,
    TreeRoots,
)
from simulator import Simulator

ONE = ("n1",) * 64


@pytest.mark.parametrize(
    ("message", "words"),
    [
        (TreeRoots(1, {64: 0}), "partition is 64; it must be 0 to 63"),
        (TreeLeaves(1, {0: [32]}), "branch is 32"),
        (TreeKeys(1, {0: [-1]}), "leaf is -1"),
        (TreeKeys(1, {-1: [0]}), "partition is -1"),
        (ReplicaPut(1, b"", {}), "the key is 0 bytes"),
        (ReplicaGet(1, b"k" * 1025), "the key is 1025 bytes"),
        (SyncKey(1, b"", None), "the key is 0 bytes"),
        (Gossip(1, Layout(1, "a", (), (), ()), {}), "0 owners"),
        (Gossip(1, Layout(99, "a", ("n1",), ("n1",) * 3, ("n1",) * 3), {}), "3 owners"),
        (Gossip(1, Layout(2**63, "a", ("n1",), ONE, ONE), {}), "version is 9223372036854775808"),
        (Gossip(1, Layout(2, "a", ("n2",), ONE, ONE), {}), "to a node that is not a member"),
        (Gossip(1, Layout(2, "a", ("n1",), ONE, ONE, {77: ("n1",)}), {}), "partition is 77"),
    ],
)
def test_a_senseless_question_is_refused_and_nothing_is_done(message: Message, words: str) -> None:
    sim = Simulator()
    before = sim.nodes["n1"].view.layout
    reply = sim.call("n1", message)
    assert isinstance(reply, Refusal)
    assert reply.code == "bad-request"
    assert words in reply.message
    assert sim.nodes["n1"].view.layout == before
    assert isinstance(sim.call("n1", ReplicaGet(2, b"k", "n2")), ReplicaGetReply)


@pytest.mark.parametrize("limit", [float("inf"), float("nan"), "many"])
def test_a_senseless_page_size_is_refused(limit: object) -> None:
    with pytest.raises(AssertionError, match="dump: bad arguments"):
        Simulator().admin("n1", "dump", limit=limit)


@pytest.mark.parametrize("limit", [-1, 2**70])
def test_any_whole_page_size_gives_a_page(limit: int) -> None:
    sim = Simulator()
    sim.put("n1", b"k", b"v")
    assert len(sim.admin("n1", "dump", limit=limit)["rows"]) <= 1
