"""Joins, leaves and removals: the merge as a lattice, and whole clusters that change
under load."""

from __future__ import annotations

import random

import pytest
from dynamesis.cluster.core.membership.changes import claimant
from dynamesis.cluster.core.membership.membership import (
    ChangeRefused,
    first_layout,
    merge_layouts,
)
from dynamesis.cluster.core.protocol.events import Received
from dynamesis.cluster.core.protocol.messages import (
    Change,
    Entry,
    Layout,
    PutReply,
    ReplicaPut,
    Version,
)
from dynamesis.cluster.core.ring.placement import Rules
from hypothesis import given
from hypothesis import strategies as st
from simulator import Simulator, alone

KEYS = [b"key-%d" % i for i in range(60)]


def settle(sim: Simulator, *members: str) -> None:
    """Run until every node of `members` sees exactly these, with nothing on the move."""

    def done() -> bool:
        layouts = [sim.nodes[m].membership.layout for m in members]
        return (
            all(x is not None and x.members == tuple(sorted(members)) for x in layouts)
            and all(x is not None and x.owners == x.target for x in layouts)
            and len({x.version for x in layouts if x is not None}) == 1
        )

    sim.until(done, 60)


def check_ownership(sim: Simulator, *members: str) -> None:
    layout = sim.nodes[members[0]].view.layout
    counts = [layout.owners.count(m) for m in members]
    assert sum(counts) == len(layout.owners)
    assert max(counts) - min(counts) <= 1


def check_holders(sim: Simulator) -> None:
    """Every key is held by its primaries and by no other node."""
    view = sim.nodes["n1"].view
    for key in KEYS:
        assert sorted(sim.holders(key)) == sorted(view.primaries(view.partition(key)))


@pytest.fixture
def loaded() -> Simulator:
    sim = Simulator()
    for key in KEYS:
        assert isinstance(sim.put("n1", key, b"v" + key), PutReply)
    return sim


def test_a_join_moves_data_and_ownership(loaded: Simulator) -> None:
    loaded.add("n6")
    loaded.admin("n2", "join", node="n6")
    settle(loaded, "n1", "n2", "n3", "n4", "n5", "n6")
    loaded.until(loaded.quiet, 60)
    check_ownership(loaded, *loaded.names)
    check_holders(loaded)
    assert loaded.nodes["n6"].ready


def test_a_leaver_gives_everything_away(loaded: Simulator) -> None:
    loaded.admin("n1", "leave", node="n5")
    settle(loaded, "n1", "n2", "n3", "n4")
    loaded.until(lambda: loaded.nodes["n5"].trees.objects == 0, 60)
    loaded.until(loaded.quiet, 60)
    check_ownership(loaded, "n1", "n2", "n3", "n4")
    check_holders(loaded)


def test_the_claimant_may_be_the_last_newcomer() -> None:
    # it ends the plan, and with it all progress, amid the results of its own exchange
    sim = Simulator()
    for key in KEYS[:20]:
        sim.put("n1", key, b"v")
    claimant = sim.nodes["n1"].anti_entropy
    healthy, claimant._healthy = claimant._healthy, lambda peer: False
    sim.admin("n1", "leave", node="n5")
    sim.until(lambda: all(not sim.nodes[n].transfers.incoming() for n in ("n2", "n3", "n4")))
    sim.run(2)
    assert sim.nodes["n1"].transfers.incoming()
    claimant._healthy = healthy
    settle(sim, "n1", "n2", "n3", "n4")


def test_a_dead_node_is_removed_and_its_data_rebuilt(loaded: Simulator) -> None:
    loaded.crash("n1")
    loaded.admin("n2", "remove", node="n1")
    settle(loaded, "n2", "n3", "n4", "n5")
    loaded.until(loaded.quiet, 60)
    view = loaded.nodes["n2"].view
    for key in KEYS:
        assert sorted(loaded.holders(key)) == sorted(view.primaries(view.partition(key)))


def test_a_removed_node_that_returns_is_not_revived_and_gives_up_what_it_has(
    loaded: Simulator,
) -> None:
    loaded.isolate("n5")
    loaded.run(0.1)
    loaded.put("n5", b"alone", b"x", w=1)
    loaded.admin("n1", "remove", node="n5")
    settle(loaded, "n1", "n2", "n3", "n4")
    loaded.heal()
    loaded.until(lambda: loaded.nodes["n5"].membership.layout.members == ("n1", "n2", "n3", "n4"))
    loaded.until(lambda: loaded.nodes["n5"].trees.objects == 0, 60)
    loaded.until(loaded.quiet, 60)
    assert [v.value for v in loaded.get("n1", b"alone").siblings] == [b"x"]
    settle(loaded, "n1", "n2", "n3", "n4")


def test_hints_for_a_node_that_has_left_go_to_the_primaries(loaded: Simulator) -> None:
    loaded.isolate("n5")
    loaded.run(0.1)
    for key in KEYS:
        context = loaded.get("n1", key).context
        loaded.put("n1", key, b"new", context)
    assert any("n5" in node.hints.count() for node in loaded.nodes.values())
    loaded.admin("n1", "remove", node="n5")
    settle(loaded, "n1", "n2", "n3", "n4")
    loaded.until(lambda: not any(n.hints.count() for k, n in loaded.nodes.items() if k != "n5"))


def test_a_hint_whose_target_owns_the_key_no_longer_does_not_stick() -> None:
    # found by the load test below: the ring moved on while the hint was waiting
    sim = Simulator()
    key = next(k for k in KEYS if "n4" in _primaries(sim, k))
    sim.admin("n1", "leave", node="n4")
    settle(sim, "n1", "n2", "n3", "n5")
    state = {"x:1:1": Entry(1, ((1, Version(b"v")),))}
    sim.feed("n3", Received(10**6, "n1", ReplicaPut(1, key, state, "n4")))
    sim.run(0.05)
    assert sim.nodes["n3"].hints.count() == {"n4": 1}
    sim.until(lambda: not sim.nodes["n3"].hints.count())
    sim.run(2)
    sim.until(sim.quiet)
    assert [v.value for v in sim.get("n1", key).siblings] == [b"v"]


def _primaries(sim: Simulator, key: bytes) -> tuple[str, ...]:
    view = sim.nodes["n1"].view
    return view.primaries(view.partition(key))


def test_a_newcomer_killed_in_mid_transfer_continues(loaded: Simulator) -> None:
    loaded.add("n6")
    loaded.latency = (0.02, 0.05)
    loaded.admin("n2", "join", node="n6")
    loaded.until(lambda: loaded.nodes["n6"].trees.objects > 5)
    loaded.crash("n6")
    loaded.run(1)
    loaded.boot("n6")
    loaded.latency = (0.0002, 0.002)
    settle(loaded, *loaded.names)
    loaded.until(loaded.quiet, 60)
    check_holders(loaded)


def test_ownership_does_not_switch_while_a_source_cannot_be_reached(loaded: Simulator) -> None:
    loaded.add("n6")
    loaded.cut |= {("n6", "n3"), ("n3", "n6")}
    loaded.admin("n2", "join", node="n6")
    loaded.run(20)
    layout = loaded.nodes["n1"].view.layout
    assert layout.owners != layout.target
    waiting = loaded.admin("n6", "status")["moving"]
    assert waiting
    assert all(line["waiting_for"] == ["n3"] for line in waiting if line["state"] == "receiving")


def test_the_claimant_may_be_the_one_to_go(loaded: Simulator) -> None:
    loaded.admin("n1", "leave", node="n1")
    settle(loaded, "n2", "n3", "n4", "n5")


def test_two_joins_asked_together_on_two_sides_of_a_cut_both_come_true(loaded: Simulator) -> None:
    loaded.add("n6")
    loaded.add("n7")
    loaded.isolate("n1", "n2", "n6")
    loaded.run(0.1)
    loaded.admin("n1", "join", node="n6")
    loaded.admin("n3", "join", node="n7")
    loaded.run(3)
    loaded.heal()
    for a in loaded.names:
        for b in loaded.names:
            if a != b:
                loaded._link(a, b)
    settle(loaded, *loaded.names)
    loaded.until(loaded.quiet, 60)
    check_ownership(loaded, *loaded.names)
    check_holders(loaded)


def test_a_node_with_no_seed_in_reach_forms_no_ring_of_its_own() -> None:
    sim = Simulator()
    sim.cut |= {(a, b) for n in sim.names for a, b in (("n6", n), (n, "n6"))}
    sim.add("n6")
    sim.run(30)
    assert sim.nodes["n6"].membership.layout is None
    assert not sim.nodes["n6"].ready
    assert sim.put("n6", b"k", b"v").code == "not-ready"


@pytest.mark.parametrize(
    ("kind", "node", "words"),
    [
        ("join", "n3", "n3 is a member already"),
        ("leave", "n9", "n9 is not a member; members are n1, n2, n3, n4, n5"),
    ],
)
def test_changes_that_make_no_sense_are_refused(kind: str, node: str, words: str) -> None:
    membership = alone("n1")
    membership.adopt(first_layout(("n1", "n2", "n3", "n4", "n5"), 16, Rules(3)), {})
    with pytest.raises(ChangeRefused, match=words):
        membership.request(kind, node)  # type: ignore[arg-type]


def test_no_cluster_shrinks_below_n() -> None:
    membership = alone("n1")
    membership.adopt(first_layout(("n1", "n2", "n3"), 16, Rules(3)), {})
    with pytest.raises(ChangeRefused, match="let another join first"):
        membership.request("leave", "n3")


@pytest.mark.parametrize("seed", range(3))
def test_no_acknowledged_write_is_lost_while_two_join_and_two_leave(seed: int) -> None:
    sim = Simulator(seed=seed)
    rng = random.Random(seed)
    acked: dict[bytes, set[bytes]] = {key: set() for key in KEYS[:40]}
    refused = 0
    steps = [
        (50, lambda: [sim.add("n6"), sim.add("n7")]),
        (60, lambda: [sim.admin("n2", "join", node="n6"), sim.admin("n3", "join", node="n7")]),
        (400, lambda: sim.admin("n2", "leave", node="n1")),
        (420, lambda: sim.admin("n4", "leave", node="n5")),
    ]
    for i in range(800):
        for at, action in steps:
            if at == i:
                action()
        key = rng.choice(sorted(acked))
        value = b"%d" % i
        reply = sim.put(rng.choice(["n2", "n3", "n4"]), key, value)
        if isinstance(reply, PutReply):
            acked[key].add(value)
        else:
            refused += 1
        sim.run(rng.uniform(0, 0.02))
    settle(sim, "n2", "n3", "n4", "n6", "n7")
    sim.until(sim.quiet, 120)
    assert refused == 0
    for key, values in acked.items():
        assert {v.value for v in sim.get("n2", key).siblings} == values
    check_ownership(sim, "n2", "n3", "n4", "n6", "n7")


# ---- the merge

layouts = st.builds(
    Layout,
    version=st.integers(1, 3),
    author=st.sampled_from(["n1", "n2"]),
    members=st.just(("n1", "n2")),
    owners=st.just(("n1", "n2")),
    target=st.sampled_from([("n1", "n2"), ("n2", "n1")]),
    ready=st.dictionaries(
        st.integers(0, 1), st.sets(st.sampled_from("ab")).map(lambda s: tuple(sorted(s)))
    ),
)


@given(layouts, layouts, layouts)
def test_merging_layouts_is_a_join(a: Layout, b: Layout, c: Layout) -> None:
    assert merge_layouts(a, b) == merge_layouts(b, a)
    assert merge_layouts(a, merge_layouts(b, c)) == merge_layouts(merge_layouts(a, b), c)
    assert merge_layouts(a, a) == merge_layouts(merge_layouts(a, a), a)


def test_a_node_that_is_asked_to_go_is_not_the_claimant() -> None:
    layout = first_layout(("n1", "n2", "n3"), 8, Rules(2))
    assert claimant(layout, {}) == "n1"
    assert claimant(layout, {"x": Change("x", "remove", "n1")}) == "n2"


def test_a_join_that_waits_for_a_dead_node_reports_it_and_what_to_do() -> None:
    sim = Simulator()
    for i in range(50):
        sim.put("n1", b"k%d" % i, b"v")
    sim.crash("n3")
    sim.add("n6")
    sim.run(2)
    sim.admin("n1", "join", node="n6")
    sim.run(30)
    for name in ("n1", "n6"):
        view = sim.admin(name, "status")["membership"]
        assert not view["settled"]
        assert list(view["waits_for"]) == ["n3"]
        assert "n6 has partitions to fetch from it" in view["waits_for"]["n3"]
        assert view["waits_for"]["n3"].endswith("if it will not come back, remove n3")
    waiting = [m for m in sim.admin("n6", "status")["moving"] if m["waiting_for"]]
    assert waiting
    for move in waiting:
        assert (move["waiting_for"], move["down"], move["eta"]) == (["n3"], ["n3"], None)
    sim.admin("n1", "remove", node="n3")
    sim.run(30)
    for name in ("n1", "n2", "n4", "n5", "n6"):
        view = sim.admin(name, "status")["membership"]
        assert view["settled"]
        assert view["waits_for"] == {}
    for i in range(50):
        assert [v.value for v in sim.get("n6", b"k%d" % i).siblings] == [b"v"]


def test_a_newcomer_that_died_is_reported_too() -> None:
    sim = Simulator()
    for i in range(50):
        sim.put("n1", b"k%d" % i, b"v")
    sim.add("n6")
    sim.run(0.5)
    sim.admin("n1", "join", node="n6")
    sim.crash("n6")
    sim.run(10)
    view = sim.admin("n2", "status")["membership"]
    assert list(view["waits_for"]) == ["n6"]
    assert "it is to own partitions" in view["waits_for"]["n6"]


def waits_for(sim: Simulator, *names: str) -> dict[str, str]:
    """What a change waits for, of which these nodes have the same."""
    found = [sim.admin(name, "status")["membership"]["waits_for"] for name in names]
    assert all(each == found[0] for each in found)
    return dict(found[0])


def until_held(sim: Simulator, node: str) -> None:
    """Run until the members have every key at its primaries, as `node` sees them, and nowhere
    else, apart from what lies on the disks of the dead."""
    view = sim.nodes[node].view

    def held() -> bool:
        return all(
            set(sim.holders(key)) == set(view.primaries(view.partition(key))) for key in KEYS
        )

    sim.until(held, 60)
    for key in KEYS:
        assert [v.value for v in sim.get(node, key).siblings] == [b"v" + key]


@pytest.mark.parametrize(("kind", "node"), [("join", "n6"), ("leave", "n2")])
def test_a_change_whose_claimant_is_dead_is_reported_before_it_begins(
    loaded: Simulator, kind: str, node: str
) -> None:
    """No layout has it yet: it is asked for, and the members are as before."""
    loaded.crash("n1")
    loaded.add("n6")
    loaded.run(2)
    loaded.admin("n3", kind, node=node)
    loaded.run(30)
    [(dead, why)] = waits_for(loaded, "n3", "n4").items()
    assert dead == "n1"
    assert f"to begin what was asked for ({kind} {node})" in why
    assert why.endswith("if it will not come back, remove n1")
    loaded.admin("n3", "remove", node="n1")
    after = ("n2", "n3", "n4", "n5", "n6") if kind == "join" else ("n3", "n4", "n5")
    settle(loaded, *after)
    assert waits_for(loaded, "n3", "n4") == {}
    until_held(loaded, "n3")


def test_a_change_whose_claimant_died_is_reported_at_its_end(loaded: Simulator) -> None:
    """All has come, and no node ends the change, until the claimant comes back."""
    loaded.crash("n4")
    loaded.add("n6")
    loaded.run(1)
    loaded.admin("n1", "join", node="n6")
    loaded.run(5)
    loaded.crash("n1")
    loaded.admin("n2", "remove", node="n4")
    loaded.run(30)
    [(dead, why)] = waits_for(loaded, "n2", "n6").items()
    assert (dead, "to end the change under way" in why) == ("n1", True)
    loaded.boot("n1")
    settle(loaded, "n1", "n2", "n3", "n5", "n6")
    assert waits_for(loaded, "n1", "n2", "n6") == {}


def test_a_join_during_a_cut_waits_for_the_claimant_beyond_it(loaded: Simulator) -> None:
    loaded.add("n6")
    loaded.run(1)
    loaded.isolate("n1", "n2")
    loaded.run(5)
    loaded.admin("n4", "join", node="n6")
    loaded.run(10)
    assert list(waits_for(loaded, "n3", "n4", "n6")) == ["n1"]
    assert waits_for(loaded, "n1", "n2") == {}  # no news of it there
    loaded.heal()
    settle(loaded, "n1", "n2", "n3", "n4", "n5", "n6")
    assert waits_for(loaded, "n1", "n4", "n6") == {}


@pytest.mark.parametrize("cancel", ["leave", "remove"])
def test_a_join_that_waits_can_be_cancelled(loaded: Simulator, cancel: str) -> None:
    loaded.crash("n4")
    loaded.add("n6")
    loaded.run(1)
    loaded.admin("n1", "join", node="n6")
    loaded.run(20)
    loaded.admin("n1", cancel, node="n6")
    loaded.run(20)
    assert list(waits_for(loaded, "n1", "n2")) == ["n4"]
    loaded.boot("n4")
    settle(loaded, "n1", "n2", "n3", "n4", "n5")
    until_held(loaded, "n1")


def test_two_joins_and_two_dead_nodes_end_once_both_are_removed(loaded: Simulator) -> None:
    for dead in ("n4", "n5"):
        loaded.crash(dead)
    for new in ("n6", "n7"):
        loaded.add(new)
    loaded.run(2)
    loaded.admin("n1", "join", node="n6")
    loaded.admin("n2", "join", node="n7")
    loaded.run(20)
    loaded.crash("n6")
    loaded.run(10)
    assert list(waits_for(loaded, "n1", "n2")) == ["n4", "n5", "n6"]
    loaded.boot("n6")
    loaded.admin("n7", "remove", node="n4")
    loaded.run(20)
    assert list(waits_for(loaded, "n1", "n6")) == ["n5"]
    loaded.admin("n1", "remove", node="n5")
    settle(loaded, "n1", "n2", "n3", "n6", "n7")
    until_held(loaded, "n1")


def test_an_estimate_never_grows_while_nothing_comes() -> None:
    sim = Simulator()
    for i in range(50):
        sim.put("n1", b"k%d" % i, b"v")
    sim.add("n6")
    sim.run(0.5)
    sim.latency = (0.02, 0.08)
    sim.admin("n1", "join", node="n6")
    before: dict[int, tuple[int, float]] = {}
    grown = []
    for _ in range(1000):
        sim.run(0.005)
        moves = sim.admin("n6", "status")["moving"]
        left = sum(m["state"] == "receiving" for m in moves)
        etas = {m["eta"] for m in moves if m["eta"] is not None}
        assert len(etas) <= 1
        if etas:
            (eta,) = etas
            if left in before and eta > before[left][1] + 0.1:
                grown.append((left, before[left], eta))
            before[left] = (left, eta)
    assert before
    assert not grown
