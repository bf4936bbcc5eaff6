"""A node that has gone brings nothing back: no value that was deleted and reaped meanwhile."""

from __future__ import annotations

import msgspec
import pytest
from dynamesis.cluster.core.membership.changes import (
    change_id,
    closed,
    former,
    gone,
    participants,
)
from dynamesis.cluster.core.membership.membership import ChangeRefused, first_layout
from dynamesis.cluster.core.node.node import Node
from dynamesis.cluster.core.protocol.events import Received
from dynamesis.cluster.core.protocol.messages import Change, Put, PutReply, ReplicaPut
from dynamesis.cluster.core.ring.placement import Rules
from dynamesis.cluster.zoo.outside import changed_by
from simulator import Simulator, alone
from test_membership import settle

REST = ("n1", "n2", "n3", "n4")
KEYS = [b"key-%d" % i for i in range(20)]


def delete(sim: Simulator, name: str, key: bytes) -> None:
    sim._sequence += 1
    context = sim.get(name, key).context
    put = Put(1, f"r{sim._sequence}", key, b"gone", context, deleted=True)
    assert isinstance(sim.call(name, put), PutReply)


def held_by(sim: Simulator, *names: str) -> list[bytes]:
    """The keys that any of these nodes holds."""
    return [key for key in KEYS if set(sim.holders(key)) & set(names)]


def forgetful(node: Node) -> None:
    """A reaper that asks members only, in a cluster that closes no node and takes states
    from every node."""
    node.reaper.peers = lambda: [m for m in node.view.layout.members if m != node.params.node]
    node.reaper.fingerprint = lambda: node.view.layout.version
    node.dispatch._takes_part = lambda peer: True  # type: ignore[method-assign]
    node.decommission._close = lambda node: None  # type: ignore[method-assign]


def has_gone(kind: str, reap_after: float, node_class: type[Node] = Node) -> Simulator:
    """n5, full of values, has left or was removed, and is out of reach with all that it had;
    then everything is deleted."""
    sim = Simulator(partitions=16, reap_after=reap_after, node_class=node_class)
    for key in KEYS:
        sim.put("n1", key, b"v")
    sim.until(sim.quiet)
    if kind == "remove":
        sim.isolate("n5")
    sim.admin("n1", kind, node="n5")
    settle(sim, *REST)
    sim.isolate("n5")
    sim.run(0.1)
    assert held_by(sim, "n5")
    for key in KEYS:
        delete(sim, "n2", key)
    return sim


def shown(sim: Simulator) -> list[bytes]:
    """The values that clients see."""
    return [v.value for key in KEYS for v in sim.get("n1", key).siblings if not v.deleted]


@pytest.mark.parametrize("kind", ["leave", "remove"])
def test_without_a_guard_the_values_walk_back(kind: str) -> None:
    sim = has_gone(kind, 0.5, changed_by(forgetful))
    sim.until(lambda: not held_by(sim, *REST))
    sim.heal()
    sim.run(5)
    assert b"v" in shown(sim)


def test_nothing_is_reaped_while_a_leaver_may_still_bring_an_old_value() -> None:
    sim = has_gone("leave", 0.5)
    sim.run(20)
    assert held_by(sim, *REST) == KEYS
    sim.heal()
    sim.until(lambda: not held_by(sim, *sim.names), 60)
    sim.until(sim.quiet)
    assert shown(sim) == []
    assert sim.admin("n1", "status")["membership"]["former"] == []


def test_a_removed_node_that_comes_back_in_time_gives_what_it_has_and_nothing_walks_back() -> None:
    sim = has_gone("remove", 5.0)
    sim.put("n5", b"alone", b"x", w=1)
    assert held_by(sim, *REST) == KEYS
    sim.heal()
    sim.until(lambda: not held_by(sim, *sim.names), 60)
    sim.until(sim.quiet)
    assert shown(sim) == []
    assert [v.value for v in sim.get("n1", b"alone").siblings] == [b"x"]


@pytest.mark.parametrize("seed", range(3))
def test_a_removed_node_that_comes_back_too_late_brings_nothing(seed: int) -> None:
    sim = has_gone("remove", 2.0)
    sim.random.seed(seed)
    sim.until(lambda: not held_by(sim, *REST), 60)
    sim.crash("n5")  # started again with its old disk, and an old view of the ring
    sim.heal()
    sim.boot("n5")
    sim.until(lambda: not held_by(sim, "n5"))
    sim.run(5)
    sim.until(sim.quiet)
    assert held_by(sim, *sim.names) == []
    assert shown(sim) == []


def test_a_leaver_that_died_on_the_way_is_waited_for_until_it_is_removed() -> None:
    sim = has_gone("leave", 2.0)
    sim.crash("n5")
    sim.heal()
    sim.run(20)
    assert held_by(sim, *REST) == KEYS
    assert sim.admin("n1", "status")["membership"]["former"] == ["n5"]
    sim.admin("n1", "remove", node="n5")
    sim.until(lambda: not held_by(sim, *REST), 60)


def test_hints_of_a_node_that_was_closed_go_nowhere() -> None:
    sim = Simulator(partitions=16, reap_after=2.0)
    key = KEYS[0]
    view = sim.nodes["n1"].view
    sim.isolate("n5")
    sim.run(0.1)
    target = next(n for n in view.preference(view.partition(key)) if n != "n5")
    sim.put("n5", key, b"v", w=1)
    assert target in sim.nodes["n5"].hints.count() or held_by(sim, "n5")
    sim.admin("n1", "remove", node="n5")
    settle(sim, *REST)
    sim.until(lambda: closed(sim.nodes["n1"].membership.requests) == {"n5"})
    sim.heal()
    sim.until(lambda: not sim.nodes["n5"].hints.count() and not held_by(sim, "n5"))
    sim.run(3)
    assert held_by(sim, *sim.names) == []


def test_a_leaver_closes_itself_and_is_then_neither_asked_nor_listened_to() -> None:
    sim = Simulator(partitions=16, reap_after=0.5)
    sim.put("n1", KEYS[0], b"v")
    sim.admin("n1", "leave", node="n5")
    settle(sim, *REST)
    sim.until(lambda: closed(sim.nodes["n1"].membership.requests) == {"n5"})
    sim.run(0.1)
    state = sim.nodes["n1"].objects.get(sim.nodes["n1"].replica.row(KEYS[0]))
    state = {} if state is None else state.state
    for target, stranger in (("n1", "n5"), ("n5", "n1")):
        sim._sequence += 1
        channel = sim._sequence
        put = ReplicaPut(1, b"late", state, "n2")
        sim.feed(target, Received(channel, stranger, put))
        sim.until(lambda channel=channel: channel in sim.replies)
        assert sim.replies[channel].error == "not-member"
    sim.crash("n5")
    delete(sim, "n1", KEYS[0])
    sim.until(lambda: not held_by(sim, *REST))


# ---- the parts


def test_a_name_that_was_closed_is_never_taken_again() -> None:
    membership = alone("n1")
    membership.adopt(first_layout(("n1", "n2", "n3", "n4"), 16, Rules(3)), {})
    membership.close("n9")
    with pytest.raises(ChangeRefused, match="takes another name"):
        membership.request("join", "n9")


def test_a_node_that_left_or_was_removed_takes_part_until_closed() -> None:
    layout = first_layout(("n1", "n2", "n3"), 16, Rules(2))
    requests = {
        id: Change(id, kind, node)  # type: ignore[arg-type]
        for id, kind, node in (("1", "leave", "n4"), ("2", "remove", "n5"), ("3", "remove", "n1"))
    }
    layout = msgspec.structs.replace(layout, applied=("1", "2", "3"))
    assert former(layout, requests) == {"n4", "n5"}  # n1's removal was passed over
    assert participants(layout, requests) == {"n1", "n2", "n3", "n4", "n5"}
    requests["4"] = Change("4", "close", "n5")
    assert participants(layout, requests) == {"n1", "n2", "n3", "n4"}
    assert "n5" in gone(layout, requests)


def test_ids_are_never_the_same_and_sort_by_what_their_authors_knew() -> None:
    first = change_id({}, "n1", 1, "leave", "n5")
    again = change_id({}, "n1", 2, "leave", "n5")  # another life, that has forgotten the first
    assert first != again
    known = {first: Change(first, "leave", "n5")}
    for i in range(12):
        next_id = change_id(known, "n1" if i % 2 else "a", 3, "join", "n6")
        assert next_id > max(known)
        known[next_id] = Change(next_id, "join", "n6")
