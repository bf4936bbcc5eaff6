"""Frames that are well formed and make no sense are answered, and change nothing."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from dynamesis.cluster.core.protocol.events import Emit, Received
from dynamesis.cluster.core.protocol.messages import (
    Answer,
    Change,
    Entry,
    Gossip,
    GossipReply,
    Key,
    Layout,
    Message,
    Ping,
    Refusal,
    ReplicaGet,
    ReplicaGetReply,
    ReplicaPut,
    State,
    SyncKey,
    SyncKeyReply,
    TreeKeys,
    TreeKeysReply,
    TreeLeaves,
    TreeLeavesReply,
    TreeRoots,
    TreeRootsReply,
    Version,
)
from dynamesis.cluster.core.runtime.runtime import Failure
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
        (ReplicaGet(1, b"k" * 1723), "the key is 1723 bytes"),
        (SyncKey(1, b"", None), "the key is 0 bytes"),
        (ReplicaGet(1, b"k", ""), "it is empty"),
        (ReplicaGet(1, b"k", "n\0"), "cannot be printed"),
        (ReplicaPut(1, b"k", {}, "n" * 256), "it is over 255 bytes"),
        (Gossip(1, Layout(1, "a", (), (), ()), {}), "0 owners"),
        (Gossip(1, Layout(2, "a", ("n1", "n1"), ONE, ONE), {}), "or one twice"),
        (Gossip(1, Layout(2, "a", ("",), ("",) * 64, ("",) * 64), {}), "it is empty"),
        (Gossip(1, None, {"000001-x": Change("000001-x", "join", "")}), "it is empty"),
        (Gossip(1, None, {"000001-x": Change("000001-y", "join", "n2")}), "is called '000001-x'"),
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


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (TreeRootsReply(7, {64: []}), "partition is 64"),
        (TreeLeavesReply(7, {0: {1024: 0}}), "leaf is 1024"),
        (TreeLeavesReply(7, {0: {-1: 0}}), "leaf is -1"),
        (TreeLeavesReply(7, {2**63: {0: 0}}), "partition is 9223372036854775808"),
        (TreeKeysReply(7, {b"": 0}), "the key is 0 bytes"),
        (TreeKeysReply(7, {b"k" * 1723: 0}), "the key is 1723 bytes"),
        (GossipReply(7, Layout(9, "a", ("n1",), ("n1",) * 3, ("n1",) * 3), {}), "3 owners"),
        (GossipReply(7, Layout(9, "a", ("n\0",), ("n\0",) * 64, ("n\0",) * 64), {}), "printed"),
        (GossipReply(7, None, {"1": Change("1", "join", "n4")}), "is called '1'"),
    ],
)
def test_a_senseless_answer_counts_as_a_refusal(answer: Answer, words: str) -> None:
    node = Simulator().nodes["n1"]
    before = node.membership.layout
    given = list[Answer | Failure]()
    node.runtime.call("n2", lambda rid: Ping(7), 1.0, given.append)
    (rid,) = node.runtime._calls
    effects = node.handle(0.0, Received(None, "n2", msgspec.structs.replace(answer, rid=rid)))
    (refusal,) = given
    assert isinstance(refusal, Refusal)
    assert words in refusal.message
    assert any(isinstance(effect, Emit) and effect.event == "senseless" for effect in effects)
    assert node.membership.layout == before


@pytest.mark.parametrize("name", ["", "a\0b", "a\nb", "n" * 256, None, 5, b"n4", ["n4"]])
@pytest.mark.parametrize("kind", ["join", "leave", "remove"])
def test_a_node_that_cannot_be_called_that_is_not_let_in(kind: str, name: object) -> None:
    sim = Simulator()
    with pytest.raises(AssertionError, match="is not a name"):
        sim.admin("n1", kind, node=name)
    assert not sim.nodes["n1"].membership.requests


HELD = Entry(1, ((1, Version(b"v")),))


@pytest.mark.parametrize("state", [{"n1=1@0": Entry(1)}, {"x:1:1": HELD}, {"n1=1": HELD}])
def test_a_state_of_another_clock_is_not_merged_with_vectors(state: State) -> None:
    """Read as vectors, such states end in exceptions."""
    sim = Simulator(clock="vector")
    for question in (ReplicaPut(1, b"k", state), SyncKey(1, b"k", state)):
        reply = sim.call("n1", question)
        assert isinstance(reply, Refusal)
        assert "none of plain vectors" in reply.message
    node = sim.nodes["n1"]
    for answer in (ReplicaGetReply(1, state), SyncKeyReply(1, state)):
        given = list[Answer | Failure]()
        node.runtime.call("n2", Ping, 1.0, given.append)
        (rid,) = node.runtime._calls
        node.handle(0.0, Received(None, "n2", msgspec.structs.replace(answer, rid=rid)))
        assert isinstance(given[0], Refusal)


def test_a_key_that_was_stored_under_a_higher_limit_is_still_repaired_and_moved() -> None:
    sim = Simulator()
    long, state = Key(b"k" * 1500), {"x:1:1": Entry(1, ((1, Version(b"v")),))}
    view = sim.nodes["n1"].view
    owner, peer, *_ = view.primaries(view.partition(long))

    def answer(channel: int, question: Message) -> Any:
        sim.feed(owner, Received(channel, peer, question))
        sim.until(lambda: channel in sim.replies)
        return sim.replies[channel]

    assert answer(901, ReplicaPut(1, long, state)).error is None
    assert answer(902, ReplicaGet(2, long)).state == state
    assert answer(903, SyncKey(3, long, state)).state == state
    assert sim.get(owner, long).code == "key-too-large"


@pytest.mark.parametrize("limit", [float("inf"), float("nan"), "many"])
def test_a_senseless_page_size_is_refused(limit: object) -> None:
    with pytest.raises(AssertionError, match="dump: bad arguments"):
        Simulator().admin("n1", "dump", limit=limit)


@pytest.mark.parametrize("limit", [-1, 2**70])
def test_any_whole_page_size_gives_a_page(limit: int) -> None:
    sim = Simulator()
    sim.put("n1", b"k", b"v")
    assert len(sim.admin("n1", "dump", limit=limit)["rows"]) <= 1
