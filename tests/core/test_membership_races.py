"""Changes that meet: found by review, each named for what it once did."""

from __future__ import annotations

import pytest
from dynamesis.cluster.core.membership.changes import gone
from dynamesis.cluster.core.membership.membership import ChangeRefused, first_layout
from dynamesis.cluster.core.protocol.messages import Change, Put, PutReply, RequestOptions
from dynamesis.cluster.core.ring.placement import Placement, Rules
from dynamesis.cluster.core.ring.ring import Ring
from simulator import Simulator, alone
from test_membership import KEYS, check_holders, settle


def test_two_leaves_asked_together_do_not_shrink_the_cluster_below_n() -> None:
    sim = Simulator(4)
    sim.admin("n2", "leave", node="n4")
    sim.admin("n3", "leave", node="n2")
    sim.until(lambda: len(sim.nodes["n1"].view.layout.members) == 3, 60)
    sim.run(10)
    assert len(sim.nodes["n1"].view.layout.members) == 3
    assert any(e.event == "change-passed-over" for _, _, e in sim.log)


def test_two_leaves_that_together_break_the_weights_do_not_end_the_claimant() -> None:
    sim = Simulator(6, weights={"n1": 2})
    sim.admin("n2", "leave", node="n6")
    sim.admin("n3", "leave", node="n5")
    sim.until(lambda: len(sim.nodes["n1"].view.layout.members) < 6, 60)
    sim.run(10)
    assert isinstance(sim.put("n2", b"k", b"v"), PutReply)


def test_a_leaver_that_dies_can_be_removed() -> None:
    sim = Simulator()
    for key in KEYS:
        sim.put("n1", key, b"v")
    sim.admin("n1", "leave", node="n5")
    sim.crash("n5")
    sim.run(5)
    assert sim.nodes["n1"].view.layout.owners != sim.nodes["n1"].view.layout.target
    sim.admin("n1", "remove", node="n5")
    settle(sim, "n1", "n2", "n3", "n4")
    sim.until(sim.quiet, 60)
    check_holders(sim)


def test_a_remove_counts_although_a_leave_was_asked_concurrently() -> None:
    layout = first_layout(("n1", "n2", "n3", "n6"), 16, Rules(3))
    requests = {
        "1": Change("1", "remove", "n6"),
        "2": Change("2", "leave", "n6"),
    }
    assert gone(layout, requests) == {"n6"}
    assert gone(layout, {**requests, "3": Change("3", "join", "n6")}) == set()


def test_a_member_whose_removal_was_passed_over_is_waited_for() -> None:
    # found by the storm: hints for it went elsewhere, and partitions moved to it without data
    sim = Simulator(4, partitions=16)
    sim.isolate("n4")
    sim.admin("n2", "leave", node="n3")
    sim.admin("n4", "remove", node="n2")
    sim.run(1)
    sim.heal()
    sim.run(5)
    layout = sim.nodes["n1"].view.layout
    assert layout.members == ("n1", "n2", "n4")
    assert "n2" not in gone(layout, sim.nodes["n1"].membership.requests)


def test_a_node_that_has_no_answer_yet_takes_no_change() -> None:
    membership = alone("n1")
    membership.adopt(first_layout(("n1", "n2", "n3", "n4"), 16, Rules(3)), {})
    membership.informed = False
    with pytest.raises(ChangeRefused, match="has had no answer from another member"):
        membership.request("leave", "n2")


@pytest.mark.parametrize("seed", range(4))
def test_a_former_owner_keeps_what_it_took_after_its_exchanges(seed: int) -> None:
    # both leavers have exchanged all with every new owner, but their partition cannot switch
    # yet; cut off together they acknowledge a put; it switches; then they come back
    sim = Simulator(7, seed)
    leavers = ("n6", "n7")
    sim.isolate("n1")
    sim.run(0.1)
    for node in leavers:
        sim.admin("n2", "leave", node=node)
    sim.run(1.5)
    now = sim.nodes["n1"].view
    stay = tuple(n for n in sim.names if n not in leavers)
    rules = sim.nodes["n1"].rules
    then = rules.ring(rules.claim(stay, 64, now.layout.owners))
    key, partition, owner, newcomer = _held_by_both(now, then, leavers)
    elsewhere = _another_move(now, then, leavers, {owner, newcomer})
    sim.put("n2", key, b"base")
    sim.run(2)
    sim.heal()
    sim.cut |= {(owner, newcomer), (newcomer, owner), elsewhere, elsewhere[::-1]}
    sim.run(12)
    assert not sim.nodes["n6"].view.switched(partition)

    sim.cut = {elsewhere, elsewhere[::-1]}
    sim.isolate(*leavers)
    sim.run(0.05)
    sim._link(owner, newcomer)
    sim._link(newcomer, owner)
    reply = sim.put("n6", key, b"late", sim.get("n6", key).context)
    assert isinstance(reply, PutReply)
    sim.run(4)
    assert sim.nodes["n2"].view.switched(partition)
    sim.cut -= {elsewhere, elsewhere[::-1]}
    sim.heal()
    sim.cut |= {elsewhere, elsewhere[::-1]}
    sim.run(10)
    sim.heal()
    sim.until(sim.quiet, 60)
    assert [v.value for v in sim.get("n2", key).siblings] == [b"late"]


def _held_by_both(
    now: Placement, then: Ring, leavers: tuple[str, ...]
) -> tuple[bytes, int, str, str]:
    """A key that both leavers own, its partition, its third owner, and a newcomer of it."""
    for i in range(300):
        key = b"key-%d" % i
        p = now.partition(key)
        old, new = now.primaries(p), then.primaries(p)
        third = [n for n in old if n not in leavers]
        if set(leavers) <= set(old) and third[0] in new:
            return key, p, third[0], next(n for n in new if n not in old)
    raise AssertionError("no such key")


def _another_move(
    now: Placement, then: Ring, leavers: tuple[str, ...], but: set[str]
) -> tuple[str, str]:
    """A source and a newcomer that, kept apart, hold the layout up and nothing else here."""
    for p in range(64):
        for newcomer in sorted(set(then.primaries(p)) - set(now.primaries(p))):
            for source in sorted(set(now.primaries(p)) - set(leavers)):
                if not {source, newcomer} & but:
                    return source, newcomer
    raise AssertionError("no such move")


def test_a_hint_whose_target_has_gone_does_not_end_as_a_second_copy_on_one_disk() -> None:
    # found by review: it went to the first primary only, which may be the one that stamped
    sim = Simulator(partitions=16)
    for node in sim.nodes.values():
        node.anti_entropy.begin_due = lambda: None  # type: ignore[method-assign]
    key = KEYS[0]
    view = sim.nodes["n1"].view
    first, target, other, fallback, last = view.preference(view.partition(key))
    for name in (target, other, last):
        sim.crash(name)
    assert isinstance(sim.put(first, key, b"v"), PutReply)
    assert set(sim.nodes[fallback].hints.count()) & {target, other}
    (target,) = sim.nodes[fallback].hints.count()
    for name in {other, last, *view.primaries(view.partition(key))} - {first, target}:
        if name not in sim.nodes:
            sim.boot(name)
    for name in sim.nodes:
        sim.nodes[name].anti_entropy.begin_due = lambda: None  # type: ignore[method-assign]
    sim.admin(first, "remove", node=target)
    sim.until(lambda: not sim.nodes[fallback].hints.count())
    assert len(sim.holders(key)) > 1


def test_a_node_that_has_closed_itself_takes_no_partition_from_a_node_without_the_news() -> None:
    # found by the storm: it was asked to join again by a node without the news, fetched a
    # partition from another such, and its only owner gave the rows up to it; then no node
    # took them back
    sim = Simulator(partitions=16, n=1, r=1, w=1)
    for key in KEYS:
        sim.put("n1", key, b"v")
    sim.admin("n1", "leave", node="n5")
    settle(sim, "n1", "n2", "n3", "n4")
    # the others receive nothing of what n5 knows
    learn = {name: sim.nodes[name].gossip._learn for name in sim.names}
    for name in ("n1", "n2", "n3", "n4"):
        sim.nodes[name].gossip._learn = lambda layout, requests, name=name: learn[name](  # type: ignore[method-assign, misc]
            layout, {id: c for id, c in requests.items() if c.kind != "close"}
        )
    sim.until(lambda: not sim.nodes["n5"].takes_part())
    sim.admin("n1", "join", node="n5")
    sim.run(5)
    assert sim.nodes["n5"].trees.objects == 0
    for name in ("n1", "n2", "n3", "n4"):
        sim.nodes[name].gossip._learn = learn[name]  # type: ignore[method-assign]
    settle(sim, "n1", "n2", "n3", "n4")
    sim.until(sim.quiet, 60)
    assert all([v.value for v in sim.get("n1", key).siblings] == [b"v"] for key in KEYS)


def test_a_partition_all_of_whose_owners_were_removed_is_taken_over_empty() -> None:
    sim = Simulator(partitions=16, n=1, r=1, w=1)
    key = next(
        k
        for k in KEYS
        if sim.nodes["n1"].view.primaries(sim.nodes["n1"].view.partition(k)) == ("n5",)
    )
    sim.put("n1", key, b"v")
    sim.crash("n5")
    sim.admin("n1", "remove", node="n5")
    settle(sim, "n1", "n2", "n3", "n4")
    assert isinstance(sim.put("n1", key, b"w"), PutReply)


@pytest.mark.parametrize("moves", [True, False], ids=["while it moves", "before it moves"])
def test_a_node_that_comes_to_own_a_key_while_a_put_is_stored_gets_a_copy(moves: bool) -> None:
    # seen on a busy machine: the put was planned while the partition moved, and sent its copies
    # after it had moved, to those that were its primaries before
    sim = Simulator(5, request_timeout=20.0)
    view = sim.nodes["n1"].view
    rules = sim.nodes["n1"].rules
    then = rules.ring(rules.claim(("n1", "n2", "n3", "n4"), 64, view.layout.owners))
    key, partition, coordinator, newcomer = _that_moves(view, then, "n5")
    sim.put(coordinator, key, b"base")
    put = Put(1, "late", key, b"late", b"", False, RequestOptions())

    def view_of(node: str) -> Placement:
        return sim.nodes[node].view

    if moves:
        sim.admin("n1", "leave", node="n5")
        while newcomer not in view_of(newcomer).primaries(partition):
            sim.run(0.001)
        assert newcomer in view_of(coordinator).pending(partition), (
            "it has not learned yet that this is over"
        )
    sim.lives[coordinator]._batches._sync_time = lambda: 2.0  # type: ignore[method-assign]
    answer = sim.ask(coordinator, put)
    sim.run(0.001)
    if not moves:
        sim.admin("n1", "leave", node="n5")
    sim.until(lambda: answer in sim.replies)
    assert isinstance(sim.replies[answer], PutReply)
    assert newcomer in view_of(coordinator).primaries(partition) + view_of(coordinator).pending(
        partition
    )
    sim.run(2 * sim.latency[1])
    copies = [name for _, name, e in sim.log if e.fields.get("request") == "late"]
    assert newcomer in copies


def _that_moves(now: Placement, then: Ring, leaver: str) -> tuple[bytes, int, str, str]:
    """A key of which an owner that does not leave hands its part on: the key, its partition, that
    owner, and the newcomer."""
    for i in range(300):
        key = b"key-%d" % i
        p = now.partition(key)
        old, new = now.primaries(p), then.primaries(p)
        former, come = [n for n in old if n not in new], [n for n in new if n not in old]
        if former and leaver not in old:
            return key, p, former[0], come[0]
    raise AssertionError("no such key")
