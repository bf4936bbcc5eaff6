"""Records and hints of which a change fails while the disk cannot be read."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from dynamesis.cluster.core.protocol import events as ev
from simulator import Simulator
from test_durability import KEY, BadStore, emitted, failing, with_bad_disk


def balanced(sim: Simulator, name: str) -> bool:
    account = sim.nodes[name].hints.account()
    return account.pop("hints_kept") == sum(account.values())


def keeping(sim: Simulator) -> tuple[str, str, BadStore]:
    """The first primary of KEY, cut off; the node that keeps the hints for it; its disk."""
    order = sim.nodes["n1"].view.preference(sim.nodes["n1"].view.partition(KEY))
    store = with_bad_disk(sim, order[3])
    sim.isolate(order[0])
    sim.run(0.1)
    return order[0], order[3], store


def unreadable_as_it_fails(
    sim: Simulator, name: str, table: str, store: BadStore
) -> Callable[[], None]:
    """As `failing`; from the first batch for this table on, the disk cannot be read either."""
    heal = failing(sim, name)
    refuse = sim._persist

    def refuse_unreadable(node: str, token: int, writes: tuple[ev.Write, ...]) -> None:
        store.unreadable |= node == name and any(write.table == table for write in writes)
        refuse(node, token, writes)

    def heal_both() -> None:
        heal()
        store.unreadable = False

    sim._persist = refuse_unreadable  # type: ignore[method-assign]
    return heal_both


def test_a_hint_whose_deletion_failed_is_handed_off_again() -> None:
    """It was forgotten, and stayed on the disk until the next start (clean seed 8019856)."""
    sim = Simulator(5, seed=7)
    target, keeper, store = keeping(sim)
    sim.put(next(name for name in sim.nodes if name not in (target, keeper)), KEY, b"v")
    sim.until(lambda: sim.nodes[keeper].hints.count() == {target: 1})
    sim.until(lambda: len(store.tables["hints"]) == 1)
    heal = failing(sim, keeper)
    sim.heal()
    sim.until(lambda: sim.nodes[keeper].hints.handed_off == 1)
    store.unreadable = True
    sim.run(0.1)
    assert sim.nodes[keeper].hints.count() == {target: 1}
    heal()
    store.unreadable = False
    sim.until(lambda: not sim.nodes[keeper].hints.count())
    sim.until(lambda: not store.tables["hints"])
    assert sim.nodes[keeper].hints.handed_off == 2
    assert balanced(sim, keeper)


def test_a_hint_that_was_never_stored_is_not_counted_once_that_is_seen() -> None:
    sim = Simulator(5, seed=7)
    target, keeper, store = keeping(sim)
    heal = unreadable_as_it_fails(sim, keeper, "hints", store)
    sim.put(next(name for name in sim.nodes if name not in (target, keeper)), KEY, b"v")
    sim.until(lambda: store.unreadable)
    sim.run(0.1)
    assert sim.nodes[keeper].hints.count() == {target: 1}
    heal()
    sim.heal()
    sim.until(lambda: not sim.nodes[keeper].hints.count())
    assert sim.nodes[keeper].hints.kept == 0
    assert balanced(sim, keeper)


def test_the_trees_have_a_record_again_that_could_not_be_read() -> None:
    """They lacked it until they were made anew, hours later: exchanges found a difference that
    none of them could repair, since the record was there."""
    sim = Simulator(3, seed=7)
    owner = sim.nodes["n1"].view.primaries(sim.nodes["n1"].view.partition(KEY))[0]
    store = with_bad_disk(sim, owner)
    first = sim.put(owner, KEY, b"0", w=3)
    sim.until(sim.quiet)
    heal = unreadable_as_it_fails(sim, owner, "objects", store)
    sim.put(owner, KEY, b"1", first.context)
    assert store.unreadable
    sim.run(0.1)
    heal()
    trees = {name: node.trees for name, node in sim.nodes.items()}
    sim.until(lambda: len({str(each.roots()) for each in trees.values()}) == 1)
    assert all(each.objects == 1 for each in trees.values())


def whole_again(sim: Simulator) -> bool:
    """Whether all trees have the one record of this cluster."""
    trees = [node.trees for node in sim.nodes.values()]
    return all(each.complete and each.objects == 1 for each in trees) and (
        len({str(each.roots()) for each in trees}) == 1
    )


def one_damaged_record() -> tuple[Simulator, str, BadStore]:
    """Three copies of a record, one of which is damaged and known to be; exchanges are rare."""
    sim = Simulator(3, seed=7, anti_entropy_interval=1000.0)
    owner = sim.nodes["n1"].view.primaries(sim.nodes["n1"].view.partition(KEY))[0]
    store = with_bad_disk(sim, owner)
    sim.put(owner, KEY, b"0", w=3)
    sim.until(lambda: whole_again(sim))
    store.damaged = {sim.nodes[owner].replica.row(KEY)}
    assert sim.admin(owner, "dump", limit=10)["rows"] == []
    assert sim.nodes[owner].trees.objects == 0
    return sim, owner, store


def test_trees_that_lack_a_damaged_record_are_not_kept_for_the_next_life() -> None:
    """It may be able to read it: then exchanges found a difference that none of them could repair
    (clean seed 10019771)."""
    sim, owner, store = one_damaged_record()
    store.damaged = set()
    stop_and_boot(sim, owner)
    assert not emitted(sim, "trees-kept")
    sim.until(lambda: whole_again(sim))


def test_trees_that_lack_an_unreadable_record_are_not_kept_for_the_next_life() -> None:
    sim = Simulator(3, seed=7, anti_entropy_interval=1000.0)
    owner = sim.nodes["n1"].view.primaries(sim.nodes["n1"].view.partition(KEY))[0]
    store = with_bad_disk(sim, owner)
    first = sim.put(owner, KEY, b"0", w=3)
    sim.until(lambda: whole_again(sim))
    heal = unreadable_as_it_fails(sim, owner, "objects", store)
    sim.put(owner, KEY, b"1", first.context)
    sim.until(lambda: store.unreadable and sim.nodes[owner].objects.settled)
    heal()
    stop_and_boot(sim, owner)
    assert not emitted(sim, "trees-kept")
    sim.run(0.1)
    assert sim.nodes[owner].trees.objects == 1


@pytest.mark.parametrize("seen", ["read", "scanned", "written"])
def test_a_record_that_was_damaged_and_can_be_read_is_in_the_trees_again(seen: str) -> None:
    sim, owner, store = one_damaged_record()
    store.damaged = set()
    match seen:
        case "read":
            sim.get(owner, KEY, r=3)
        case "scanned":
            assert len(sim.admin(owner, "dump", limit=10)["rows"]) == 1
        case _:
            sim.put(owner, KEY, b"1", w=3)
    sim.until(lambda: whole_again(sim))
    assert len(emitted(sim, "row-readable")) == 1
    assert sim.admin(owner, "status")["damaged"] == 0


def stop_and_boot(sim: Simulator, name: str) -> None:
    sim.stop(name)
    sim.boot(name)
    sim.until(lambda: sim.nodes[name].ready and sim.linked())
