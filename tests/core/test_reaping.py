"""Tombstones are reaped everywhere or nowhere, and nothing walks back."""

from __future__ import annotations

from typing import Any

import pytest
from dynamesis.cluster.core.protocol.messages import GetReply, Put, PutReply
from dynamesis.cluster.core.replication.key_barrier import KeyBarriers
from simulator import Simulator

KEY = b"cart"


def order(sim: Simulator) -> tuple[str, ...]:
    view = sim.nodes["n1"].view
    return view.preference(view.partition(KEY))


def remove(sim: Simulator, name: str, context: bytes, value: bytes = b"gone") -> Any:
    sim._sequence += 1
    return sim.call(name, Put(1, f"r{sim._sequence}", KEY, value, context, deleted=True))


def empty(sim: Simulator) -> bool:
    """Whether no primary holds a record of the key."""
    return not sim.holders(KEY)


def dead(sim: Simulator) -> str:
    """Write the key and delete it; the name of its first primary."""
    first = order(sim)[0]
    reply = sim.put(first, KEY, b"v")
    assert isinstance(remove(sim, first, reply.context), PutReply)
    return first


def without_the_guard(sim: Simulator) -> None:
    """What a reaper does that asks the primaries only."""
    for name in sim.nodes:
        node = sim.nodes[name]
        node.reaper.peers = lambda node=node, name=name: [  # type: ignore[misc]
            p for p in node.view.primaries(node.view.partition(KEY)) if p != name
        ]


def test_a_tombstone_is_reaped_by_all_once_it_is_old_enough() -> None:
    sim = Simulator(reap_after=2.0)
    dead(sim)
    sim.run(1.5)
    assert set(sim.holders(KEY)) == set(order(sim)[:3])
    sim.until(lambda: empty(sim))
    sim.until(sim.quiet)
    assert empty(sim)
    assert all(not any(node.trees._forest.roots().values()) for node in sim.nodes.values())


@pytest.mark.parametrize("reap_after", [0.0, 3600.0])
def test_before_that_and_with_zero_it_stays(reap_after: float) -> None:
    sim = Simulator(reap_after=reap_after)
    dead(sim)
    sim.run(30)
    assert set(sim.holders(KEY)) == set(order(sim)[:3])


def test_a_change_begins_the_wait_again() -> None:
    sim = Simulator(reap_after=1.0)
    first = dead(sim)
    for i in range(6):
        sim.run(0.6)
        assert not empty(sim)
        remove(sim, first, sim.get(first, KEY).context, b"gone%d" % i)
    sim.until(lambda: empty(sim))


def test_a_key_with_a_living_sibling_is_not_reaped() -> None:
    sim = Simulator(reap_after=0.2)
    first = dead(sim)
    sim.put(first, KEY, b"alive")
    sim.run(5)
    assert all(b"alive" in values for values in sim.holders(KEY).values())


def test_a_re_created_key_lives_and_its_tombstone_stays_gone() -> None:
    sim = Simulator(reap_after=0.2)
    first = dead(sim)
    sim.until(lambda: empty(sim))
    sim.put(first, KEY, b"again")
    sim.until(sim.quiet)
    assert all(values == {b"again"} for values in sim.holders(KEY).values())
    assert len(sim.holders(KEY)) == 3


def test_no_primary_reaps_while_one_is_away() -> None:
    sim = Simulator(reap_after=0.2)
    away = order(sim)[2]
    sim.isolate(away)
    sim.run(0.1)
    dead(sim)
    sim.run(5)
    assert not empty(sim)
    sim.heal()
    sim.until(lambda: empty(sim))


def old_hint(sim: Simulator) -> str:
    """A fallback goes down with a hint for a primary: a value that is then deleted, on all
    primaries. The fallback's name."""
    primary, fallback = order(sim)[2], order(sim)[3]
    sim.isolate(primary)
    sim.run(0.1)
    reply = sim.put(order(sim)[0], KEY, b"v")
    sim.until(lambda: sim.nodes[fallback].hints.count() == {primary: 1})
    sim.crash(fallback)
    sim.heal()
    sim.run(0.1)
    remove(sim, order(sim)[0], reply.context)
    sim.until(lambda: all(v == {b"gone"} for v in sim.holders(KEY).values()))
    return fallback


def test_a_hint_on_a_node_that_is_down_puts_reaping_off() -> None:
    sim = Simulator(reap_after=0.2)
    fallback = old_hint(sim)
    sim.run(5)
    assert not empty(sim)
    sim.boot(fallback)
    sim.until(lambda: empty(sim))
    sim.until(sim.quiet)
    assert empty(sim)


def test_a_reaper_that_asks_the_primaries_only_lets_the_value_walk_back() -> None:
    sim = Simulator(reap_after=0.2)
    without_the_guard(sim)
    fallback = old_hint(sim)
    sim.until(lambda: empty(sim))
    sim.boot(fallback)
    sim.until(sim.quiet)
    assert all(values == {b"v"} for values in sim.holders(KEY).values())
    assert len(sim.holders(KEY)) == 3


def test_a_put_between_the_rounds_stops_the_reaping() -> None:
    sim = Simulator(reap_after=0.2)
    first = dead(sim)
    node = sim.nodes[first]
    asked = []
    ask = node.reaper._ask

    def slow(round: str, due: dict[bytes, int], then: Any) -> None:
        asked.append(round)
        if round == "check" and asked.count("check") == 1:
            sim.ask(first, Put(1, "between", KEY, b"new"))
        ask(round, due, then)  # type: ignore[arg-type]

    node.reaper._ask = slow  # type: ignore[method-assign, assignment]
    sim.run(5)
    assert asked[:2] == ["fence", "check"]
    assert all(b"new" in values for values in sim.holders(KEY).values())
    assert len(sim.holders(KEY)) == 3


def test_a_put_that_crosses_the_last_round_survives() -> None:
    for delay in range(0, 40, 8):
        sim = Simulator(reap_after=0.2, seed=delay)
        first = dead(sim)
        node = sim.nodes[first]
        reap = node.reaper._reap

        def crossed(
            due: dict[bytes, int], reap: Any = reap, sim: Any = sim, d: int = delay
        ) -> None:
            reap(due)
            put = Put(1, "crossing", KEY, b"new")
            sim.at(d * 0.0001, lambda: sim.ask(order(sim)[1], put))

        node.reaper._reap = crossed  # type: ignore[method-assign, assignment]
        sim.run(2)
        sim.until(sim.quiet)
        assert len(sim.holders(KEY)) == 3
        assert all(b"new" in values for values in sim.holders(KEY).values())


def test_a_stamp_that_a_retry_would_send_again_puts_reaping_off() -> None:
    sim = Simulator(reap_after=0.2)
    lonely = order(sim)[0]
    sim.isolate(lonely)
    sim.run(0.1)
    sim.call(lonely, Put(1, "open", KEY, b"v"))  # refused: no quorum, but stamped
    sim.heal()
    sim.until(sim.quiet)
    shown = sim.get(order(sim)[1], KEY)
    assert [v.value for v in shown.siblings] == [b"v"]
    remove(sim, order(sim)[1], shown.context)
    sim.run(3)
    assert not empty(sim)
    assert isinstance(sim.call(lonely, Put(2, "open", KEY, b"v")), PutReply)
    sim.until(lambda: empty(sim))
    sim.run(2)
    reply = sim.get(lonely, KEY)
    assert isinstance(reply, GetReply)
    assert reply.siblings == ()


def test_a_fence_falls_with_whatever_begins_and_none_is_under_another_name() -> None:
    barriers = KeyBarriers()
    barriers.set(KEY, "n1 1")
    assert barriers.unbroken(KEY, "n1 1")
    assert not barriers.unbroken(KEY, "n1 2")
    barriers.enter(KEY)
    assert barriers.busy(KEY)
    barriers.leave(KEY)
    assert not barriers.busy(KEY)
    assert not barriers.unbroken(KEY, "n1 1")
    barriers.set(KEY, "n1 2")
    barriers.clear("n2")
    assert barriers.unbroken(KEY, "n1 2")
    barriers.clear("n1")
    assert not barriers.unbroken(KEY, "n1 2")
