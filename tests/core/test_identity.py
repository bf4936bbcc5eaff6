"""No dot names two versions: wiped, restored, cloned and rolled back disks."""

from __future__ import annotations

import pytest
from dynamesis.cluster.core.protocol.events import Emit, Persist
from dynamesis.cluster.core.protocol.messages import Entry, Life, Put, RequestOptions
from dynamesis.cluster.core.runtime.runtime import Runtime
from dynamesis.cluster.core.versions.identity import Identity
from dynamesis.cluster.core.versions.same_name import SEEN, SameName
from simulator import DictStore, Simulator, idle_runtime

KEY = b"cart"


def coordinator(sim: Simulator) -> str:
    view = sim.nodes["n1"].view
    return view.primaries(view.partition(KEY))[0]


def everything(sim: Simulator) -> set[bytes]:
    """What every primary holds, once all is quiet; nothing if they do not agree."""
    sim.wait(sim.quiet, 10)
    held = list(sim.holders(KEY).values())
    return held[0] if all(values == held[0] for values in held) else set()


def went_anew(sim: Simulator, name: str) -> list[str]:
    return [e.fields["reason"] for _, n, e in sim.log if n == name and e.event == "new-incarnation"]


def after_a_restore(intact: bool) -> set[bytes]:
    """Blind writes at one node; then a copy of its disk from between them is put back, and
    it writes again before any peer has answered."""
    sim = Simulator()
    name = coordinator(sim)
    sim.put(name, KEY, b"before")
    old = sim.copy(name)
    for value in (b"one", b"two"):
        sim.put(name, KEY, value)
    sim.run(1)
    sim.crash(name)
    sim.stores[name] = old
    sim.isolate(name)
    sim.boot(name, intact)
    sim.run(0.05)
    for value in ("after", "later"):
        sim.ask(name, Put(1, value, KEY, value.encode(), options=RequestOptions(w=1)))
    sim.run(0.1)
    sim.heal()
    return everything(sim)


def test_an_old_copy_of_the_disk_names_no_version_a_second_time() -> None:
    assert after_a_restore(intact=False) == {b"before", b"one", b"two", b"after", b"later"}


def test_whatever_carries_on_from_a_copy_loses_writes() -> None:
    assert after_a_restore(intact=True) != {b"before", b"one", b"two", b"after", b"later"}


def test_a_disk_rolled_back_below_its_files_is_found_out_by_the_first_peer() -> None:
    sim = Simulator()
    name = coordinator(sim)
    sim.put(name, KEY, b"before")
    old = sim.copy(name)
    for value in (b"one", b"two"):
        sim.crash(name)
        sim.boot(name)
        sim.run(0.1)
        sim.put(name, KEY, value)
    sim.crash(name)
    sim.stores[name] = old
    sim.boot(name, intact=True)
    sim.run(0.02)
    (reason,) = went_anew(sim, name)
    assert "has met life 3, this is 2" in reason
    sim.put(name, KEY, b"after")
    assert everything(sim) == {b"before", b"one", b"two", b"after"}


def test_clocks_do_not_grow_with_kills_and_restarts() -> None:
    sim = Simulator()
    name = coordinator(sim)
    for i in range(30):
        context = sim.get(name, KEY).context
        sim.put(name, KEY, b"%d" % i, context)
        sim.run(0.05)
        sim.crash(name)
        sim.boot(name)
        sim.run(0.05)
    record = sim.nodes[name].replica.own(KEY)
    assert record is not None
    assert len(record.state) <= 3
    assert went_anew(sim, name) == []


# ---- the parts


def life(
    store: DictStore, entropy: int, intact: bool = True, save: bool = True
) -> tuple[Runtime, Identity]:
    runtime = idle_runtime()
    identity = Identity("n1", runtime, store, entropy, False)
    identity.recover(intact, lambda: None)
    if save:
        carry(runtime, store)
    return runtime, identity


def carry(runtime: Runtime, store: DictStore) -> None:
    for effect in runtime.drain():
        if isinstance(effect, Persist):
            store.commit(effect.writes)
            runtime.persisted(effect.token)


def names(identity: Identity, count: int) -> set[str]:
    found = [identity.new_actor() for _ in range(count)]
    assert None not in found
    return {str(actor) for actor in found}


def test_lives_from_one_clone_never_name_the_same_actor() -> None:
    disk = DictStore()
    _, original = life(disk, 1)
    names(original, 10)
    clone = DictStore()
    clone.tables["meta"] = dict(disk.tables["meta"])
    _, copy = life(clone, 2, intact=False)
    assert not names(original, 400) & names(copy, 400)
    assert not any(copy.usable(actor) for actor in names(original, 3))


@pytest.mark.parametrize("epoch", [1024, 1025])
def test_a_clock_that_knows_an_epoch_not_leased_here_is_a_proof(epoch: int) -> None:
    disk = DictStore()
    runtime, identity = life(disk, 1)
    before = identity.actor(1)
    identity.look_at({identity.actor(epoch): Entry(7), "n2:1:fffffff": Entry(1)})
    assert identity.usable(before) == (epoch <= 1024)
    carry(runtime, disk)
    assert identity.new_actor() is not None


def test_a_new_incarnation_is_durable_before_it_is_used() -> None:
    disk = DictStore()
    runtime, identity = life(disk, 1)
    identity.learn(Life(identity.life.incarnation, 5))
    assert identity.new_actor() is None
    carry(runtime, disk)
    actor = identity.new_actor()
    assert actor is not None
    _, next_life = life(disk, 2)
    assert next_life.usable(actor)
    assert actor not in names(next_life, 400)


def test_a_peer_remembers_the_latest_life_of_each_incarnation() -> None:
    _, identity = life(DictStore(), 1)
    assert identity.met("n2", Life(7, 3)) == Life(7, 3)
    assert identity.met("n2", Life(8, 1)) == Life(8, 1)
    assert identity.met("n2", Life(7, 2)) == Life(7, 3)


# ---- two processes under one name


def _by_turns(*lives: tuple[int, int]) -> list[bool]:
    """What a node answers that meets these lives of n2 one after the other."""
    known = SameName("n1", idle_runtime())
    return [known.met("n2", Life(*life)) for life in lives]


def test_lives_that_come_by_turns_are_two_processes() -> None:
    a, b = (1, 1), (2, 1)
    assert _by_turns(a, b, a, b) == [False, False, False, True]
    assert _by_turns(a, a, b, b, a, b, a)[-2:] == [True, True]
    assert _by_turns((1, 3), (1, 4), (1, 3), (1, 4))[-1]


def test_lives_that_follow_each_other_are_one_process_after_another() -> None:
    assert not any(_by_turns((1, 1), (1, 2), (1, 3), (2, 1), (2, 2), (3, 1), (3, 1)))
    # a disk set back below the files, and what it does as soon as it learns of that
    assert not any(_by_turns((1, 3), (1, 4), (1, 3), (2, 1), (2, 2)))


def test_two_processes_are_not_held_against_a_name_for_ever() -> None:
    runtime = idle_runtime()
    known = SameName("n1", runtime)
    for life in (1, 2, 1, 2):
        known.met("n2", Life(life, 1))
    known.learn("n3")
    assert known.names() == ["n1", "n2"]
    assert [e.event for e in runtime.drain() if isinstance(e, Emit)] == ["same-name"] * 2
    runtime.now += SEEN
    assert known.names() == []
    assert not known.met("n2", Life(2, 1))
